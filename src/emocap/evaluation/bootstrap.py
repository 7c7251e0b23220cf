"""A paired bootstrap over images, and over seeds where there are several: draws of every metric of every model.

Whole images are drawn with replacement, since pairs of the same image are not independent. Every model and repeat is
weighted by the same draws, so that differences are paired (Efron and Tibshirani, "An Introduction to the Bootstrap",
1993). Of n repeats n - 1 are drawn with replacement, independently of the images (Owen, "The pigeonhole bootstrap",
2007): drawing n would give (n - 1) / n of their variance. Models with equally many repeats share these draws as well.
`scipy.stats.bootstrap` is not used because it draws separately for every statistic and would sort again for every draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emocap.evaluation.metrics import METRICS, PRIMARY
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.ranking_metrics import average_precisions_in_random_order, mean_average_precision
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import AveragePrecisions, Statistic, mean_of_defined

CELLS_AT_ONCE = 2_000_000


class Repeat:
    """One repeat's predictions, rows ascending, and each of the metrics as a function of weights over them."""

    def __init__(self, predictions: ModelPredictions, targets: np.ndarray, metrics: Sequence[str]) -> None:
        self.predictions = predictions.ordered()
        self.rows = self.predictions.rows
        self.targets = targets[self.rows]
        scored = ScoredPredictions(
            self.predictions.probabilities, self.targets, self.predictions.threshold, self.predictions.thresholds
        )
        self.statistics: dict[str, Statistic] = {name: METRICS[name].statistic(scored) for name in metrics}

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """(B,) by metric for weights (B, N)."""
        return {name: statistic(weights) for name, statistic in self.statistics.items()}

    def drawn(self, weights: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """`values`, and the emotions' average precision (B, E), None where it is not among the metrics."""
        precisions = self.statistics.get(PRIMARY)
        if not isinstance(precisions, AveragePrecisions):
            return self.values(weights), None
        per_label = precisions.per_label(weights)
        return {
            name: mean_of_defined(per_label) if name == PRIMARY else statistic(weights)
            for name, statistic in self.statistics.items()
        }, per_label

    @cached_property
    def gain_of_random_order(self) -> float:
        """How much the mean average precision rises if pairs of equal probability are put in random order."""
        p = self.predictions.probabilities
        tied = mean_average_precision(p, self.targets)
        return float(np.nanmean(average_precisions_in_random_order(p, self.targets))) - tied


@dataclass(frozen=True, eq=False)
class Draws:
    """A model's bootstrap draws, the mean over the drawn repeats.

    Attributes:
        values: (n_bootstrap,) by metric.
        per_emotion: (n_bootstrap, E) average precision, None where the primary metric was not asked for.
    """

    values: dict[str, np.ndarray]
    per_emotion: np.ndarray | None


def replicates(
    repeats: Mapping[str, list[Repeat]], images: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, Draws]:
    """Each model's draws, all of the same images."""
    tested = predicted_rows(repeats)
    distinct, number_of = np.unique(np.array([images[row] for row in tested], dtype=object), return_inverse=True)
    image_of = np.zeros(len(images), dtype=np.int64)
    image_of[tested] = number_of
    generator, n_images = np.random.default_rng(seed), len(distinct)
    shares = {len(model): _shares_of_repeats(len(model), n_bootstrap, seed) for model in repeats.values()}
    at_once = max(1, CELLS_AT_ONCE // len(tested))
    parts: dict[str, list[Draws]] = {name: [] for name in repeats}
    for start in range(0, n_bootstrap, at_once):
        n = min(at_once, n_bootstrap - start)
        draws = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n).astype(np.float64)
        for name, model in repeats.items():
            drawn = [repeat.drawn(draws[:, image_of[repeat.rows]]) for repeat in model]
            parts[name].append(_averaged(drawn, shares[len(model)][:, start : start + n]))
    return {name: _concatenated(model_parts) for name, model_parts in parts.items()}


def _averaged(drawn: Sequence[tuple[dict[str, np.ndarray], np.ndarray | None]], share: np.ndarray) -> Draws:
    """The mean over R repeats with weights (R, B)."""
    values = {metric: (share * [each[metric] for each, _ in drawn]).sum(axis=0) for metric in drawn[0][0]}
    per_emotion = [each for _, each in drawn if each is not None]
    if not per_emotion:
        return Draws(values, None)
    return Draws(values, np.einsum("rb,rbe->be", share, np.stack(per_emotion)))


def _concatenated(parts: Sequence[Draws]) -> Draws:
    values = {metric: np.concatenate([part.values[metric] for part in parts]) for metric in parts[0].values}
    per_emotion = [part.per_emotion for part in parts if part.per_emotion is not None]
    return Draws(values, np.concatenate(per_emotion) if per_emotion else None)


def predicted_rows(repeats: Mapping[str, list[Repeat]]) -> np.ndarray:
    """Ascending row numbers of the pairs that any repeat of any model predicts."""
    return np.unique(np.concatenate([repeat.rows for model in repeats.values() for repeat in model]))


def _shares_of_repeats(n: int, n_bootstrap: int, seed: int) -> np.ndarray:
    """(n, n_bootstrap) weight of each of n repeats in each draw, which sum to 1."""
    if n == 1:
        return np.ones((1, n_bootstrap))
    generator = np.random.default_rng([seed, n])
    return (generator.multinomial(n - 1, np.full(n, 1 / n), size=n_bootstrap) / (n - 1)).T
