"""Calibration: a temperature for the probabilities, and decision thresholds, both fitted on validation pairs.

Temperature scaling is from Guo et al., "On Calibration of Modern Neural Networks" (2017), applied to every emotion's
logit with one temperature, and only where it helps: fitted on four fifths of the validation pairs it must lower the
cross-entropy of the fifth ones. Left out: a temperature per emotion, for which rare emotions have too few positives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

TEMPERATURES = (0.05, 20.0)
FOLDS = 5
LEAST_GROUPS = 20  # with fewer the temperature stays 1: four per fold
SMALLEST = 1e-12  # far below any model's probabilities, since clipping makes ties and changes the order


@dataclass(frozen=True, eq=False)
class Calibration:
    """A temperature and decision thresholds.

    Attributes:
        temperature: divides the logits; above 1 if the model is overconfident, 1 where none is applied.
        threshold: one for all emotions; an emotion is predicted if its scaled probability is at least this.
        thresholds: (E,) float64, one per emotion.
    """

    temperature: float
    threshold: float
    thresholds: np.ndarray

    @property
    def is_scaled(self) -> bool:
        """Whether a temperature is applied."""
        return self.temperature != 1


def calibrate(
    probabilities: np.ndarray, targets: np.ndarray, *, groups: Sequence[str] | None = None, scaled: bool = True
) -> Calibration:
    """The temperature of lowest cross-entropy if it helps (see `helps`), and the thresholds of highest F1 after it.

    A threshold is midway between the lowest probability that it accepts and the next lower one. An emotion without
    positives gets the common threshold. Without any positive: temperature 1 and thresholds 0.5.

    Args:
        probabilities: (N, E) within 0 to 1, of validation pairs, uncalibrated.
        targets: (N, E) of 0 and 1.
        groups: (N,) keys of what cross-validation keeps together, such as the image of a pair; None for every pair.
        scaled: False keeps the temperature at 1, for probabilities that must not change.

    Raises:
        ValueError: shapes differ, or a probability is not within 0 to 1.

    >>> fitted = calibrate(np.array([[.9, .9]] * 40), np.array([[1, 1], [1, 1], [1, 1], [0, 0]] * 10))
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
    keys = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    temperature = best_temperature(logits, truth) if scaled and helps(logits, truth, keys) else 1.0
    p = scale(probabilities, temperature)
    threshold = best_threshold(p.ravel(), truth.ravel())
    thresholds = np.full(truth.shape[1], threshold)
    for label in np.flatnonzero(truth.any(axis=0)):
        thresholds[label] = best_threshold(p[:, label], truth[:, label])
    return Calibration(temperature, threshold, thresholds)


def best_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of lowest cross-entropy, within `TEMPERATURES`.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
    """
    minimum = minimize_scalar(
        lambda log_temperature: cross_entropy(logits / np.exp(log_temperature), truth),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(minimum.x))


def cross_entropy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean binary cross-entropy of logits and truth of one shape, in nats."""
    return float((np.logaddexp(0, logits) - truth * logits).mean())


def helps(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> bool:
    """Whether a temperature lowers the cross-entropy of pairs on which it was not fitted, in five folds of the groups.

    A temperature fitted to few pairs can make probabilities worse: the one of 6 pairs raised a calibration error from
    0.05 to 0.18. With fewer than `LEAST_GROUPS` groups it is not tried.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        groups: (N,) numbers 0 to G - 1 of the groups, which folds do not divide.
    """
    n_groups = len(np.unique(groups))
    if n_groups < LEAST_GROUPS:
        return False
    fold_of = (np.random.default_rng(0).permutation(n_groups) % FOLDS)[groups]
    gain = 0.0
    for fold in range(FOLDS):
        held_out = fold_of == fold
        temperature = best_temperature(logits[~held_out], truth[~held_out])
        own, unseen = logits[held_out], truth[held_out]
        gain += len(own) * (cross_entropy(own, unseen) - cross_entropy(own / temperature, unseen))
    return gain > 0


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


def scale_emotions(outputs: np.ndarray, temperature: float, n_labels: int) -> np.ndarray:
    """A model's outputs (N, E + R) with the E probabilities scaled as by `scale`, and the R ratings as they are."""
    if n_labels == outputs.shape[1]:
        return scale(outputs, temperature)
    return np.concatenate([scale(outputs[:, :n_labels], temperature), outputs[:, n_labels:]], axis=1)


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


def _logits(probabilities: np.ndarray) -> np.ndarray:
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be within 0 to 1")
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)
