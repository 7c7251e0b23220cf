"""Statistics: a metric of given pairs as a function of weights over them, which is what a bootstrap draws.

Everything that does not depend on the weights is computed once; thousands of weighted values then cost a few matrix
products. The plain value has weights of one. Weights are whole numbers or fractions, 0 or more.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

BINS = 15
LEAST_IN_BIN = 10


class Statistic(Protocol):
    """A metric of N pairs as a function of their weights.

    Attributes:
        per_pair: (N,) values whose weighted mean it is, NaN for pairs left out; None if it is not such a mean.
    """

    @property
    def per_pair(self) -> np.ndarray | None: ...

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """(B,) values for weights (B, N), NaN where undefined."""
        ...


def plain_value(statistic: Statistic, n: int) -> float:
    """The value over n pairs of equal weight."""
    return float(statistic(np.ones((1, n)))[0])


def weighted_share(numerator: np.ndarray, denominator: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=denominator > 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """(B,) means over the columns of values (B, E) that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return weighted_share(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1).astype(float))


@dataclass(frozen=True)
class PairMean:
    """The mean of `values` (N,) over the pairs where they are not NaN."""

    values: np.ndarray

    @property
    def per_pair(self) -> np.ndarray:
        return self.values

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        defined = ~np.isnan(self.values)
        return weighted_share(weights @ np.where(defined, self.values, 0), weights @ defined.astype(float))


@dataclass(frozen=True)
class Share:
    """The ratio of two sums over all pairs, (N,) each; or the mean of several such ratios, (N, E) each.

    A ratio with denominator 0 is `empty`.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    empty: float = np.nan
    per_pair: None = None

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        share = weighted_share(weights @ self.numerator, weights @ self.denominator, self.empty)
        return share if share.ndim == 1 else share.mean(axis=1)


@dataclass(frozen=True)
class BinGaps:
    """The sum over bins of |sum of `gaps`| (N, bins), divided by the number of cells, `n_cells` per pair."""

    gaps: np.ndarray
    n_cells: int
    per_pair: None = None

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return weighted_share(np.abs(weights @ self.gaps).sum(axis=1), weights.sum(axis=1) * self.n_cells)


def bins_of(probabilities: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The index of the equal-width bin of [0, 1] that contains each probability; 1 is in the last.

    >>> bins_of(np.array([0, .49, .5, 1]), 2).tolist()
    [0, 0, 1, 1]
    """
    return np.clip((np.asarray(probabilities, dtype=np.float64) * bins).astype(np.int64), 0, bins - 1)


def equal_count_bins(probabilities: np.ndarray, bins: int = BINS, least: int = LEAST_IN_BIN) -> np.ndarray:
    """(N,) index of the bin of each probability, in ascending bins of about equal count; equal ones share a bin.

    Args:
        bins: at most so many.
        least: pairs in a bin; with fewer than twice as many pairs there is one bin.

    >>> equal_count_bins(np.array([.1, .9, .2, .8]), bins=2, least=1).tolist()
    [0, 1, 0, 1]
    >>> equal_count_bins(np.array([.5, .5, .5, .8]), bins=2, least=1).tolist()
    [0, 0, 0, 1]
    """
    n = max(len(probabilities), 1)
    _, number_of, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    numbers = first * max(1, min(bins, n // least)) // n
    return np.unique(numbers[number_of], return_inverse=True)[1]


@dataclass(frozen=True)
class RocAreas:
    """The mean, over the emotions that some weighted pairs have and others lack, of the area under the ROC curve.

    Attributes:
        scores: (N, E); pairs of equal score count half.
        truth: (N, E) bool.
    """

    scores: np.ndarray
    truth: np.ndarray
    per_pair: None = None

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        labels = range(self.scores.shape[1])
        areas = [self._area(self.scores[:, label], self.truth[:, label], weights) for label in labels]
        return mean_of_defined(np.stack(areas, axis=1)) if areas else np.full(len(weights), np.nan)

    @staticmethod
    def _area(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(B,) shares of the pairs of a positive and a negative in which the positive has the higher score."""
        order = np.argsort(scores, kind="stable")
        starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
        by_pair = np.asarray(weights, dtype=np.float64)[:, order]
        positive = np.add.reduceat(np.where(truth[order], by_pair, 0), starts, axis=1)
        negative = np.add.reduceat(np.where(truth[order], 0, by_pair), starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        return weighted_share((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))


class AveragePrecisions:
    """The mean of average precision over the emotions whose positives have any weight.

    Average precision is scikit-learn's, the sum over thresholds of the step in recall times precision: pairs with
    equal scores share a threshold. Only thresholds at which recall changes are kept.
    """

    per_pair = None

    def __init__(self, scores: np.ndarray, truth: np.ndarray) -> None:
        self._steps = [self._steps_of(scores[:, label], truth[:, label]) for label in range(scores.shape[1])]

    @staticmethod
    def _steps_of(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs by falling score up to the last step, and positives; with the index at which each step starts."""
        order = np.argsort(-scores, kind="stable")
        tie = np.concatenate([[0], np.cumsum(np.diff(scores[order]) != 0)])
        positive = truth[order]
        stepping, first = np.unique(tie[positive], return_index=True)
        ends = np.searchsorted(tie, stepping, side="right")
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64) if len(ends) else ends
        return order[: ends[-1] if len(ends) else 0], starts, order[positive], first

    def per_label(self, weights: np.ndarray) -> np.ndarray:
        """(B, E) average precisions for weights (B, N), NaN where no positive has any weight."""
        by_pair = np.ascontiguousarray(weights.T, dtype=np.float64)
        precisions = np.full((weights.shape[0], len(self._steps)), np.nan)
        for label, (pairs, starts, positives, first) in enumerate(self._steps):
            if len(positives):
                above = np.cumsum(np.add.reduceat(by_pair[pairs], starts, axis=0), axis=0)
                step = np.add.reduceat(by_pair[positives], first, axis=0)
                true = np.cumsum(step, axis=0)
                precisions[:, label] = weighted_share((step * weighted_share(true, above, 0.0)).sum(axis=0), true[-1])
        return precisions

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return mean_of_defined(self.per_label(weights))
