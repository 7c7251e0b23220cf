"""Metrics of pairs in hand as functions of weights over the pairs, which is what a bootstrap draws.

Whatever a metric needs of a pair is worked out once; thousands of weighted values then cost a few matrix products. The
plain value is the one with weights of one. Weights are whole or broken numbers from 0 up.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

BINS = 15


class Statistic(Protocol):
    """A metric of N pairs that are in hand, as a function of their weights.

    Attributes:
        per_pair: (N,) values whose weighted mean it is, NaN where a pair is left out; None where it is no such mean.
    """

    @property
    def per_pair(self) -> np.ndarray | None: ...

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """(B,) values for weights (B, N), NaN where one is undefined."""
        ...


def plain_value(statistic: Statistic, n: int) -> float:
    """The value over n pairs of equal weight."""
    return float(statistic(np.ones((1, n)))[0])


def weighted_share(numerator: np.ndarray, denominator: np.ndarray, empty: float = np.nan) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, empty), where=denominator > 0)


@dataclass(frozen=True)
class PairMean:
    """The mean of `values` (N,) over the pairs where they are not NaN."""

    values: np.ndarray

    @property
    def per_pair(self) -> np.ndarray:
        return self.values

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        known = ~np.isnan(self.values)
        return weighted_share(weights @ np.where(known, self.values, 0), weights @ known.astype(float))


@dataclass(frozen=True)
class Share:
    """A sum over all pairs in the share of another: (N,) each; or the mean of several such shares: (N, E) each.

    A share of nothing is `empty`.
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
    """The sum over bins of |sum of `gaps`| (N, bins) as a share of the cells, `n_cells` a pair."""

    gaps: np.ndarray
    n_cells: int
    per_pair: None = None

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return weighted_share(np.abs(weights @ self.gaps).sum(axis=1), weights.sum(axis=1) * self.n_cells)


def bins_of(probabilities: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The number of the equal-width bin of [0, 1] that each probability falls in; 1 falls in the last.

    >>> bins_of(np.array([0, .49, .5, 1]), 2).tolist()
    [0, 0, 1, 1]
    """
    return np.clip((np.asarray(probabilities, dtype=np.float64) * bins).astype(np.int64), 0, bins - 1)


class AveragePrecisions:
    """The mean over emotions of average precision, left out where an emotion has no weight on its positives.

    Average precision is scikit-learn's, the sum over thresholds of the step in recall times precision: pairs of equal
    score stand or fall together. Only thresholds at which recall steps are kept.
    """

    per_pair = None

    def __init__(self, scores: np.ndarray, truth: np.ndarray) -> None:
        self._steps = [self._steps_of(scores[:, label], truth[:, label]) for label in range(scores.shape[1])]

    @staticmethod
    def _steps_of(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
        """Pairs by falling score down to the last step, where each step's pairs begin, its positives, where they do."""
        order = np.argsort(-scores, kind="stable")
        tie = np.concatenate([[0], np.cumsum(np.diff(scores[order]) != 0)])
        positive = truth[order]
        stepping, first = np.unique(tie[positive], return_index=True)
        ends = np.searchsorted(tie, stepping, side="right")
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64) if len(ends) else ends
        return order[: ends[-1] if len(ends) else 0], starts, order[positive], first

    def per_label(self, weights: np.ndarray) -> np.ndarray:
        """(B, E) average precisions for weights (B, N), NaN where no positive has weight."""
        by_pair = np.ascontiguousarray(weights.T, dtype=np.float64)
        found = np.full((weights.shape[0], len(self._steps)), np.nan)
        for label, (pairs, starts, positives, first) in enumerate(self._steps):
            if len(positives):
                above = np.cumsum(np.add.reduceat(by_pair[pairs], starts, axis=0), axis=0)
                step = np.add.reduceat(by_pair[positives], first, axis=0)
                true = np.cumsum(step, axis=0)
                found[:, label] = weighted_share((step * weighted_share(true, above, 0.0)).sum(axis=0), true[-1])
        return found

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        found = self.per_label(weights)
        known = ~np.isnan(found)
        return weighted_share(np.where(known, found, 0).sum(axis=1), known.sum(axis=1).astype(float))
