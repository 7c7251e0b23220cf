"""Figures of the training losses of teacher, student and the transferred models."""

from matplotlib.axes import Axes

from emocap.report.files.training import History
from emocap.report.plots.axes import look_of
from emocap.report.plots.curves import thinned
from emocap.report.plots.figure import HEIGHT, Drawing, drawing_of, sentence_of
from emocap.report.plots.losses import (
    change_in_words,
    draw_kept,
    draw_training,
    draw_validation,
    finish_loss,
    has_running_mean,
    kept_epoch,
    lowest_in_words,
    train_values,
)
from emocap.report.plots.svg import INK, SERIES
from emocap.report.text import counted, number
from emocap.study.models import MODELS

TRANSFERRED = tuple(name for name, model in MODELS.items() if model.starts_from == "student")


def teacher_loss(history: History, prior_bce: float | None) -> Drawing | None:
    """Training and validation loss by epoch; None without any loss.

    The binary cross-entropy of the prior is drawn too, where that is the loss.
    """
    if not history.train and not history.validation:
        return None
    if any(row.bce is not None for row in history.validation):
        prior_bce = None

    def draw(axes: Axes) -> None:
        mean = "training, running mean" if has_running_mean(history) else "training"
        draw_training(axes, history, "epoch", SERIES[1], mean)
        draw_validation(axes, history, SERIES[0], "o", "validation")
        if prior_bce is not None:
            axes.axhline(prior_bce, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="prior, test pairs")
        draw_kept(axes, history, SERIES[0])
        finish_loss(axes, "epoch")

    parts = [change_in_words("Training loss", history), lowest_in_words("validation loss", history)]
    if kept := kept_epoch(history):
        parts.append(f"the weights of epoch {kept[0]:g} were kept")
    caption = sentence_of(parts)
    if prior_bce is not None:
        caption += f" The prior scores {number(prior_bce)} on the test pairs."
    return drawing_of("teacher-loss", HEIGHT, draw, "Teacher: loss by epoch", caption)


def student_loss(history: History) -> Drawing | None:
    """Training loss on the pseudo-labels by batch; None without any loss."""
    return batch_loss("student-loss", "Student: loss by batch", "the loss on pseudo-labels", history)


def batch_loss(name: str, title: str, what: str, history: History) -> Drawing | None:
    """Training loss by batch, of many values a running mean with the raw ones behind it; None without any loss."""
    if not history.train:
        return None
    window = thinned(*train_values(history, "step")).window

    def draw(axes: Axes) -> None:
        mean = "logged losses" if window == 1 else f"running mean of {window} logged losses"
        draw_training(axes, history, "step", SERIES[0], mean)
        finish_loss(axes, "batch")

    steps = history.train[-1].step
    caption = sentence_of([change_in_words(f"Over {counted(steps, 'batch', 'batches')} {what}", history)])
    return drawing_of(name, HEIGHT, draw, title, caption)


def transfer_loss(histories: dict[str, History]) -> Drawing | None:
    """Loss of AnB and AnB+ by epoch; None without any loss."""
    runs = {name: histories[name] for name in TRANSFERRED if name in histories}
    runs = {name: history for name, history in runs.items() if history.train or history.validation}
    if not runs:
        return None

    def draw(axes: Axes) -> None:
        for name, history in runs.items():
            look = look_of(name)
            draw_training(axes, history, "epoch", look.colour, f"{name} training", faint=True)
            draw_validation(axes, history, look.colour, look.marker, f"{name} validation")
        finish_loss(axes, "epoch")

    caption = " ".join(
        sentence_of([change_in_words(f"{name}: training loss", history), lowest_in_words("validation loss", history)])
        for name, history in runs.items()
    )
    return drawing_of("transfer-loss", HEIGHT, draw, f"{' against '.join(runs)}: loss by epoch", caption)
