"""Selecting among the fits of a baseline, which differ in one setting, on held-out pairs.

Of those whose score is nearly the best the one of least error is selected: with few pairs smaller differences in the
score are noise, and the error also measures calibration.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.evaluation.fitted_baselines import Model
from emocap.evaluation.probability_metrics import bce
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.evaluation.rating_metrics import pearson_r

NEARLY_BEST = 0.01


def select_fit(candidates: Sequence[Model], held_out: Any, truth: np.ndarray) -> Model:
    """The fit of lowest cross-entropy among those of nearly the best mean average precision.

    Args:
        candidates: at least one; the first is selected where no pair has an emotion.
        held_out: the models' inputs of V pairs.
        truth: (V, E) bool.
    """
    if len(candidates) == 1 or not truth.any():
        return candidates[0]
    predictions = [predict(held_out) for predict in candidates]
    scores = [mean_average_precision(probabilities, truth) for probabilities in predictions]
    return candidates[_best(scores, [bce(probabilities, truth) for probabilities in predictions])]


def select_rating_fit(candidates: Sequence[Model], held_out: Any, ratings: np.ndarray) -> Model:
    """The fit of least squared error among those of nearly the best Pearson's r, averaged over the ratings.

    Args:
        candidates: at least one; the first is selected where no pair has a rating.
        held_out: the models' inputs of V pairs.
        ratings: (V, R), NaN where a pair has none.
    """
    if len(candidates) == 1 or np.isnan(ratings).all():
        return candidates[0]
    predictions = [predict(held_out) for predict in candidates]
    errors = [float(np.nanmean((predicted - ratings) ** 2)) for predicted in predictions]
    return candidates[_best([_mean_pearson(predicted, ratings) for predicted in predictions], errors)]


def _best(scores: Sequence[float], errors: Sequence[float]) -> int:
    near = [number for number, score in enumerate(scores) if score >= max(scores) - NEARLY_BEST]
    return min(near, key=errors.__getitem__)


def _mean_pearson(predicted: np.ndarray, ratings: np.ndarray) -> float:
    """Pearson's r averaged over the ratings that vary; 0 if none does."""
    values = np.array([pearson_r(predicted[:, rating], ratings[:, rating]) for rating in range(ratings.shape[1])])
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else 0.0
