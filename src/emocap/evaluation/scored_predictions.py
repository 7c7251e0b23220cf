"""Probabilities and targets of pairs, from which every metric is computed; ties are broken by vocabulary order."""

from functools import cached_property

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.statistics import PairMean


class ScoredPredictions:
    """Probabilities and targets of N pairs, checked once, with the intermediate results that several metrics need.

    Args:
        probabilities: (N, E) float, finite.
        targets: (N, E), 0 to 1; above 0 is a positive label. A row of zeros is a pair without any emotion.
        threshold: () or (N,), for `micro_f1`; an emotion is predicted where its probability is at least this.
        thresholds: (), (E,) or (N, E), for `macro_f1` and `micro_f1_per_label`; the same, for each emotion.

    Raises:
        ValueError: shapes differ, a score is not finite, or a target is not within 0 to 1.
    """

    def __init__(
        self,
        probabilities: np.ndarray,
        targets: np.ndarray,
        threshold: float | np.ndarray = 0.5,
        thresholds: float | np.ndarray = 0.5,
    ) -> None:
        self.probabilities = np.asarray(probabilities, dtype=np.float64)
        self.targets = np.asarray(targets, dtype=np.float64)
        if self.probabilities.shape != self.targets.shape or self.targets.ndim != 2:
            raise ValueError(f"scores {self.probabilities.shape} and targets {self.targets.shape} must be (N, E) alike")
        if not np.isfinite(self.probabilities).all():
            raise ValueError("scores hold NaN or infinity")
        if not ((self.targets >= 0) & (self.targets <= 1)).all():
            raise ValueError("targets must be within 0 to 1; no value marks a cell as unknown")
        self.truth = self.targets > 0
        self.positives = self.truth.sum(axis=1)
        column = np.asarray(threshold, dtype=np.float64).reshape(-1, 1)
        self.threshold = np.broadcast_to(column, self.targets.shape)
        self.thresholds = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), self.targets.shape)

    @property
    def n_ranked(self) -> int:
        """The number of pairs with a true emotion, over which `mean_over_labelled` averages."""
        return int((self.positives > 0).sum())

    @cached_property
    def ranked_truth(self) -> np.ndarray:
        """(N, E) bool: whether the emotion at each rank of a pair is true, the most probable first."""
        return np.take_along_axis(self.truth, ranking(self.probabilities), axis=1)

    @cached_property
    def ranked_at_or_above(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, E) twice: how many emotions, and how many true emotions, score at least as high as each one."""
        n_all, n_true = np.empty(self.truth.shape), np.empty(self.truth.shape)
        for label in range(self.truth.shape[1]):
            at_or_above = self.probabilities >= self.probabilities[:, [label]]
            n_all[:, label], n_true[:, label] = at_or_above.sum(axis=1), (at_or_above & self.truth).sum(axis=1)
        return n_all, n_true

    def top_k(self, k: int) -> np.ndarray:
        """(N, k) bool: whether each of the k most probable emotions is true.

        Raises:
            ValueError: k out of range.
            EmocapError: no pair has a true emotion.
        """
        if not 1 <= k <= self.truth.shape[1]:
            raise ValueError(f"k is {k}, expected 1 to {self.truth.shape[1]}")
        self._require_truth()
        return self.ranked_truth[:, :k]

    def mean_over_labelled(self, values: np.ndarray) -> PairMean:
        """The mean of values (N,) over the pairs that have a true emotion.

        Raises:
            EmocapError: no pair has one.
        """
        self._require_truth()
        return PairMean(np.where(self.positives > 0, values, np.nan))

    def _require_truth(self) -> None:
        if not self.positives.any():
            raise EmocapError(
                f"evaluation: none of the {len(self.truth)} pairs has an emotion, so that no ranking can be right or "
                "wrong; evaluate pairs of which some have one"
            )


def ranking(scores: np.ndarray) -> np.ndarray:
    """(N, E) int64: each row's labels by falling score, ties in vocabulary order.

    >>> ranking(np.array([[.2, .9, .2]])).tolist()
    [[1, 0, 2]]
    """
    return np.argsort(-np.asarray(scores, dtype=np.float64), axis=1, kind="stable")
