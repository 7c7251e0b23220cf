"""A note on every model: what it is, how it compares with the prior on all metrics, its share of the oracle's gain."""

from dataclasses import dataclass

from emocap.report.files.results import Results
from emocap.report.outcome import IN_WORDS, OracleShare, Outcome, oracle_share, outcome_of
from emocap.report.tables import GROUPS
from emocap.report.text import description_of, label_of, listed, metric_in_sentence
from emocap.study.models import display_name


@dataclass(frozen=True)
class ModelNote:
    """What a model is, how it compares with the prior, and its share of the oracle's gain."""

    model: str
    description: str
    comparison: str
    share: OracleShare | None
    is_oracle: bool = False


def model_notes(results: Results) -> list[ModelNote]:
    """A note on every model, in the order of the table."""
    notes = [
        ModelNote(
            model=display_name(name),
            description=description_of(name),
            comparison=compared_on_all_metrics(results, name),
            share=None if name == "prior" or not results.is_enough else oracle_share(results, name),
        )
        for kinds in GROUPS.values()
        for name in results.ordered_models(*kinds)
    ]
    if results.ceiling is not None:
        notes.append(ModelNote(display_name("ceiling"), description_of("ceiling"), "", None, is_oracle=True))
    return notes


def compared_on_all_metrics(results: Results, model: str, reference: str = "prior") -> str:
    """How a model compares with another on all metrics, in words.

    Of each metric the interval that holds for all models compared with the reference together decides.
    """
    if model == reference:
        return "is the reference"
    if not results.is_enough:
        return f"cannot be compared with {label_of(reference)}: too few test pairs for a verdict"
    metrics: dict[Outcome, list[str]] = {outcome: [] for outcome in IN_WORDS}
    for metric, info in results.metrics.items():
        difference = results.difference(model, reference, metric)
        if difference is not None:
            outcome = outcome_of(difference, info, is_enough=True, several=True)
            metrics[outcome].append(metric_in_sentence(metric))
    n_compared = sum(len(names) for names in metrics.values())
    n_better = len(metrics["better"])
    if not n_compared:
        return f"was not compared with {label_of(reference)}"
    if n_better == n_compared:
        return f"is better than {label_of(reference)} on all {n_compared} metrics"
    of_all = f"{n_better or 'none'} of {n_compared} metrics"
    text = f"is better than {label_of(reference)} on {of_all}"
    if metrics["worse"]:
        text += f", worse on {_names_or_count(metrics['worse'])}"
    if metrics["inconclusive"]:
        text += f"; inconclusive on {_names_or_count(metrics['inconclusive'])}"
    return text


def _names_or_count(names: list[str]) -> str:
    return listed(names) if len(names) <= 3 else str(len(names))
