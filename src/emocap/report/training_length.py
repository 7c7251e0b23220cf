"""Whether models may have been trained too briefly: where the validation loss still fell at the last epoch."""

from emocap.report.files.run import Run
from emocap.report.files.training import History
from emocap.report.text import label_of, listed

LEAST_EPOCHS = 2


def briefly_trained(run: Run) -> str:
    """Which models have their lowest validation loss at the last epoch in most units; empty where none has."""
    counts = []
    for name, first in run.histories.items():
        histories = [each for each in [first, *run.other_histories.get(name, [])] if is_judged(each)]
        n_last = sum(map(is_lowest_at_end, histories))
        if name in run.results.models and 2 * n_last > len(histories):
            counts.append((name, n_last, len(histories)))
    if not counts:
        return ""
    names = [
        label_of(name) + (f" (in {n_last} of {n_units} units)" if n_units > 1 else "")
        for name, n_last, n_units in counts
    ]
    return f"The validation loss is lowest at the last epoch of {listed(names)}: more epochs may be better."


def is_judged(history: History) -> bool:
    """Whether a training has enough epochs with a validation loss."""
    return len(history.validation) >= LEAST_EPOCHS


def is_lowest_at_end(history: History) -> bool:
    """Whether the last epoch has a lower validation loss than every earlier one."""
    *earlier, last = (row.loss for row in history.validation)
    return last < min(earlier)
