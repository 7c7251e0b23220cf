"""Metrics of the order of the emotions: each as a statistic over weighted pairs, and as a plain function.

Those that are a mean over pairs leave out pairs without any emotion, which have no order to be right about.
"""

import numpy as np

from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import AveragePrecisions, RocAreas, Share, Statistic, plain_value


def top_k_statistic(scored: ScoredPredictions, k: int) -> Statistic:
    """`top_k_accuracy` as a function of weights over the pairs."""
    return scored.mean_over_labelled(scored.top_k(k).sum(axis=1) > 0)


def top_k_accuracy(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of pairs with at least one true emotion among the k with the highest scores.

    Args:
        scores: (N, E) float; only the order within a row matters.
        targets: (N, E) of 0 and 1; rows without a 1 are left out.
        k: 1 <= k <= E.

    Raises:
        ValueError: k out of range, shapes differ, or a score is not finite.
        EmocapError: no row has a 1.

    >>> top_k_accuracy(np.array([[.9, .1, .8], [.9, .1, .8]]), np.array([[0, 1, 0], [0, 1, 1]]), k=2)
    0.5
    """
    return plain_value(top_k_statistic(ScoredPredictions(scores, targets), k), len(targets))


def recall_statistic(scored: ScoredPredictions, k: int) -> Statistic:
    """`recall_at_k` as a function of weights over the pairs."""
    return scored.mean_over_labelled(scored.top_k(k).sum(axis=1) / np.maximum(scored.positives, 1))


def recall_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of a pair's true emotions among the k with the highest scores.

    Args and raises as `top_k_accuracy`.

    >>> recall_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=2)
    0.5
    """
    return plain_value(recall_statistic(ScoredPredictions(scores, targets), k), len(targets))


def pooled_recall_statistic(scored: ScoredPredictions, k: int) -> Statistic:
    """`pooled_recall_at_k` as a function of weights over the pairs."""
    return Share(scored.top_k(k).sum(axis=1, dtype=float), scored.positives.astype(float))


def pooled_recall_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Share of the true emotions of all pairs that are among the k with the highest scores of their pair.

    Args and raises as `top_k_accuracy`.

    >>> pooled_recall_at_k(np.array([[.9, .1, .2], [.9, .1, .2]]), np.array([[1, 1, 1], [1, 0, 0]]), k=1)
    0.5
    """
    return plain_value(pooled_recall_statistic(ScoredPredictions(scores, targets), k), len(targets))


def precision_statistic(scored: ScoredPredictions, k: int) -> Statistic:
    """`precision_at_k` as a function of weights over the pairs."""
    return scored.mean_over_labelled(scored.top_k(k).mean(axis=1))


def precision_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of true emotions among the k with the highest scores.

    Args and raises as `top_k_accuracy`.

    >>> round(precision_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=3), 3)
    0.667
    """
    return plain_value(precision_statistic(ScoredPredictions(scores, targets), k), len(targets))


def label_ranking_statistic(scored: ScoredPredictions) -> Statistic:
    """`label_ranking_average_precision` as a function of weights over the pairs."""
    n_all, n_true = scored.ranked_at_or_above
    precision = np.where(scored.truth, n_true / n_all, 0)
    return scored.mean_over_labelled(precision.sum(axis=1) / np.maximum(scored.positives, 1))


def label_ranking_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over pairs, then over their true emotions, of the share of true ones among those scored at least as high.

    Args and raises as `top_k_accuracy`, without k. Source: Tsoumakas et al., "Mining Multi-label Data" (2010).

    >>> label_ranking_average_precision(np.array([[.9, .1, .8]]), np.array([[0, 1, 1]]))  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    return plain_value(label_ranking_statistic(ScoredPredictions(scores, targets)), len(targets))


def ndcg_statistic(scored: ScoredPredictions, k: int) -> Statistic:
    """`ndcg_at_k` as a function of weights over the pairs."""
    gain = scored.top_k(k) / np.log2(np.arange(k) + 2)
    maximum = np.cumsum(1 / np.log2(np.arange(k) + 2))
    return scored.mean_over_labelled(gain.sum(axis=1) / maximum[np.clip(scored.positives, 1, k) - 1])


def ndcg_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean discounted gain, 1 / log2(1 + rank) for a true emotion among the k best, divided by the maximum.

    Args and raises as `top_k_accuracy`. Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation" (2002).

    >>> round(ndcg_at_k(np.array([[.9, .1, .8]]), np.array([[0, 0, 1]]), k=2), 4)  # 1 / log2(3)
    0.6309
    """
    return plain_value(ndcg_statistic(ScoredPredictions(scores, targets), k), len(targets))


def coverage_statistic(scored: ScoredPredictions) -> Statistic:
    """`coverage_error` as a function of weights over the pairs."""
    return scored.mean_over_labelled(np.where(scored.truth, scored.ranked_at_or_above[0], 0).max(axis=1))


def coverage_error(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean rank of the lowest-ranked true emotion; tied emotions all have the lowest of their ranks.

    Args and raises as `top_k_accuracy`, without k. Source: Tsoumakas et al., "Mining Multi-label Data" (2010).

    >>> coverage_error(np.array([[.9, .1, .8], [.9, .1, .8]]), np.array([[1, 0, 0], [0, 1, 0]]))
    2.0
    """
    return plain_value(coverage_statistic(ScoredPredictions(scores, targets)), len(targets))


def average_precision_statistic(scored: ScoredPredictions) -> AveragePrecisions:
    """`mean_average_precision` as a function of weights over the pairs."""
    return AveragePrecisions(scored.probabilities, scored.truth)


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> list[float | None]:
    """Average precision of each emotion over all pairs (scikit-learn's), None if no pair has it.

    >>> average_precisions(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    [0.5, None]
    """
    precisions = average_precision_statistic(ScoredPredictions(scores, targets)).per_label(np.ones((1, len(targets))))[
        0
    ]
    return [None if np.isnan(value) else float(value) for value in precisions]


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `average_precisions` over the emotions that occur, NaN if none does.

    >>> mean_average_precision(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    0.5
    """
    return plain_value(average_precision_statistic(ScoredPredictions(scores, targets)), len(targets))


def roc_statistic(scored: ScoredPredictions) -> Statistic:
    """`roc_auc` as a function of weights over the pairs."""
    return RocAreas(scored.probabilities, scored.truth)


def roc_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over emotions of the area under the ROC curve, over those that some pairs have and others lack; else NaN.

    The share of pairs of a positive and a negative in which the positive has the higher score; equal scores count half.
    It flatters rare emotions, of which most negatives are easy: 0.9 may go with an average precision of 0.1.

    >>> roc_auc(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    0.5
    """
    return plain_value(roc_statistic(ScoredPredictions(scores, targets)), len(targets))


def average_precisions_in_random_order(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(E,) expected average precision of each emotion if pairs of equal score are put in random order, NaN as above.

    Pairs of equal score share a threshold in `average_precisions`, so that constant scores reach the frequency. Scores
    of noise reach more, above all for few pairs: (H_n + (n - H_n)(k - 1)/(n - 1)) / n for k of n, H_n being the
    harmonic number. Source: McSherry and Najork, "Computing information retrieval performance measures efficiently in
    the presence of tied scores" (2008), section 3.2.

    >>> average_precisions_in_random_order(np.full((3, 1), .5), np.array([[1], [0], [0]])).round(3).tolist()
    [0.611]
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(targets) > 0
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(scores) + 1))])
    expected = np.full(scores.shape[1], np.nan)
    for label in np.flatnonzero(truth.any(axis=0)):
        _, group_of, sizes = np.unique(-scores[:, label], return_inverse=True, return_counts=True)
        positives = np.bincount(group_of, truth[:, label])
        above, positives_above = np.cumsum(sizes) - sizes, np.cumsum(positives) - positives
        slope = (positives - 1) / np.maximum(sizes - 1, 1)  # further positives above a positive, by place in its group
        sums = (positives_above + 1 - slope * (above + 1)) * (harmonic[above + sizes] - harmonic[above]) + slope * sizes
        expected[label] = float((positives / sizes * sums).sum() / positives.sum())
    return expected
