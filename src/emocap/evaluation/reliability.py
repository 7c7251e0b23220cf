"""How reliable a model's probabilities are: over all cells, for each pair's likeliest emotion, and for each emotion.

An error pooled over many rare emotions is small for every model, so that each value is given with that of the prior:
a skill is 1 for perfect probabilities, 0 for those as good as the prior's and below 0 for worse ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.evaluation.calibration_gaps import emotion_gaps, range_gaps
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import (
    adaptive_calibration_error,
    brier,
    expected_calibration_error,
    top_calibration_error,
)
from emocap.evaluation.statistics import BINS, bins_of, equal_count_bins

LEAST_BRIER = 1e-6  # of the prior; one positive among a million pairs has it


def calibration_report(
    predictions: Sequence[ModelPredictions],
    prior: Sequence[ModelPredictions],
    targets: np.ndarray,
    labels: Sequence[str],
    *,
    images: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """How well a model's probabilities are calibrated, as means over its repeats.

    Args:
        predictions: the model's repeats.
        prior: the repeats of the label frequencies, for the same pairs.
        targets: (M, E) of 0 and 1.
        labels: E emotions.
        images: (M,) keys of what intervals draw, such as the image of a pair; None for every pair.
        n_bootstrap: number of draws.
        seed: of the draws.

    Returns:
        `ece_before` and `ece_after` scaling, of all cells; `before` and `after`, the `reliability_curve` of all
        repeats' cells together; `ranges_before` and `ranges`, the `range_gaps` before and after scaling; of the
        probabilities after scaling `brier`, `brier_skill`, `top_ece` and `adaptive_ece`, and by label in `per_emotion`
        `ece` (bins of equal count), `brier`, `brier_skill`, `n_positives`, and `predicted`, `frequency` and `interval`
        of `emotion_gaps`. A skill is None where the prior's Brier score is below `LEAST_BRIER`, and for an emotion
        without positives.
    """
    targets = np.asarray(targets)
    truths = [targets[repeat.rows] for repeat in predictions]
    names = [str(row) for row in range(len(targets))] if images is None else images
    drawn_images = [names[row] for repeat in predictions for row in repeat.rows]
    bootstrap: dict[str, Any] = {"n_bootstrap": n_bootstrap, "seed": seed}
    report: dict[str, Any] = {}
    truth = np.concatenate(truths)
    for when, name, ranges in (("before", "raw", "ranges_before"), ("after", "probabilities", "ranges")):
        probabilities = [getattr(repeat, name) for repeat in predictions]
        every = np.concatenate(probabilities)
        report[f"ece_{when}"] = _mean(expected_calibration_error, probabilities, truths)
        report[when] = reliability_curve(every, truth)
        report[ranges] = range_gaps(every, truth, drawn_images, repeats=len(predictions), **bootstrap)
    scaled = [repeat.probabilities for repeat in predictions]
    of_prior = [repeat.probabilities for repeat in prior]
    prior_truths = [targets[repeat.rows] for repeat in prior]
    own, other = _mean(brier, scaled, truths), _mean(brier, of_prior, prior_truths)
    report |= {"brier": own, "brier_skill": _skill(own, other), "top_ece": _mean(top_calibration_error, scaled, truths)}
    report["adaptive_ece"] = _mean(adaptive_calibration_error, scaled, truths)
    rows = np.unique(np.concatenate([repeat.rows for repeat in predictions]))
    gaps = emotion_gaps(np.concatenate(scaled), truth, drawn_images, **bootstrap)
    report["per_emotion"] = {
        label: _of_emotion(
            [p[:, number] for p in scaled],
            [t[:, number] for t in truths],
            _brier_of_cells([p[:, number] for p in of_prior], [t[:, number] for t in prior_truths]),
            int((targets[rows, number] > 0).sum()),
        )
        | {key: gaps[number][key] for key in ("predicted", "frequency", "interval")}
        for number, label in enumerate(labels)
    }
    return report


def _mean(metric: Any, probabilities: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float | None:
    value = float(np.mean([metric(p, truth) for p, truth in zip(probabilities, truths, strict=True)]))
    return None if np.isnan(value) else value


def _skill(own: float | None, prior: float | None) -> float | None:
    return None if own is None or prior is None or prior < LEAST_BRIER else 1 - own / prior


def _of_emotion(
    probabilities: Sequence[np.ndarray], truths: Sequence[np.ndarray], prior: float, n_positives: int
) -> dict[str, Any]:
    own = _brier_of_cells(probabilities, truths)
    errors = [equal_count_error(p, truth) for p, truth in zip(probabilities, truths, strict=True)]
    skill = _skill(own, prior) if n_positives else None
    return {"ece": float(np.mean(errors)), "brier": own, "brier_skill": skill, "n_positives": n_positives}


def _brier_of_cells(probabilities: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> float:
    squares = [
        np.mean((p.astype(np.float64) - (truth > 0)) ** 2) for p, truth in zip(probabilities, truths, strict=True)
    ]
    return float(np.mean(squares))


def equal_count_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Expected calibration error of N decisions, with bins of equal count (see `equal_count_bins`).

    Args:
        probabilities: (N,) within 0 to 1.
        truth: (N,); above 0 is positive.

    >>> round(equal_count_error(np.array([.9, .5]), np.array([1, 0])), 3)  # one bin: mean probability .7, share .5
    0.2
    """
    p = np.asarray(probabilities, dtype=np.float64)
    gaps = np.bincount(equal_count_bins(p), (np.asarray(truth) > 0) - p)
    return float(np.abs(gaps).sum() / len(p))


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
