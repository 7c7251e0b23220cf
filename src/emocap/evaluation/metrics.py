"""Multi-label metrics over held-out pairs; ties go to the emotion that stands first in the vocabulary.

Only the rank of a score matters, but for `bce`. Left out: thresholded scores (F1, Hamming loss).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def ranking(scores: np.ndarray) -> np.ndarray:
    """(N, E) int64: each row's labels, best first, equal scores in vocabulary order.

    >>> ranking(np.array([[.2, .9, .2]])).tolist()
    [[1, 0, 2]]
    """
    return np.argsort(-np.asarray(scores, dtype=np.float64), axis=1, kind="stable")


def _hits(scores: np.ndarray, targets: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Per labelled pair: true emotions among its k best, and true emotions in all."""
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.shape != targets.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and targets {targets.shape} must be (N, E) alike")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}, expected 1 to {scores.shape[1]}")
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinity")
    truth = targets > 0
    labelled = truth.any(axis=1)
    if not labelled.any():
        raise ValueError("no row of the targets has a 1")
    best = ranking(scores[labelled])[:, :k]
    return np.take_along_axis(truth[labelled], best, axis=1).sum(axis=1), truth[labelled].sum(axis=1)


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
    hits, _ = _hits(scores, targets, k)
    return float((hits > 0).mean())


def recall_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of a pair's true emotions among its k best-scored ones.

    Args and raises as `top_k_accuracy`.

    >>> recall_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=2)
    0.5
    """
    hits, positives = _hits(scores, targets, k)
    return float((hits / positives).mean())


def precision_at_k(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    """Mean share of a pair's k best-scored emotions that are true.

    Args and raises as `top_k_accuracy`.

    >>> round(precision_at_k(np.array([[.9, .1, .8]]), np.array([[1, 1, 0]]), k=3), 3)
    0.667
    """
    hits, _ = _hits(scores, targets, k)
    return float((hits / k).mean())


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> list[float | None]:
    """Average precision of each emotion over all pairs (scikit-learn's), None where no pair has it.

    >>> average_precisions(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    [0.5, None]
    """
    from sklearn.metrics import average_precision_score  # a second to import, and a prediction needs only `ranking`

    truth = np.asarray(targets) > 0
    return [
        float(average_precision_score(truth[:, label], np.asarray(scores)[:, label])) if truth[:, label].any() else None
        for label in range(truth.shape[1])
    ]


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of `average_precisions` over the emotions that occur.

    >>> mean_average_precision(np.array([[.9, .1], [.8, .2], [.1, .3]]), np.array([[0, 0], [1, 0], [0, 0]]))
    0.5
    """
    return float(np.mean([value for value in average_precisions(scores, targets) if value is not None]))


def bce(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean binary cross-entropy in nats over pairs and emotions; probabilities are kept within 1e-7 of 0 and 1.

    >>> round(bce(np.array([[.5, .5]]), np.array([[1, 0]])), 4)
    0.6931
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-7, 1 - 1e-7)
    t = np.asarray(targets, dtype=np.float64)
    return float(-(t * np.log(p) + (1 - t) * np.log1p(-p)).mean())


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "top1_accuracy": lambda p, t: top_k_accuracy(p, t, 1),
    "top2_accuracy": lambda p, t: top_k_accuracy(p, t, min(2, t.shape[1])),
    "top3_accuracy": lambda p, t: top_k_accuracy(p, t, min(3, t.shape[1])),
    "recall_at_3": lambda p, t: recall_at_k(p, t, min(3, t.shape[1])),
    "precision_at_3": lambda p, t: precision_at_k(p, t, min(3, t.shape[1])),
    "mean_average_precision": mean_average_precision,
    "bce": bce,
}
HIGHER_IS_BETTER = {name: name != "bce" for name in METRICS}


def evaluate(probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Every metric of `METRICS`, and `per_emotion_average_precision` by label (None where it does not occur)."""
    scores: dict[str, Any] = {name: metric(probabilities, targets) for name, metric in METRICS.items()}
    scores["per_emotion_average_precision"] = dict(zip(labels, average_precisions(probabilities, targets), strict=True))
    return scores
