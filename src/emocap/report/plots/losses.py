"""Curves of training and validation loss on a pair of axes, and what they show in words."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from emocap.report.files.training import History
from emocap.report.plots.axes import legend_above
from emocap.report.plots.curves import thinned
from emocap.report.plots.svg import PAPER
from emocap.report.text import number


def train_values(history: History, across: str) -> tuple[np.ndarray, np.ndarray]:
    """Step or epoch and the training loss there, each (n,) float64."""
    x = np.array([getattr(row, across) for row in history.train], dtype=np.float64)
    return x, np.array([row.loss for row in history.train], dtype=np.float64)


def kept_epoch(history: History) -> tuple[float, float] | None:
    """Epoch and validation loss of the weights that were kept."""
    rows = [row for row in history.validation if row.epoch == history.best_epoch]
    return (rows[0].epoch, rows[0].loss) if rows else None


def draw_training(axes: Axes, history: History, across: str, colour: str, label: str, faint: bool = False) -> None:
    """The training loss, a single value as a dot; of many values a running mean over the raw ones."""
    if not history.train:
        return
    curve = thinned(*train_values(history, across))
    if len(curve.x) == 1:
        axes.plot(curve.x, curve.mean, marker=".", markersize=9, color=colour, linestyle="none", label=label)
        return
    if curve.window == 1:
        pass
    elif np.array_equal(curve.low, curve.high):
        axes.plot(curve.x, curve.low, color=colour, alpha=0.16 if faint else 0.35, linewidth=0.9)
    else:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.09 if faint else 0.2, linewidth=0)
    dashes = (0, (2.5, 1.5)) if faint else "-"
    axes.plot(curve.x, curve.mean, color=colour, linewidth=1.3 if faint else 1.9, linestyle=dashes, label=label)


def has_running_mean(history: History) -> bool:
    """Whether a running mean of the training loss is drawn, not the losses alone."""
    return bool(history.train) and thinned(*train_values(history, "step")).window > 1


def draw_validation(axes: Axes, history: History, colour: str, marker: str, label: str) -> None:
    """The validation loss at the end of each epoch."""
    if history.validation:
        x, y = [row.epoch for row in history.validation], [row.loss for row in history.validation]
        axes.plot(x, y, color=colour, linewidth=1.9, marker=marker, markersize=5.5, markeredgecolor=PAPER,
                  markeredgewidth=0.8, label=label)  # fmt: skip


def draw_kept(axes: Axes, history: History, colour: str) -> None:
    """A ring around the epoch whose weights were kept."""
    if kept := kept_epoch(history):
        ring: dict[str, Any] = {"marker": "o", "color": colour, "markerfacecolor": "none", "linestyle": "none"}
        axes.plot(*kept, markersize=12, **ring)
        axes.plot([], [], markersize=9, label="epoch kept", **ring)


def finish_loss(axes: Axes, across: str) -> None:
    """Names of both axes, whole numbers on the horizontal one, the legend above."""
    axes.set_xlabel(across)
    axes.set_ylabel("loss (nats)")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.margins(x=0.03, y=0.08)
    legend_above(axes, columns=2)


def change_in_words(what: str, history: History) -> str:
    """The first and the last training loss, and the highest where it is neither; empty without any loss."""
    if not history.train:
        return ""
    mean = thinned(*train_values(history, "step")).mean
    first, last, highest = number(mean[0]), number(mean[-1]), number(mean.max())
    if len(history.train) == 1:
        return f"{what} was logged once, {last}"
    words = f"{what} is {first} at first and {last} at last"
    return words if highest in (first, last) else f"{words}, at most {highest} in between"


def lowest_in_words(what: str, history: History) -> str:
    """The lowest validation loss and its epoch; empty without any."""
    if not history.validation:
        return ""
    lowest = min(history.validation, key=lambda row: row.loss)
    return f"{what} is lowest, {number(lowest.loss)}, at epoch {lowest.epoch:g}"
