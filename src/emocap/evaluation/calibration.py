"""Calibration: a temperature for the probabilities, and decision thresholds, both fitted on validation pairs.

Temperature scaling is from Guo et al., "On Calibration of Modern Neural Networks" (2017), applied to
every emotion's logit with one temperature. Left out: a temperature per emotion, for which rare emotions have too few
positives.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from emocap.evaluation.statistics import BINS, bins_of

TEMPERATURES = (0.05, 20.0)
SMALLEST = 1e-12  # far below any model's probabilities, since clipping makes ties and changes the order


@dataclass(frozen=True, eq=False)
class Calibration:
    """A temperature and decision thresholds.

    Attributes:
        temperature: divides the logits; above 1 if the model is overconfident.
        threshold: one for all emotions; an emotion is predicted if its scaled probability is at least this.
        thresholds: (E,) float64, one per emotion.
    """

    temperature: float
    threshold: float
    thresholds: np.ndarray


def calibrate(probabilities: np.ndarray, targets: np.ndarray, *, scaled: bool = True) -> Calibration:
    """The temperature of lowest binary cross-entropy, and the thresholds of highest F1 after scaling by it.

    A threshold is midway between the lowest probability that it accepts and the next lower one. An emotion without
    positives gets the common threshold. Without any positive: temperature 1 and thresholds 0.5.

    Args:
        probabilities: (N, E) within 0 to 1, of validation pairs, uncalibrated.
        targets: (N, E) of 0 and 1.
        scaled: False keeps the temperature at 1, for probabilities that must not change.

    Raises:
        ValueError: shapes differ, or a probability is not within 0 to 1.

    >>> fitted = calibrate(np.array([[.9, .9]] * 4), np.array([[1, 1], [1, 1], [1, 1], [0, 0]]))
    >>> round(fitted.temperature, 3)  # log(.9 / .1) / log(3 / 1): .9 becomes .75, the share of positives
    2.0
    >>> round(fitted.threshold, 3), fitted.thresholds.round(3).tolist()  # midway between 0 and .75
    (0.375, [0.375, 0.375])
    """
    logits, truth = _logits(probabilities), np.asarray(targets) > 0
    if logits.shape != truth.shape or logits.ndim != 2:
        raise ValueError(f"probabilities {logits.shape} and targets {truth.shape} must be (N, E) alike")
    if not truth.any():
        return Calibration(1.0, 0.5, np.full(truth.shape[1], 0.5))

    def loss(log_temperature: float) -> float:
        divided = logits / np.exp(log_temperature)
        return float((np.logaddexp(0, divided) - truth * divided).mean())

    temperature = 1.0
    if scaled:
        minimum = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
        temperature = float(np.exp(minimum.x))
    p = scale(probabilities, temperature)
    threshold = best_threshold(p.ravel(), truth.ravel())
    thresholds = np.full(truth.shape[1], threshold)
    for label in np.flatnonzero(truth.any(axis=0)):
        thresholds[label] = best_threshold(p[:, label], truth[:, label])
    return Calibration(temperature, threshold, thresholds)


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of any shape with their logits divided by the temperature, float64; their order does not change.

    Raises:
        ValueError: the temperature is not above 0, or a probability is not within 0 to 1.

    >>> scale(np.array([.5, .9, .1]), 2.0).round(4).tolist()  # odds of 9 become 3
    [0.5, 0.75, 0.25]
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    scaled = _logits(probabilities) / temperature
    return np.exp(-np.logaddexp(0, -scaled))


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The threshold of highest F1 for probabilities (N,), the highest of equally good ones; one must be true.

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


def reliability_curve(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> dict[str, list[Any]]:
    """Mean probability, share of positives (None if empty) and number of pair-emotion cells in bins of equal width.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        bins: number of bins of [0, 1].

    Returns:
        `confidence`, `frequency` and `count`, a list of length `bins` each.

    >>> reliability_curve(np.array([[.1, .3]]), np.array([[0, 1]]), bins=2)
    {'confidence': [0.2, None], 'frequency': [0.5, None], 'count': [2, 0]}
    """
    p, truth = np.asarray(probabilities, dtype=np.float64).ravel(), np.asarray(targets).ravel() > 0
    numbers = bins_of(p, bins)
    count = np.bincount(numbers, minlength=bins)
    sums = {"confidence": np.bincount(numbers, p, bins), "frequency": np.bincount(numbers, truth, bins)}
    curve: dict[str, list[Any]] = {
        name: [min(float(value / n), 1.0) if n else None for value, n in zip(sums[name], count, strict=True)]
        for name in sums
    }
    return curve | {"count": count.tolist()}


def _logits(probabilities: np.ndarray) -> np.ndarray:
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be within 0 to 1")
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)
