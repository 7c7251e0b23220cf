"""Figures of ratings: Pearson's r of every model with its interval, and predicted against true means."""

import numpy as np
from matplotlib.axes import Axes

from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.report.files.ratings import RatingResults
from emocap.report.files.results import Results
from emocap.report.files.run import Run
from emocap.report.plots.axes import Draw, legend_above
from emocap.report.plots.figure import HEIGHT, Drawing, drawing_of, sentence_of
from emocap.report.plots.intervals import Estimate, estimates, places_of
from emocap.report.plots.svg import MUTED, SERIES
from emocap.report.text import counted, interval_text, label_of, number
from emocap.study.models import display_name

ROW, MAX_POINTS = 0.3, 500


def rating_scores(results: Results, ratings: RatingResults, name: str) -> Drawing | None:
    """Pearson's r of each model with its interval, and the human ceiling as a line; None where all are undefined."""
    compared = results.rating(name)
    rows = [
        Estimate(
            display_name(model),
            compared.models[model][RATING_PRIMARY],
            compared.interval(model, RATING_PRIMARY),
            group="baselines" if results.kinds[model] in ("baseline", "selection") else "models",
            strong=model == results.chosen,
        )
        for model in results.ordered_models()
        if model in compared.models
    ]
    if all(row.value is None for row in rows):
        return None
    ceiling = (ratings.ceiling.get(name) or {}).get(RATING_PRIMARY)
    line = None if ceiling is None else (ceiling, "human ceiling")
    parts = [f"{row.name} {number(row.value)} {interval_text(row.interval)}".rstrip() for row in rows]
    parts += [] if ceiling is None else [f"the human ceiling is {number(ceiling)}"]
    height = ROW * places_of(rows)[-1] + 1.35
    draw = estimates(rows, "Pearson’s r", line)
    place = ratings.names.index(name)
    title = f"Pearson’s r of {name} with 95% intervals"
    return drawing_of(f"rating-{place}-scores", height, draw, title, sentence_of(parts))


def rating_scatter(run: Run, ratings: RatingResults, name: str, model: str | None) -> Drawing | None:
    """A model's predictions of one rating against the true means; None without predictions of this run."""
    points = None if model is None else run.rating_points(name, model)
    if model is None or points is None:
        return None
    true, predicted = points
    shown = np.unique(np.linspace(0, len(true) - 1, MAX_POINTS).astype(int))
    low, high = ratings.range[name]
    draw = scatter(true[shown], predicted[shown], (low, high), name)
    n_pairs = counted(len(true), "test pair", "test pairs")
    parts = [
        f"{label_of(model)} predicts {_range(predicted)} where the true means are {_range(true)}, "
        f"on a scale of {low:g} to {high:g}"
    ]
    parts.append(f"{len(shown):,} of {n_pairs}, evenly spread, are drawn" if len(shown) < len(true) else n_pairs)
    seeds = f"; seed {run.results.seeds[0]} of {len(run.results.seeds)}" if len(run.results.seeds) > 1 else ""
    place = ratings.names.index(name)
    title = f"{name[:1].upper()}{name[1:]}: predicted against true means"
    return drawing_of(f"rating-{place}-scatter", HEIGHT + 0.9, draw, title, sentence_of(parts)[:-1] + f"{seeds}.")


def _range(values: np.ndarray) -> str:
    return f"{values.min():.2f} to {values.max():.2f} (mean {values.mean():.2f})"


def scatter(true: np.ndarray, predicted: np.ndarray, limits: tuple[float, float], name: str) -> Draw:
    """A dot per pair on two equal axes, with the diagonal on which both are the same."""

    def draw(axes: Axes) -> None:
        axes.plot(limits, limits, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label="equal", zorder=2)
        axes.plot(true, predicted, linestyle="none", marker="o", markersize=3.6, color=SERIES[0], alpha=0.45,
                  markeredgewidth=0, clip_on=False, zorder=3)  # fmt: skip
        margin = 0.02 * (limits[1] - limits[0])
        axes.set_xlim(limits[0] - margin, limits[1] + margin)
        axes.set_ylim(limits[0] - margin, limits[1] + margin)
        axes.set_aspect("equal")
        axes.set_xlabel(f"true mean of {name}")
        axes.set_ylabel("predicted")
        axes.spines["left"].set_visible(False)
        legend_above(axes, columns=2)

    return draw
