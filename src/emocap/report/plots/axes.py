"""The two kinds of plot in the report: loss curves, and rows of dots with one mark per model."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from emocap.report.files.run import History
from emocap.report.plots.curves import thinned
from emocap.report.plots.svg import GRID, INK, MUTED, PAPER, SERIES

Draw = Callable[[Axes], None]
LOOKS: dict[str, tuple[str, str, bool]] = {
    "prior": (INK, "|", True),
    "target’s labels": (INK, "|", True),
    "teacher": (SERIES[2], "^", False),
    "before selection": (SERIES[1], "s", False),
    "student": (SERIES[2], "v", False),
    "AnB": (SERIES[1], "s", False),
    "AnB+": (SERIES[0], "o", True),
    "after selection": (SERIES[0], "o", True),
    "ceiling": (SERIES[3], "D", False),
    "tfidf": (SERIES[3], "D", False),
    "vectors": (SERIES[3], "D", False),
    "neighbours": (SERIES[3], "D", False),
    "labelled_AnB": (SERIES[1], "s", False),
    "labelled_AnB+": (SERIES[0], "o", True),
    "ensemble": (SERIES[0], "P", True),
}


def train_values(history: History, across: str) -> tuple[np.ndarray, np.ndarray]:
    """Step or epoch and the training loss there, each (n,) float64."""
    x = np.array([getattr(row, across) for row in history.train], dtype=np.float64)
    return x, np.array([row.loss for row in history.train], dtype=np.float64)


def kept_epoch(history: History) -> tuple[float, float] | None:
    """Epoch and validation loss of the weights that were kept."""
    rows = [row for row in history.validation if row.epoch == history.best_epoch]
    return (rows[0].epoch, rows[0].loss) if rows else None


def draw_training(axes: Axes, history: History, across: str, colour: str, label: str, faint: bool = False) -> None:
    """The running mean of the training loss, its raw values faint behind it; a single value is a dot."""
    if not history.train:
        return
    curve = thinned(*train_values(history, across))
    if len(curve.x) == 1:
        axes.plot(curve.x, curve.mean, marker=".", markersize=9, color=colour, linestyle="none", label=label)
        return
    if np.array_equal(curve.low, curve.high):
        axes.plot(curve.x, curve.low, color=colour, alpha=0.16 if faint else 0.35, linewidth=0.9)
    else:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.09 if faint else 0.2, linewidth=0)
    dashes = (0, (2.5, 1.5)) if faint else "-"
    axes.plot(curve.x, curve.mean, color=colour, linewidth=1.3 if faint else 1.9, linestyle=dashes, label=label)


def draw_validation(axes: Axes, history: History, colour: str, marker: str, label: str) -> None:
    """The validation loss at each epoch's end."""
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
    """Names of both axes, whole numbers below, the legend above."""
    axes.set_xlabel(across)
    axes.set_ylabel("loss (nats)")
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.margins(x=0.03, y=0.08)
    legend_above(axes, columns=2)


def dots(
    rows: Sequence[str],
    values: dict[str, list[float | None]],
    across: str,
    empty: str = "",
    notes: dict[str, str] | None = None,
    looks: dict[str, str] | None = None,
    line: tuple[float, str] | None = None,
    columns: int = 4,
) -> Draw:
    """A row per metric or emotion, a mark per model, a line from the first to the last mark.

    Args:
        rows: names, first on top.
        values: for each model, or other key of `LOOKS`, one value per row, None where there is none.
        across: name of the value axis.
        empty: written in a row without any value.
        notes: written behind the marks of the rows so named.
        looks: for each model the key of `LOOKS` whose mark it has; its own name where left out.
        line: where a dashed line stands, and what it is called.
        columns: of the legend.
    """
    notes, looks = notes or {}, looks or {}

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            present = _known(column[place] for column in values.values())
            if present:
                axes.plot([min(present), max(present)], [place, place], color=GRID, linewidth=2.2, zorder=1)
            note = notes.get(row, "" if present else empty)
            if note:
                at = max(present, default=0.0)
                axes.annotate(note, (at, place), xytext=(9, 0), textcoords="offset points", va="center",
                              fontsize=8.5, color=MUTED)  # fmt: skip
        for order, (model, column) in enumerate(values.items()):
            colour, marker, filled = LOOKS.get(looks.get(model, model), (SERIES[2], "v", False))
            places = [place for place, value in enumerate(column) if value is not None]
            tick = marker == "|"
            axes.plot(_known(column), places, linestyle="none", marker=marker, color=colour,
                      markersize=9 if tick else 6, markeredgewidth=1.7 if tick else 1.3, clip_on=False,
                      markerfacecolor=colour if filled else PAPER, label=model,
                      zorder=3 + len(values) if tick else 3 + order)  # fmt: skip
        axes.set_yticks(range(len(rows)), list(rows), color=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        every = _known(value for column in values.values() for value in column)
        if line is not None:
            axes.axvline(line[0], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label=line[1], zorder=2)
            every.append(line[0])
        axes.set_xlim(min([0.0, *every]), 1.04 * max(every, default=1.0) or 1.0)
        axes.set_xlabel(across)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        legend_above(axes, columns=columns)

    return draw


def legend_above(axes: Axes, columns: int) -> None:
    """The legend above the axes, flush with their left edge."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.9, ncols=columns,
                    fontsize=9, handlelength=1.6, handletextpad=0.5, columnspacing=1.4)  # fmt: skip


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
