"""The figure of a learning curve: scores with intervals by number of training pairs, and the fitted power law."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from emocap.report.plots.axes import Draw, legend_above, look_of
from emocap.report.plots.figure import Drawing, drawing_of
from emocap.report.plots.svg import INK, PAPER, SERIES
from emocap.report.text import interval_text, metric_in_sentence, metric_name, number
from emocap.study.models import display_name

COLOURS = (*SERIES, INK)


def learning_curve(curve: dict[str, Any]) -> Drawing:
    """The figure of the contents of `curve.json`."""
    metric, models = curve["metric"], curve["models"]
    last = [
        f"{display_name(name)} {number(points[-1]['scores'][metric])} "
        f"{interval_text(points[-1]['intervals'][metric])}".rstrip()
        for name, points in ((name, model["points"]) for name, model in models.items())
    ]
    largest = round(next(iter(models.values()))["points"][-1]["n_pairs"])
    caption = f"With all {largest:,} training pairs: {', '.join(last)}. Dashed: the power law up to twice as many."
    title = f"{metric_name(metric)} by number of training pairs"
    return drawing_of("learning-curve", 3.8, _lines(models, metric), title, caption)


def _lines(models: dict[str, Any], metric: str) -> Draw:
    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        for place, (name, model) in enumerate(models.items()):
            colour, points = COLOURS[place % len(COLOURS)], model["points"]
            x = [point["n_pairs"] * 1.015 ** (place - (len(models) - 1) / 2) for point in points]
            y = [np.nan if point["scores"][metric] is None else point["scores"][metric] for point in points]
            for at, point in zip(x, points, strict=True):
                if point["intervals"][metric] is not None:
                    axes.plot([at, at], point["intervals"][metric], color=colour, linewidth=1.3, alpha=0.55, zorder=2)
            axes.plot(x, y, color=colour, marker=look_of(name).marker, markersize=6, linewidth=1.6, zorder=3,
                      markerfacecolor=PAPER, markeredgewidth=1.3, label=display_name(name))  # fmt: skip
            law = model["power_law"]["law"]
            if law is not None:
                n = np.geomspace(points[0]["n_pairs"], model["power_law"]["n_pairs"], 60)
                axes.plot(n, law["a"] - law["b"] * n ** -law["c"], color=colour, linewidth=1.1, linestyle=(0, (4, 3)),
                          zorder=1)  # fmt: skip
        sizes = [point["n_pairs"] for point in next(iter(models.values()))["points"]]
        axes.set_xticks([*sizes, 2 * sizes[-1]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{round(size):,}"))
        axes.set_xlabel("training pairs (logarithmic)")
        axes.set_ylabel(metric_in_sentence(metric))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", visible=False)
        legend_above(axes, columns=4)

    return draw
