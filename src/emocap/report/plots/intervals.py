"""Plots of scores with their 95% intervals: a row per model, a line per run of the transfer study, and reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from emocap.report.files.comparison import Interval
from emocap.report.files.results import Reliability
from emocap.report.plots.axes import Draw, legend_above
from emocap.report.plots.svg import GRID, INK, MUTED, PAPER, SERIES

FEW = 20  # cells in a bin


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; both None where it is undefined.

    Attributes:
        group: rows of one group are placed together.
    """

    name: str
    value: float | None
    interval: Interval | None
    group: str = ""
    strong: bool = False


def estimates(rows: Sequence[Estimate], across: str, line: tuple[float, str] | None = None) -> Draw:
    """A dot and its interval per row, gaps between groups, and a dashed line at the reference.

    Args:
        line: position and name.
    """
    places = places_of(rows)

    def draw(axes: Axes) -> None:
        if line is not None:
            axes.axvline(line[0], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label=line[1], zorder=1)
        for row, place in zip(rows, places, strict=True):
            colour = SERIES[0] if row.strong else INK
            if row.interval is not None:
                axes.plot(row.interval, [place, place], color=colour, linewidth=2.0, solid_capstyle="butt", zorder=2)
            if row.value is not None:
                axes.plot([row.value], [place], marker="o", markersize=6.5, color=colour, markeredgecolor=PAPER,
                          markeredgewidth=0.9, linestyle="none", zorder=3)  # fmt: skip
            else:
                axes.annotate("no score", (0, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
                              textcoords="offset points", va="center", fontsize=8.5, color=MUTED)  # fmt: skip
        axes.set_yticks(places, [row.name for row in rows], color=INK)
        axes.set_ylim(max(places, default=0.0) + 0.6, -0.6)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.margins(x=0.06)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        legend_above(axes, columns=2)

    return draw


def places_of(rows: Sequence[Estimate]) -> list[float]:
    """Positions of the rows from the top, with half a row between groups.

    >>> places_of([Estimate("a", 1, None, "x"), Estimate("b", 1, None, "x"), Estimate("c", 1, None, "y")])
    [0.0, 1.0, 2.5]
    """
    places, at = [], 0.0
    for number, row in enumerate(rows):
        if number:
            at += 1.0 if row.group == rows[number - 1].group else 1.5
        places.append(at)
    return places


@dataclass(frozen=True)
class Line:
    """One run of the transfer study: a score with its interval for each number of layers."""

    name: str
    colour: str
    marker: str
    filled: bool
    points: list[tuple[int, float, Interval | None]]


def layer_lines(lines: Sequence[Line], references: Sequence[Estimate], n_layers: int, up: str) -> Draw:
    """Scores over the number of layers copied, one line per run, references as dashed lines with their interval.

    Args:
        references: drawn as horizontal lines; the first in the text colour, with its interval as a band.
        up: name of the score axis.
    """

    def draw(axes: Axes) -> None:
        for number, reference in enumerate(references):
            if reference.value is None:
                continue
            colour = INK if number == 0 else MUTED
            dashes = (0, (5, 3)) if number == 0 else (0, (1.2, 2))
            axes.axhline(reference.value, color=colour, linewidth=1.3, linestyle=dashes, label=reference.name, zorder=1)
            if number == 0 and reference.interval is not None:
                axes.axhspan(*reference.interval, color=GRID, alpha=0.55, linewidth=0, zorder=0)
        for number, line in enumerate(lines):
            shift = 0.07 * (number - (len(lines) - 1) / 2)
            x = [n + shift for n, _, _ in line.points]
            y = [value for _, value, _ in line.points]
            for at, (_, _, interval) in zip(x, line.points, strict=True):
                if interval is not None:
                    axes.plot([at, at], interval, color=line.colour, linewidth=1.3, alpha=0.55, zorder=2)
            axes.plot(x, y, color=line.colour, linewidth=1.9, marker=line.marker, markersize=6, label=line.name,
                      linestyle="-" if line.filled else (0, (3, 1.5)), markeredgewidth=1.3, zorder=3,
                      markerfacecolor=line.colour if line.filled else PAPER)  # fmt: skip
        axes.set_xlabel("layers copied (n)")
        axes.set_ylabel(up)
        axes.set_xlim(-0.3, n_layers + 0.3)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", visible=False)
        legend_above(axes, columns=3)

    return draw


def reliability_lines(curves: Sequence[tuple[str, str, Reliability, bool]]) -> Draw:
    """Share of positives over confidence, with the diagonal; bins of fewer than 20 cells have small dots.

    Args:
        curves: name, colour, curve, and whether it is drawn strongly (after scaling) or faintly (before).
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label="calibrated", zorder=1)
        for name, colour, curve, strong in curves:
            points = curve.points()
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, label=name, zorder=2,
                      linewidth=1.9 if strong else 1.3, linestyle="-" if strong else (0, (2.5, 1.5)))  # fmt: skip
            for x, y, n in points:
                axes.plot([x], [y], color=colour, marker="o", markersize=5.5 if n >= FEW else 2.5, linestyle="none",
                          markerfacecolor=colour if strong else PAPER, zorder=3)  # fmt: skip
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("share of positive pairs")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.spines["left"].set_visible(False)
        legend_above(axes, columns=2)

    return draw
