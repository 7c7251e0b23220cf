"""Comparison of models on ratings: each metric with its interval, and the paired differences to reference models.

The draws are those of `bootstrap`: images are drawn, and seeds where there are several. A rating that only some pairs
have is measured on these pairs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.evaluation.bootstrap import Draws, replicates
from emocap.evaluation.intervals import Estimate, estimate, interval, minimum_detectable, simultaneous_intervals
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.rating_metrics import RATING_METRICS, RATING_PRIMARY, MomentStatistic
from emocap.ratings import Ratings

MEAN = ""  # in place of a rating's name: the mean over all, of Pearson's r alone, by which models are chosen
Key = tuple[str, str]  # rating and metric


class RatingRepeat:
    """One repeat's predicted ratings, rows ascending, and each metric of each rating as a function of weights."""

    def __init__(self, predictions: ModelPredictions, true: np.ndarray, ratings: Ratings) -> None:
        ordered = predictions.ordered()
        self.rows = ordered.rows
        self.statistics: dict[Key, MomentStatistic] = {
            (rating.name, name): metric.statistic(ordered.ratings[:, column], true[ordered.rows, column], rating.span)
            for column, rating in enumerate(ratings)
            for name, metric in RATING_METRICS.items()
        }
        self._names = ratings.names

    def values(self, weights: np.ndarray) -> dict[Key, np.ndarray]:
        """(B,) by rating and metric for weights (B, N)."""
        values = {key: statistic(weights) for key, statistic in self.statistics.items()}
        of_all = [values[name, RATING_PRIMARY] for name in self._names]
        return values | {(MEAN, RATING_PRIMARY): np.mean(of_all, axis=0)}

    def drawn(self, weights: np.ndarray) -> tuple[dict[Key, np.ndarray], None]:
        """As `bootstrap.Repeat.drawn`."""
        return self.values(weights), None


def compare_ratings(
    predictions: Mapping[str, Sequence[ModelPredictions]],
    true: np.ndarray,
    images: Sequence[str],
    ratings: Ratings,
    *,
    references: Sequence[str],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every model's metrics of every rating with their intervals, and its differences to the references.

    Args:
        predictions: by model, one entry per repeat, with ratings.
        true: (M, R) from 0 to 1, NaN where missing, of the table that the predictions' rows refer to.
        images: (M,) keys of the units that are drawn, such as the image of a pair.
        ratings: the R ratings.
        references: models to which every other is compared.
        n_bootstrap: number of draws.
        seed: of the draws.

    Returns:
        `names`, `range` and `n_pairs` of the ratings; `models`: model -> rating -> metric -> mean over repeats;
        `intervals`: the same to [low, high] at 95%; `differences`: reference -> model -> rating -> metric ->
        `difference`, `low`, `high` and `simultaneous`, of r also `minimum_detectable`; and the same three for the mean
        of Pearson's r over the ratings in `mean`. RMSE is in units of the rating. Undefined values are null.
    """
    repeats = {name: [RatingRepeat(each, true, ratings) for each in model] for name, model in predictions.items()}
    values = {name: _values_over_repeats(model) for name, model in repeats.items()}
    drawn: Mapping[str, Draws] = replicates(repeats, images, n_bootstrap, seed)  # type: ignore[arg-type]
    tested = np.unique(np.concatenate([repeat.rows for model in repeats.values() for repeat in model]))
    sizes = {
        rating.name: _n_images(images, tested[~np.isnan(true[tested, column])]) for column, rating in enumerate(ratings)
    }
    sizes[MEAN] = min(sizes.values())
    found = _Comparison(values, drawn, sizes)
    names = ratings.names
    n_known = (~np.isnan(true[tested])).sum(axis=0)
    return {
        "names": names,
        "range": ratings.ranges,
        "n_pairs": {name: int(n) for name, n in zip(names, n_known, strict=True)},
        **found.tables(names, list(RATING_METRICS), references),
        "mean": {part: _of_mean(table) for part, table in found.tables([MEAN], [RATING_PRIMARY], references).items()},
    }


def _of_mean(table: Any) -> Any:
    """A table by rating, of which there is the mean alone, without that level."""
    return table[MEAN] if MEAN in table else {key: _of_mean(value) for key, value in table.items()}


def _n_images(images: Sequence[str], rows: np.ndarray) -> int:
    return len({images[row] for row in rows})


def _values_over_repeats(model: Sequence[RatingRepeat]) -> dict[Key, np.ndarray]:
    each = [repeat.values(np.ones((1, len(repeat.rows)))) for repeat in model]
    return {key: np.array([values[key][0] for values in each]) for key in each[0]}


class _Comparison:
    """Values and draws by model, and number of images by rating."""

    def __init__(
        self, values: Mapping[str, dict[Key, np.ndarray]], drawn: Mapping[str, Draws], n_images: Mapping[str, int]
    ) -> None:
        self.values, self.drawn, self.n_images = values, drawn, n_images

    def tables(self, names: Sequence[str], metrics: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
        """`models`, `intervals` and `differences` of these ratings and metrics."""
        return {
            "models": self._by_model(names, metrics, self._value),
            "intervals": self._by_model(names, metrics, self._interval),
            "differences": {reference: self._differences(reference, names, metrics) for reference in references},
        }

    def _by_model(self, names: Sequence[str], metrics: Sequence[str], of: Any) -> dict[str, Any]:
        return {model: {name: {m: of(model, (name, m)) for m in metrics} for name in names} for model in self.values}

    def _value(self, model: str, key: Key) -> float | None:
        value = float(self.values[model][key].mean())
        return None if np.isnan(value) else value

    def _interval(self, model: str, key: Key) -> list[float] | None:
        estimated = self._estimate(model, key)
        lowest, highest = RATING_METRICS[key[1]].bounds
        return None if estimated is None else interval(estimated, lowest=lowest, highest=highest)

    def _differences(self, reference: str, names: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
        others = [model for model in self.values if model != reference]
        found: dict[str, Any] = {model: {name: {} for name in names} for model in others}
        for name in names:
            for metric in metrics:
                lowest, highest = (-2.0, 2.0) if np.isfinite(RATING_METRICS[metric].bounds[1]) else (-np.inf, np.inf)
                estimates = [self._estimate(model, (name, metric), reference) for model in others]
                together = simultaneous_intervals(estimates, lowest=lowest, highest=highest)
                for model, estimated, simultaneous in zip(others, estimates, together, strict=True):
                    if estimated is None:
                        found[model][name][metric] = None
                        continue
                    low, high = interval(estimated, lowest=lowest, highest=highest)
                    value = {"difference": estimated.value, "low": low, "high": high, "simultaneous": simultaneous}
                    if metric == RATING_PRIMARY:
                        value["minimum_detectable"] = minimum_detectable(estimated)
                    found[model][name][metric] = value
        return found

    def _estimate(self, model: str, key: Key, reference: str | None = None) -> Estimate | None:
        """The mean over repeats, or its difference to the reference's; repeats of equal number are paired."""
        own, other = self.values[model][key], np.zeros(1) if reference is None else self.values[reference][key]
        compared = [own - other] if len(own) == len(other) else [own, other]
        several = [each for each in compared if len(each) > 1]
        draws = self.drawn[model].values[key]  # type: ignore[index]
        if reference is not None:
            draws = draws - self.drawn[reference].values[key]  # type: ignore[index]
        return estimate(
            float(own.mean() - other.mean()),
            draws,
            self.n_images[key[0]],
            seed_error=float(np.sqrt(sum(each.var(ddof=1) / len(each) for each in several))),
            n_seeds=min((len(each) for each in several), default=1),
        )
