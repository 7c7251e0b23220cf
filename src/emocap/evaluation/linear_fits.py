"""Linear models of the baselines, fitted by scikit-learn: logistic regression of emotions, ridge regression of ratings.

Each function gives one fit for every strength of the L2 penalty, the most regularised first.
"""

from typing import Any

import numpy as np
from scipy.special import logit

from emocap.evaluation.fitted_baselines import LinearModel, Model

REGULARISATION = (0.1, 0.3, 1.0, 3.0, 10.0)  # inverse strengths of the penalty of logistic regression
RIDGE_PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)


def smoothed(truth: np.ndarray) -> np.ndarray:
    """(E,) label frequencies with Laplace smoothing, never 0 or 1.

    >>> smoothed(np.array([[True, False], [True, True]])).tolist()
    [0.75, 0.5]
    """
    return (truth.sum(axis=0) + 1) / (len(truth) + 2)


def mean_ratings(ratings: np.ndarray) -> np.ndarray:
    """(R,) means of ratings (N, R) without those that are NaN; 0.5 where all are.

    >>> mean_ratings(np.array([[0.25, np.nan], [0.75, np.nan]])).tolist()
    [0.5, 0.5]
    """
    known = ~np.isnan(ratings)
    total, n = np.where(known, ratings, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), 0.5)


def logistic_fits(vectors: Any, truth: np.ndarray, seed: int) -> list[Model]:
    """One-vs-rest logistic regression of (N, E) truth on sentence vectors or TF-IDF (N, H)."""
    settings = {
        "solver": "liblinear",  # ten times faster here than the library's default
        "dual": vectors.shape[1] > vectors.shape[0],
        "intercept_scaling": 3.0,  # this solver penalises the intercept, which encodes the frequency
        "max_iter": 5000,
        "random_state": seed,
    }
    return [_logistic(vectors, truth, {"C": c, **settings}) for c in REGULARISATION]


def image_logistic_fits(vectors: np.ndarray, truth: np.ndarray, seed: int) -> list[Model]:
    """As `logistic_fits`, on image vectors, which are long: L-BFGS takes an eighth of the time where pairs are many."""
    if vectors.shape[1] > vectors.shape[0]:
        return logistic_fits(vectors, truth, seed)
    return [_logistic(vectors, truth, {"C": c, "solver": "lbfgs", "max_iter": 5000}) for c in REGULARISATION]


def _logistic(vectors: Any, truth: np.ndarray, settings: dict[str, Any]) -> LinearModel:
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((vectors.shape[1], truth.shape[1]), dtype=np.float32)
    intercepts = logit(smoothed(truth))
    for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        fitted = LogisticRegression(**settings).fit(vectors, truth[:, label])
        weights[:, label], intercepts[label] = fitted.coef_[0], fitted.intercept_[0]
    return LinearModel(weights, intercepts)


def ridge_fits(vectors: Any, ratings: np.ndarray) -> list[Model]:
    """Ridge regression (Hoerl and Kennard 1970) of (N, R) ratings on (N, H) inputs; pairs without a rating count not.

    A rating that fewer than two pairs have is predicted by its mean.
    """
    return [_ridge(vectors, ratings, penalty) for penalty in RIDGE_PENALTIES]


def _ridge(vectors: Any, ratings: np.ndarray, penalty: float) -> LinearModel:
    from sklearn.linear_model import Ridge

    weights = np.zeros((vectors.shape[1], ratings.shape[1]), dtype=np.float32)
    intercepts = mean_ratings(ratings)
    for rating in range(ratings.shape[1]):
        rows = np.flatnonzero(~np.isnan(ratings[:, rating]))
        if len(rows) > 1:
            fitted = Ridge(alpha=penalty).fit(vectors[rows], ratings[rows, rating])
            weights[:, rating], intercepts[rating] = fitted.coef_, fitted.intercept_
    return LinearModel(weights, intercepts, is_logistic=False)
