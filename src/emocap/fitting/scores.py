"""Scores by which candidates are compared: macro-F1 where every row has one emotion, else mean average precision."""

from collections.abc import Callable

import numpy as np

from emocap.evaluation.ranking_metrics import average_precision_statistic, mean_average_precision
from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.evaluation.scored_predictions import ScoredPredictions

Score = Callable[[np.ndarray, np.ndarray], float]


def emotion_score(is_single: bool) -> Score:
    """The score of probabilities (N, E) and truth (N, E)."""
    return macro_f1_of_best if is_single else mean_average_precision


def score_name(is_single: bool, has_emotions: bool) -> str:
    """What the score is called."""
    if not has_emotions:
        return "mean Pearson's r"
    return "macro-F1" if is_single else "mean average precision"


def score_draws(probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray, *, is_single: bool) -> np.ndarray:
    """(B,) the score of probabilities (N, E) and truth (N, E) for each of B weightings (B, N) of the rows."""
    if not is_single:
        return average_precision_statistic(ScoredPredictions(probabilities, truth))(weights)
    predicted, is_true = _likeliest(probabilities), np.asarray(truth) > 0
    both, true = weights @ (predicted & is_true), weights @ is_true
    occurs = true > 0
    f1 = 2 * both / np.maximum(weights @ predicted + true, 1e-12)
    return (f1 * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)


def rating_draws(ratings: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) mean Pearson's r of ratings (N, R) and values (N, R) for each of B weightings (B, N) by whole numbers."""
    rows = np.arange(len(ratings))
    drawn = [np.repeat(rows, counts) for counts in weights.astype(int)]
    return np.array([mean_pearson_r(ratings[one], values[one]) for one in drawn])


def macro_f1_of_best(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The mean over emotions of the F1 of rows whose likeliest emotion it is, over emotions that some row has.

    >>> macro_f1_of_best(np.array([[.9, .1], [.6, .4]]), np.array([[1, 0], [0, 1]])).__round__(3)  # (2 / 3 + 0) / 2
    0.333
    """
    return float(score_draws(probabilities, truth, np.ones((1, len(probabilities))), is_single=True)[0])


def _likeliest(probabilities: np.ndarray) -> np.ndarray:
    """(N, E) bool, True at the highest probability of each row."""
    predicted = np.zeros(probabilities.shape, dtype=bool)
    predicted[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return predicted


def accuracy_of_best(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The share of rows whose likeliest emotion is true.

    >>> accuracy_of_best(np.array([[.9, .1], [.6, .4]]), np.array([[1, 0], [0, 1]]))
    0.5
    """
    return float((_likeliest(probabilities) & (np.asarray(truth) > 0)).any(axis=1).mean())
