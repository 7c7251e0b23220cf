"""The decision threshold of highest F1."""

import numpy as np


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of highest F1 for probabilities (N,), the highest of equally good ones; one must be true.

    It is midway between the lowest probability that it accepts and the next lower one.

    >>> round(best_threshold(np.array([.9, .6, .2]), np.array([True, True, False])), 3)
    0.4
    """
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    f1 = 2 * np.cumsum(truth[order]) / (np.arange(1, len(order) + 1) + truth.sum())
    following = np.append(falling[1:], -1.0)
    f1[falling == following] = -1  # no threshold separates equal probabilities
    best = int(np.argmax(f1))
    return float((falling[best] + max(following[best], 0.0)) / 2)
