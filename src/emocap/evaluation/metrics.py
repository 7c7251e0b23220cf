"""Multi-label metrics over held-out pairs; ties go to the emotion that stands first in the vocabulary.

Ranks alone decide all but `bce`, the calibration error, Hamming loss and the F1 scores. Left out: areas under the ROC
curve, which rare emotions flatter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from emocap.evaluation.weighted import BINS, AveragePrecisions, BinGaps, PairMean, Share, Statistic, bins_of


class ScoredPredictions:
    """Probabilities beside the truth, checked once, with what several metrics need of them.

    Args:
        probabilities: (N, E) float, finite.
        targets: (N, E); above 0 is true.
        threshold: () or (N,); an emotion whose probability reaches it is answered with yes, for `micro_f1`.
        thresholds: (), (E,) or (N, E); the same, for `macro_f1`.

    Raises:
        ValueError: shapes differ or a number is not finite.
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
        self.truth = self.targets > 0
        self.positives = self.truth.sum(axis=1)
        column = np.asarray(threshold, dtype=np.float64).reshape(-1, 1)
        self.threshold = np.broadcast_to(column, self.targets.shape)
        self.thresholds = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), self.targets.shape)

    @cached_property
    def ranked_truth(self) -> np.ndarray:
        """(N, E) bool: whether each pair's best, second best ... emotion is true."""
        return np.take_along_axis(self.truth, ranking(self.probabilities), axis=1)

    @cached_property
    def reaching(self) -> tuple[np.ndarray, np.ndarray]:
        """(N, E) twice: how many emotions, and true ones, score no less than each one."""
        every, true = np.empty(self.truth.shape), np.empty(self.truth.shape)
        for label in range(self.truth.shape[1]):
            reached = self.probabilities >= self.probabilities[:, [label]]
            every[:, label], true[:, label] = reached.sum(axis=1), (reached & self.truth).sum(axis=1)
        return every, true

    def best(self, k: int) -> np.ndarray:
        """(N, k) bool: whether each of the k best emotions is true.

        Raises:
            ValueError: k out of range, or no pair has a true emotion.
        """
        if not 1 <= k <= self.truth.shape[1]:
            raise ValueError(f"k is {k}, expected 1 to {self.truth.shape[1]}")
        self._require_truth()
        return self.ranked_truth[:, :k]

    def labelled(self, values: np.ndarray) -> PairMean:
        """The mean of values (N,) over the pairs with a true emotion.

        Raises:
            ValueError: there is none.
        """
        self._require_truth()
        return PairMean(np.where(self.positives > 0, values, np.nan))

    def _require_truth(self) -> None:
        if not self.positives.any():
            raise ValueError("no row of the targets has a 1")


def ranking(scores: np.ndarray) -> np.ndarray:
    """(N, E) int64: each row's labels, best first, equal scores in vocabulary order.

    >>> ranking(np.array([[.2, .9, .2]])).tolist()
    [[1, 0, 2]]
    """
    return np.argsort(-np.asarray(scores, dtype=np.float64), axis=1, kind="stable")


def _top_k(judged: ScoredPredictions, k: int) -> Statistic:
    return judged.labelled(judged.best(k).sum(axis=1) > 0)


def _recall(judged: ScoredPredictions, k: int) -> Statistic:
    return judged.labelled(judged.best(k).sum(axis=1) / np.maximum(judged.positives, 1))


def _precision(judged: ScoredPredictions, k: int) -> Statistic:
    return judged.labelled(judged.best(k).mean(axis=1))


def _pooled_recall(judged: ScoredPredictions, k: int) -> Statistic:
    return Share(judged.best(k).sum(axis=1, dtype=float), judged.positives.astype(float))


def _average_precision(judged: ScoredPredictions) -> AveragePrecisions:
    return AveragePrecisions(judged.probabilities, judged.truth)


def _label_ranking(judged: ScoredPredictions) -> Statistic:
    every, true = judged.reaching
    precision = np.where(judged.truth, true / every, 0)
    return judged.labelled(precision.sum(axis=1) / np.maximum(judged.positives, 1))


def _ndcg(judged: ScoredPredictions, k: int) -> Statistic:
    gain = judged.best(k) / np.log2(np.arange(k) + 2)
    greatest = np.cumsum(1 / np.log2(np.arange(k) + 2))
    return judged.labelled(gain.sum(axis=1) / greatest[np.clip(judged.positives, 1, k) - 1])


def _coverage(judged: ScoredPredictions) -> Statistic:
    return judged.labelled(np.where(judged.truth, judged.reaching[0], 0).max(axis=1))


