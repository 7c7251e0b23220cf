"""The figures of a study as inline SVG, each with a caption that says in numbers what is seen."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emocap.report.files.results import PER_EMOTION, PRIMARY, Results
from emocap.report.files.run import Audit, History
from emocap.report.plots.axes import (
    LOOKS,
    Draw,
    dots,
    draw_kept,
    draw_training,
    draw_validation,
    finish_loss,
    kept_epoch,
    train_values,
)
from emocap.report.plots.curves import thinned
from emocap.report.plots.svg import INK, SERIES, inline_svg
from emocap.report.text import between, counted, in_sentence, metric_name, number, opening, percent, the
from emocap.report.verdict import gain

WIDTH, HEIGHT = 5.2, 3.1
ROW, MOST_ROWS = 0.24, 40
IN_FIGURE = ("top1_accuracy", "top2_accuracy", "top3_accuracy", "recall_at_3", "precision_at_3", PRIMARY, "bce")


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    name: str
    svg: Markup
    title: str
    caption: str


def drawing_of(name: str, height: float, draw: Draw, title: str, caption: str) -> Drawing:
    """A figure of one pair of axes, `height` inches high."""

    def on_figure(figure: Figure) -> None:
        draw(figure.add_subplot())

    return Drawing(name, inline_svg(name, WIDTH, height, on_figure, title, caption), title, caption)


def teacher_loss(history: History, prior_bce: float | None) -> Drawing | None:
    """Training and validation loss by epoch; None without any loss.

    Beside them stands the binary cross-entropy of the label frequencies alone, where that is the loss.
    """
    if not history.train and not history.validation:
        return None
    if any(row.bce is not None for row in history.validation):
        prior_bce = None

    def draw(axes: Axes) -> None:
        draw_training(axes, history, "epoch", SERIES[1], "training, running mean")
        draw_validation(axes, history, SERIES[0], "o", "validation")
        if prior_bce is not None:
            axes.axhline(prior_bce, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="prior, test pairs")
        draw_kept(axes, history, SERIES[0])
        finish_loss(axes, "epoch")

    parts = [_fall("Training loss", history), _lowest("validation loss", history)]
    if kept := kept_epoch(history):
        parts.append(f"the weights of epoch {kept[0]:g} were kept")
    caption = sentence_of(parts)
    if prior_bce is not None:
        caption += f" The label frequencies alone score {number(prior_bce)} on the test pairs."
    return drawing_of("teacher-loss", HEIGHT, draw, "Teacher: loss by epoch", caption)


def student_loss(history: History) -> Drawing | None:
    """Training loss on the pseudo-labels by batch; None without any loss."""
    return batch_loss("student-loss", "Student: loss by batch", "the loss on pseudo-labels", history)


def batch_loss(name: str, title: str, what: str, history: History) -> Drawing | None:
    """Training loss by batch, raw values faint behind their running mean; None without any loss."""
    if not history.train:
        return None
    window = thinned(*train_values(history, "step")).window

    def draw(axes: Axes) -> None:
        mean = "running mean" if window == 1 else f"running mean of {window} logged losses"
        draw_training(axes, history, "step", SERIES[0], mean)
        finish_loss(axes, "batch")

    steps = history.train[-1].step
    caption = sentence_of([_fall(f"Over {counted(steps, 'batch', 'batches')} {what}", history)])
    return drawing_of(name, HEIGHT, draw, title, caption)


def transfer_loss(histories: dict[str, History]) -> Drawing | None:
    """Loss of AnB against AnB+ by epoch; None without any loss."""
    runs = {name: histories[name] for name in ("AnB", "AnB+") if name in histories}
    runs = {name: history for name, history in runs.items() if history.train or history.validation}
    if not runs:
        return None

    def draw(axes: Axes) -> None:
        for name, history in runs.items():
            colour, marker, _ = LOOKS[name]
            draw_training(axes, history, "epoch", colour, f"{name} training", faint=True)
            draw_validation(axes, history, colour, marker, f"{name} validation")
        finish_loss(axes, "epoch")

    caption = " ".join(
        sentence_of([_fall(f"{name}: training loss", history), _lowest("validation loss", history)])
        for name, history in runs.items()
    )
    return drawing_of("transfer-loss", HEIGHT, draw, f"{' against '.join(runs)}: loss by epoch", caption)


def transfer_metrics(results: Results) -> Drawing | None:
    """The metrics of AnB against AnB+, with the prior and the ceiling as marks; None without either."""
    runs = [name for name in ("AnB", "AnB+") if name in results.models]
    if not runs:
        return None
    scores = {name: results.models[name] for name in ("prior", *runs)}
    if results.ceiling is not None:
        scores["ceiling"] = results.ceiling
    metrics = {name: results.metrics[name] for name in IN_FIGURE if name in results.metrics}
    rows = [metric_name(name) + (" ↑" if rule.higher_is_better else " ↓") for name, rule in metrics.items()]
    values = {model: [scores[model][metric] for metric in metrics] for model in scores}
    parts = [
        f"{name} has a {in_sentence(PRIMARY)} of {number(results.models[name][PRIMARY])} "
        f"{between(results.interval(name, PRIMARY))}".rstrip()
        for name in runs
    ]
    if len(runs) == 2:
        gains = [gain(scores["AnB+"][metric], scores["AnB"][metric], rule) for metric, rule in metrics.items()]
        known = [value for value in gains if value is not None]
        parts.append(
            f"AnB+ scores better than AnB on {sum(value > 0 for value in known)} of these {len(known)} metrics"
        )
    caption = sentence_of(parts) + " Arrows tell whether higher or lower is better."
    height = 0.30 * len(rows) + 0.85
    title = f"{' against '.join(runs)}: metrics on the test pairs"
    return drawing_of("transfer-metrics", height, dots(rows, values, "score"), title, caption)


def emotion_scores(results: Results, models: list[str]) -> Drawing | None:
    """Average precision of each emotion for a few models, the last against the first; None where none is recorded."""
    labels = [label for label in results.labels if any(PER_EMOTION in results.models[name] for name in models)]
    if not labels:
        return None
    shown = labels[:MOST_ROWS]
    every = {name: [results.models[name].get(PER_EMOTION, {}).get(label) for label in labels] for name in models}
    values = {name: column[: len(shown)] for name, column in every.items()}
    parts = []
    if len(models) > 1:
        first, last = models[0], models[-1]
        pairs = list(zip(every[last], every[first], strict=True))
        both = [(own, other) for own, other in pairs if own is not None and other is not None]
        above = sum(own > other for own, other in both)
        parts.append(f"{the(last)} scores higher than {the(first)} on {above} of {len(both)} emotions")
    without = sum(all(column[row] is None for column in every.values()) for row in range(len(labels)))
    if without:
        parts.append(f"{counted(without, 'emotion has', 'emotions have')} no test pair and no score")
    if len(shown) < len(labels):
        parts.append(f"the {len(shown)} commonest of {len(labels)} emotions are drawn")
    height = ROW * len(shown) + 0.85
    draw = dots(shown, values, "average precision", empty="no test pair")
    return drawing_of("emotion-scores", height, draw, "Average precision by emotion", sentence_of(parts))


def label_shares(audit: Audit) -> Drawing:
    """Share of each emotion among the pseudo-labels before and after selection, beside the target's own labels."""
    shown = audit.labels[:MOST_ROWS]
    values: dict[str, list[float | None]] = {}
    if audit.target_share and sum(audit.target_share) > 0:
        total = sum(audit.target_share)
        values["target’s labels"] = [share / total for share in audit.target_share[: len(shown)]]
    values["before selection"] = list(audit.before[: len(shown)])
    values["after selection"] = list(audit.after[: len(shown)])
    top = int(np.argmax(audit.after))
    parts = [f"After selection {audit.labels[top]} has the largest share, {percent(audit.after[top])}"]
    if values.get("target’s labels"):
        of_target = (audit.target_share or [])[top] / total
        parts.append(f"among the target’s labels it has {percent(of_target)}")
    if len(shown) < len(audit.labels):
        parts.append(f"the first {len(shown)} of {len(audit.labels)} emotions are drawn")
    never = {label: "never chosen" for label in audit.never_chosen}
    draw = dots(shown, values, "share of labels", notes=never)
    return drawing_of(
        "label-shares", ROW * len(shown) + 0.85, draw, "Emotions among the pseudo-labels", sentence_of(parts)
    )


def sentence_of(parts: list[str]) -> str:
    """Parts as one sentence, empty ones left out."""
    kept = [part for part in parts if part]
    return opening("; ".join(kept)) + "." if kept else ""


def _fall(what: str, history: History) -> str:
    if not history.train:
        return ""
    curve = thinned(*train_values(history, "step"))
    first, last = curve.mean[0], curve.mean[-1]
    if len(history.train) == 1:
        return f"{what} was logged once, {number(last)}"
    verb = "falls" if last < first else "rises" if last > first else "stays"
    way = f"at {number(last)}" if verb == "stays" else f"from {number(first)} to {number(last)}"
    return f"{what} {verb} {way}"


def _lowest(what: str, history: History) -> str:
    if not history.validation:
        return ""
    lowest = min(history.validation, key=lambda row: row.loss)
    return f"{what} is lowest, {number(lowest.loss)}, at epoch {lowest.epoch:g}"
