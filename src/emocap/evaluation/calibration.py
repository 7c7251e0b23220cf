"""Calibration of a model on validation pairs: how its logits are scaled, and its decision thresholds.

What scales the logits is chosen by cross-validation: nothing, Platt scaling common to all emotions, or one for each
emotion. Fitted on four fifths of the validation images it must have the lowest cross-entropy on the fifth ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from emocap.corpora.stratification import stratify
from emocap.evaluation.scaling_fit import common_scaling, cross_entropy, scaling_per_emotion
from emocap.evaluation.thresholds import best_threshold
from emocap.training.platt_scaling import PlattScaling, logits_of

Method = Literal["none", "platt", "platt_per_emotion"]
Fit = Callable[[np.ndarray, np.ndarray, int], PlattScaling]
RIDGES = (300.0, 100.0, 30.0)
UNSCALED: Method = "none"
FOLDS = 5
LEAST_GROUPS = 20  # with fewer nothing is scaled: four per fold
SURE_GROUPS = 100  # with so many, two numbers for all emotions are known well enough to be applied always


@dataclass(frozen=True, eq=False)
class Calibration:
    """How logits are scaled, and decision thresholds.

    Attributes:
        scaling: of the logits of each emotion.
        threshold: one for all emotions; an emotion is predicted if its calibrated probability is at least this.
        thresholds: (E,) float64, one per emotion.
        method: how the scaling was fitted.
    """

    scaling: PlattScaling
    threshold: float
    thresholds: np.ndarray
    method: Method = "none"

    @property
    def is_scaled(self) -> bool:
        """Whether it changes probabilities."""
        return not self.scaling.is_identity


def uncalibrated(n_labels: int) -> Calibration:
    """No scaling, and thresholds of 0.5, for so many emotions."""
    return Calibration(PlattScaling.identity(n_labels), 0.5, np.full(n_labels, 0.5))


def calibrate(
    probabilities: np.ndarray, targets: np.ndarray, *, groups: Sequence[str] | None = None, scaled: bool = True
) -> Calibration:
    """The scaling that cross-validation prefers (see `fitted_scaling`), and the thresholds of highest F1 after it.

    An emotion without positives gets the common threshold. Without any positive: no scaling and thresholds 0.5.

    Args:
        probabilities: (N, E) within 0 to 1, of validation pairs, uncalibrated.
        targets: (N, E) of 0 and 1.
        groups: (N,) keys of what cross-validation keeps together, such as the image of a pair; None for every pair.
        scaled: False scales nothing, for probabilities that must not change.

    Raises:
        ValueError: shapes differ, or a probability is not within 0 to 1.

    >>> fitted = calibrate(np.array([[.9, .9]] * 800), np.array([[1, 1], [1, 1], [1, 1], [0, 0]] * 200))
    >>> fitted.scaling(np.array([[.9, .9]])).round(2).tolist()  # .75 is the share of positives
    [[0.75, 0.75]]
    >>> round(fitted.threshold, 2), fitted.thresholds.round(2).tolist()  # midway between 0 and .75
    (0.38, [0.38, 0.38])
    """
    logits, truth = logits_of(probabilities), np.asarray(targets) > 0
    if logits.shape != truth.shape or logits.ndim != 2:
        raise ValueError(f"probabilities {logits.shape} and targets {truth.shape} must be (N, E) alike")
    n_labels = truth.shape[1]
    if not truth.any():
        return uncalibrated(n_labels)
    method, scaling = UNSCALED, PlattScaling.identity(n_labels)
    if scaled:
        keys = np.arange(len(truth)) if groups is None else np.asarray(groups, dtype=str)
        method, scaling = fitted_scaling(logits, truth, np.unique(keys, return_inverse=True)[1])
    p = scaling(probabilities)
    threshold = best_threshold(p.ravel(), truth.ravel())
    thresholds = np.full(n_labels, threshold)
    for label in np.flatnonzero(truth.any(axis=0)):
        thresholds[label] = best_threshold(p[:, label], truth[:, label])
    return Calibration(scaling, threshold, thresholds, method)


def fitted_scaling(logits: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> tuple[Method, PlattScaling]:
    """The method of lowest cross-entropy of pairs on which it was not fitted, in five folds of the groups, and its fit.

    Numbers fitted to few pairs can make probabilities worse: a temperature fitted to 6 pairs raised a calibration error
    from 0.05 to 0.18. With fewer than `LEAST_GROUPS` groups nothing is scaled, and from `SURE_GROUPS` on something
    always is, since the cross-entropy hardly shows errors of the few high probabilities. Among equal methods the one
    with fewer numbers is taken.

    Args:
        logits: (N, E) float64, finite.
        truth: (N, E) bool.
        groups: (N,) numbers 0 to G - 1 of the groups, which folds do not divide.
    """
    n_groups, n_labels = len(np.unique(groups)), truth.shape[1]
    if n_groups < LEAST_GROUPS:
        return "none", PlattScaling.identity(n_labels)
    fold_of = _folds(truth, groups)[groups]
    candidates: list[tuple[Method, Fit]] = [
        ("platt", common_scaling),
        *(("platt_per_emotion", partial(scaling_per_emotion, ridge=ridge)) for ridge in RIDGES),
    ]
    if n_groups < SURE_GROUPS:
        candidates.insert(0, ("none", lambda own, _truth, _n: PlattScaling.identity(own.shape[1])))
    errors = [_held_out_error(fit, logits, truth, groups, fold_of) for _, fit in candidates]
    method, fit = candidates[int(np.argmin(errors))]
    return method, fit(logits, truth, n_groups)


def _folds(truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(G,) number of the fold of each group, each emotion divided among the folds as evenly as the parts of a split.

    In random folds a part that has many positives of an emotion leaves few to the others, so that what was fitted to
    each emotion looks worse than it is on test pairs.
    """
    n_groups = int(groups.max()) + 1
    labels = np.zeros((n_groups, truth.shape[1]), dtype=bool)
    np.logical_or.at(labels, groups, truth)
    sizes = [len(part) for part in np.array_split(np.arange(n_groups), FOLDS)]
    return stratify(np.ones(n_groups, dtype=np.int64), labels, sizes, seed=0)


def _held_out_error(fit: Fit, logits: np.ndarray, truth: np.ndarray, groups: np.ndarray, fold_of: np.ndarray) -> float:
    """Cross-entropy of each fold's pairs, summed over them, where the other folds' pairs were fitted."""
    error = 0.0
    for fold in range(FOLDS):
        held_out = fold_of == fold
        found = fit(logits[~held_out], truth[~held_out], len(np.unique(groups[~held_out])))
        own = logits[held_out] * found.slopes + found.offsets
        error += len(own) * cross_entropy(own, truth[held_out])
    return error