def _f1_parts(judged: ScoredPredictions, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, E) twice: twice the true positives, and that plus false positives and negatives."""
    answered = judged.probabilities >= thresholds
    return 2.0 * (answered & judged.truth), answered.astype(float) + judged.truth


def _micro_f1(judged: ScoredPredictions) -> Statistic:
    hit, all_ = _f1_parts(judged, judged.threshold)
    return Share(hit.sum(axis=1), all_.sum(axis=1), empty=0.0)


def _macro_f1(judged: ScoredPredictions) -> Statistic:
    return Share(*_f1_parts(judged, judged.thresholds), empty=0.0)


def _hamming(judged: ScoredPredictions) -> Statistic:
    return PairMean(((judged.probabilities >= 0.5) != judged.truth).mean(axis=1))


def _bce(judged: ScoredPredictions) -> Statistic:
    p, t = np.clip(judged.probabilities, 1e-7, 1 - 1e-7), judged.targets
    return PairMean(-(t * np.log(p) + (1 - t) * np.log1p(-p)).mean(axis=1))


def _calibration_error(judged: ScoredPredictions, bins: int = BINS) -> Statistic:
    n, n_labels = judged.truth.shape
    cells = np.arange(n)[:, None] * bins + bins_of(judged.probabilities, bins)
    gaps = np.bincount(cells.ravel(), (judged.truth - judged.probabilities).ravel(), minlength=n * bins)
    return BinGaps(gaps.reshape(n, bins), n_labels)


def _plain(statistic: Statistic, n: int) -> float:
    return float(statistic(np.ones((1, n)))[0])


def top_k_accuracy(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of pairs with at least one true emotion among the k best-scored ones.

    Args:
        scores: (N, E) float; only the order within a row matters.
        targets: (N, E) of 0 and 1; rows without a 1 are left out.
        k: 1 <= k <= E.

    Raises:
        ValueError: k out of range, shapes differ, a score is not finite, or no row has a 1.

    >>> top_k_accuracy(np.array([[.9, .1, .8], [.9, .1, .8]]), np.array([[0, 1, 0], [0, 1, 1]]), k=2)
    0.5
    """
    return _plain(_top_k(ScoredPredictions(scores, targets), k), len(targets))


def recall_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of a pair's true emotions among its k best-scored ones.

    Args and raises as `top_k_accuracy`.

    >>> recall_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=2)
    0.5
    """
    return _plain(_recall(ScoredPredictions(scores, targets), k), len(targets))


def pooled_recall_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of all pairs' true emotions together that are among their pair's k best-scored ones.

    Args and raises as `top_k_accuracy`.

    >>> pooled_recall_at_k(np.array([[.9, .1, .2], [.9, .1, .2]]), np.array([[1, 1, 1], [1, 0, 0]]), k=1)
    0.5
    """
    return _plain(_pooled_recall(ScoredPredictions(scores, targets), k), len(targets))


def precision_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of a pair's k best-scored emotions that are true.

    Args and raises as `top_k_accuracy`.

    >>> round(precision_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=3), 3)
    0.667
    """
    return _plain(_precision(ScoredPredictions(scores, targets), k), len(targets))


def label_ranking_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over pairs, then over their true emotions, of the share of true ones among those scored no lower.

    Args and raises as `top_k_accuracy`, without k. Source: Tsoumakas et al., "Mining Multi-label Data" (2010).

    >>> label_ranking_average_precision(np.array([[.9, .1, .8]]), np.array([[0, 1, 1]]))  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    return _plain(_label_ranking(ScoredPredictions(scores, targets)), len(targets))


def ndcg_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean discounted gain, 1 / log2(1 + rank) for a true emotion among the k best, as a share of the best possible.

    Args and raises as `top_k_accuracy`. Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation" (2002).

    >>> round(ndcg_at_k(np.array([[.9, .1, .8]]), np.array([[0, 0, 1]]), k=2), 4)  # 1 / log2(3)
    0.6309
    """
    return _plain(_ndcg(ScoredPredictions(scores, targets), k), len(targets))


