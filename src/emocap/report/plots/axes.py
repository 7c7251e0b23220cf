"""What several plots share: how each model is drawn, rows of markers, and the legend above the axes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from emocap.report.plots.svg import GRID, INK, MUTED, PAPER, SERIES
from emocap.study.models import MODELS

Draw = Callable[[Axes], None]


class Look(NamedTuple):
    """How a series is drawn."""

    colour: str
    marker: str
    filled: bool = False


UNKNOWN = Look(SERIES[2], "v")


def look_of(model: str) -> Look:
    """How a model is drawn, by the table of models."""
    if model not in MODELS:
        return UNKNOWN
    row = MODELS[model]
    return Look(SERIES[row.series - 1] if row.series else INK, row.marker, row.filled)


def dots(
    rows: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    across: str,
    looks: Mapping[str, Look],
    *,
    empty: str = "",
    notes: Mapping[str, str] | None = None,
    line: tuple[float, str] | None = None,
    columns: int = 4,
) -> Draw:
    """A row per metric or emotion, a marker per series, a line from the lowest to the highest marker.

    Args:
        rows: names, first on top.
        values: for each series one value per row, None where there is none.
        across: name of the value axis.
        looks: for each series how it is drawn.
        empty: text of a row without any value.
        notes: text to the right of the markers, by row name.
        line: position and name of a dashed line.
        columns: of the legend.
    """

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            present = _known(column[place] for column in values.values())
            if present:
                axes.plot([min(present), max(present)], [place, place], color=GRID, linewidth=2.2, zorder=1)
            note = (notes or {}).get(row, "" if present else empty)
            if note:
                at = max(present, default=0.0)
                axes.annotate(note, (at, place), xytext=(9, 0), textcoords="offset points", va="center",
                              fontsize=8.5, color=MUTED)  # fmt: skip
        for order, (series, column) in enumerate(values.items()):
            colour, marker, filled = looks[series]
            places = [place for place, value in enumerate(column) if value is not None]
            tick = marker == "|"
            axes.plot(_known(column), places, linestyle="none", marker=marker, color=colour,
                      markersize=9 if tick else 6, markeredgewidth=1.7 if tick else 1.3, clip_on=False,
                      markerfacecolor=colour if filled else PAPER, label=series,
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
    """The legend above the axes, aligned with their left edge."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.9, ncols=columns,
                    fontsize=9, handlelength=1.6, handletextpad=0.5, columnspacing=1.4)  # fmt: skip


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