def coverage_error(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean number of emotions one has to go down to, best first, until all true ones are met; the worst of ties.

    Args and raises as `top_k_accuracy`, without k. Source: Tsoumakas et al., "Mining Multi-label Data" (2010).

    >>> coverage_error(np.array([[.9, .1, .8], [.9, .1, .8]]), np.array([[1, 0, 0], [0, 1, 0]]))
    2.0
    """
    return _plain(_coverage(ScoredPredictions(scores, targets)), len(targets))


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> list[float | None]:
    """Average precision of each emotion over all pairs (scikit-learn's), None where no pair has it.

    >>> average_precisions(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    [0.5, None]
    """
    found = _average_precision(ScoredPredictions(scores, targets)).per_label(np.ones((1, len(targets))))[0]
    return [None if np.isnan(value) else float(value) for value in found]


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `average_precisions` over the emotions that occur, NaN where none does.

    >>> mean_average_precision(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    0.5
    """
    return _plain(_average_precision(ScoredPredictions(scores, targets)), len(targets))


def micro_f1(probabilities: np.ndarray, targets: np.ndarray, threshold: float | np.ndarray = 0.5) -> float:
    """F1 of all pairs' and emotions' yes and no together, 0 where nothing is true or answered with yes.

    Args:
        probabilities: (N, E) float.
        targets: (N, E) of 0 and 1.
        threshold: () or (N,); an emotion whose probability reaches it is answered with yes.

    >>> micro_f1(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]))  # 2 hits, 1 false yes, 1 false no
    0.6666666666666666
    """
    return _plain(_micro_f1(ScoredPredictions(probabilities, targets, threshold=threshold)), len(targets))


def macro_f1(probabilities: np.ndarray, targets: np.ndarray, thresholds: float | np.ndarray = 0.5) -> float:
    """Mean over all emotions of their F1, 0 for one that is neither true nor answered with yes.

    Args as `micro_f1`, but thresholds: (), (E,) or (N, E).

    >>> macro_f1(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]), np.array([.5, .05]))  # 1 and 2/3
    0.8333333333333333
    """
    return _plain(_macro_f1(ScoredPredictions(probabilities, targets, thresholds=thresholds)), len(targets))


def hamming_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Share of pair-emotion cells that are answered wrongly at a threshold of 0.5.

    >>> hamming_loss(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]))
    0.5
    """
    return _plain(_hamming(ScoredPredictions(probabilities, targets)), len(targets))


def bce(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean binary cross-entropy in nats over pairs and emotions; probabilities are kept within 1e-7 of 0 and 1.

    >>> round(bce(np.array([[.5, .5]]), np.array([[1, 0]])), 4)
    0.6931
    """
    return _plain(_bce(ScoredPredictions(probabilities, targets)), len(targets))


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Mean over all pair-emotion cells of how far their bin's mean probability is from its share of positives.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        bins: of equal width. Source: Naeini et al. (2015), as in Guo et al., "On Calibration of Modern Neural
            Networks" (2017), here for every emotion's yes and no instead of the best class.

    >>> round(expected_calibration_error(np.array([[.9, .9], [.2, .2]]), np.array([[1, 0], [0, 0]]), bins=2), 3)
    0.3
    """
    return _plain(_calibration_error(ScoredPredictions(probabilities, targets), bins), len(targets))


@dataclass(frozen=True)
class Metric:
    """A metric by name: how it comes from judged pairs, and which end is good."""

    statistic: Callable[[ScoredPredictions], Statistic]
    higher_is_better: bool = True

    def __call__(
        self,
        probabilities: np.ndarray,
        targets: np.ndarray,
        *,
        threshold: float | np.ndarray = 0.5,
        thresholds: float | np.ndarray = 0.5,
    ) -> float:
        """Its plain value; arguments as `evaluate`."""
        return _plain(self.statistic(ScoredPredictions(probabilities, targets, threshold, thresholds)), len(targets))


def _at(build: Callable[[ScoredPredictions, int], Statistic], k: int) -> Metric:
    return Metric(lambda judged: build(judged, min(k, judged.truth.shape[1])))


METRICS: dict[str, Metric] = {
    "top1_accuracy": _at(_top_k, 1),
    "top2_accuracy": _at(_top_k, 2),
    "top3_accuracy": _at(_top_k, 3),
    "top5_accuracy": _at(_top_k, 5),
    "recall_at_3": _at(_recall, 3),
    "recall_at_5": _at(_recall, 5),
    "pooled_recall_at_3": _at(_pooled_recall, 3),
    "precision_at_3": _at(_precision, 3),
    "mean_average_precision": Metric(_average_precision),
    "label_ranking_average_precision": Metric(_label_ranking),
    "ndcg_at_5": _at(_ndcg, 5),
    "coverage_error": Metric(_coverage, higher_is_better=False),
    "micro_f1": Metric(_micro_f1),
    "macro_f1": Metric(_macro_f1),
    "hamming_loss": Metric(_hamming, higher_is_better=False),
    "bce": Metric(_bce, higher_is_better=False),
    "expected_calibration_error": Metric(_calibration_error, higher_is_better=False),
}
HIGHER_IS_BETTER = {name: metric.higher_is_better for name, metric in METRICS.items()}


def evaluate(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    *,
    threshold: float | np.ndarray = 0.5,
    thresholds: float | np.ndarray = 0.5,
) -> dict[str, Any]:
    """Every metric of `METRICS`, and `per_emotion_average_precision` by label (None where it does not occur).

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        labels: E emotions.
        threshold: () or (N,), for `micro_f1`.
        thresholds: (), (E,) or (N, E), for `macro_f1`.

    Raises:
        ValueError: shapes differ, a number is not finite, or no row has a 1.
    """
    judged = ScoredPredictions(probabilities, targets, threshold, thresholds)
    scores: dict[str, Any] = {
        name: _plain(metric.statistic(judged), len(judged.truth)) for name, metric in METRICS.items()
    }
    scores["per_emotion_average_precision"] = dict(zip(labels, average_precisions(probabilities, targets), strict=True))
    return scores
