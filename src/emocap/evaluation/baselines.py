"""Baselines: label frequencies, and simple classifiers on the captions only.

"tfidf" and "vectors" are one-vs-rest logistic regression on words and word pairs, or on sentence vectors; "neighbours"
is k nearest neighbours among the training captions. Their one setting is selected on the validation pairs, on which
they are not fitted. scikit-learn fits; `fitted_baselines` predicts. Left out: anything that uses an image.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from emocap.errors import EmocapError
from emocap.evaluation.fitted_baselines import FittedBaseline, Frequencies, LinearModel, Model, Neighbours
from emocap.evaluation.probability_metrics import bce
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.evaluation.tfidf import Tfidf

REGULARISATION = (0.1, 0.3, 1.0, 3.0, 10.0)
NEIGHBOURS = (160, 80, 40, 20, 10, 5)
NEARLY_BEST = 0.01

PredictFunction = Callable[[Sequence[str]], np.ndarray]
Embed = Callable[[Sequence[str]], np.ndarray]


def prior(training_targets: np.ndarray, n_pairs: int) -> np.ndarray:
    """(n_pairs, E) float64: the training pairs' label frequencies, the same for every pair.

    >>> prior(np.array([[1, 0], [1, 1]]), 2).tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    """
    return np.tile(np.asarray(training_targets, dtype=np.float64).mean(axis=0), (n_pairs, 1))


def fit_baseline(
    name: str,
    captions: Sequence[str],
    targets: np.ndarray,
    validation_captions: Sequence[str],
    validation_targets: np.ndarray,
    *,
    embed: Embed | None = None,
    seed: int = 0,
) -> FittedBaseline:
    """Fit a baseline on training pairs, its setting selected on validation pairs.

    An emotion that none or all of the training pairs have gets the same probability for every caption,
    (positives + 1) / (pairs + 2). The setting is the one of lowest cross-entropy on the validation pairs among those
    within 0.01 of the best mean average precision: with so few pairs smaller differences in it are noise, and the
    cross-entropy also measures calibration. If no validation pair has an emotion, the most regularised setting is used.

    Args:
        name: one of `BASELINES`.
        captions: N training captions.
        targets: (N, E); above 0 is positive.
        validation_captions: V captions.
        validation_targets: (V, E); above 0 is positive.
        embed: n captions to their vectors (n, H); required for "vectors"; "neighbours" uses TF-IDF without it.
        seed: of the classifiers.

    Returns:
        The arrays that predict, a function from n captions to (n, E) float64 probabilities.

    Raises:
        EmocapError: unknown name, no pairs, sizes that do not match, or no `embed` although it is required.
    """
    if name not in BASELINES:
        raise EmocapError(f"baseline is {name!r}, expected one of {', '.join(BASELINES)}")
    if name == "vectors" and embed is None:
        raise EmocapError("baseline vectors: needs sentence vectors; give embed, such as sentence_vectors('offline')")
    truth, validation_truth = np.asarray(targets) > 0, np.asarray(validation_targets) > 0
    sizes_match = len(captions) > 0 and truth.ndim == 2 and len(truth) == len(captions)
    if not sizes_match or validation_truth.shape != (len(validation_captions), truth.shape[1]):
        raise EmocapError(
            f"baseline {name}: {len(captions)} and {len(validation_captions)} captions do not match targets "
            f"{truth.shape} and {validation_truth.shape}, expected (N, E) and (V, E) with N above 0"
        )
    read = _reader(name, captions, embed)
    candidates = BASELINES[name](None if read is None else read(captions), truth, seed)
    best = candidates[0]
    if read is not None and len(candidates) > 1 and validation_truth.any():
        best = _select(candidates, read(validation_captions), validation_truth)
    return FittedBaseline(name, read, best)


def _reader(name: str, captions: Sequence[str], embed: Embed | None) -> Callable[[Sequence[str]], Any] | None:
    """The function from captions to the baseline's inputs; None for the prior, which reads none."""
    if name == "prior":
        return None
    return _tfidf(captions) if name == "tfidf" or embed is None else embed


def _select(candidates: Sequence[Model], held_out: Any, truth: np.ndarray) -> Model:
    """The fit of lowest cross-entropy among those whose mean average precision on held-out pairs is nearly the best."""
    predictions = [predict(held_out) for predict in candidates]
    scores = [mean_average_precision(probabilities, truth) for probabilities in predictions]
    near = [number for number, score in enumerate(scores) if score >= max(scores) - NEARLY_BEST]
    return candidates[min(near, key=lambda number: bce(predictions[number], truth))]


def _tfidf(captions: Sequence[str]) -> Tfidf:
    try:
        return Tfidf.fit(captions)
    except ValueError:
        raise EmocapError(
            "baseline: no training caption contains a word, so that TF-IDF cannot be fitted; "
            "leave tfidf out of baselines.names"
        ) from None


def _smoothed(truth: np.ndarray) -> np.ndarray:
    """(E,) label frequencies with Laplace smoothing, never 0 or 1.

    >>> _smoothed(np.array([[True, False], [True, True]])).tolist()
    [0.75, 0.5]
    """
    return (truth.sum(axis=0) + 1) / (len(truth) + 2)


def _fit_prior(vectors: Any, truth: np.ndarray, seed: int) -> list[Model]:
    return [Frequencies(truth.mean(axis=0, dtype=np.float64))]


def _fit_logistic(vectors: Any, truth: np.ndarray, seed: int) -> list[Model]:
    return [_logistic(vectors, truth, c, seed) for c in REGULARISATION]


def _fit_neighbours(vectors: Any, truth: np.ndarray, seed: int) -> list[Model]:
    frequencies, settings = _smoothed(truth), dict.fromkeys(min(k, len(truth)) for k in NEIGHBOURS)
    return [Neighbours(vectors, truth, frequencies, k) for k in settings]


def _logistic(vectors: Any, truth: np.ndarray, c: float, seed: int) -> LinearModel:
    """One-vs-rest logistic regression on (N, H) vectors; `c` is the inverse strength of the L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    settings = {
        "solver": "liblinear",  # ten times faster here than the library's default
        "dual": vectors.shape[1] > vectors.shape[0],
        "intercept_scaling": 3.0,  # this solver penalises the intercept, which encodes the frequency
        "max_iter": 5000,
        "random_state": seed,
    }
    weights = np.zeros((vectors.shape[1], truth.shape[1]), dtype=np.float32)
    intercepts = logit(_smoothed(truth))
    for label in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
        fitted = LogisticRegression(C=c, **settings).fit(vectors, truth[:, label])
        weights[:, label], intercepts[label] = fitted.coef_[0], fitted.intercept_[0]
    return LinearModel(weights, intercepts)


# By name: (training inputs, truth (N, E), seed) to the fits to select from, the most regularised first.
BASELINES: dict[str, Callable[[Any, np.ndarray, int], list[Model]]] = {
    "prior": _fit_prior,
    "tfidf": _fit_logistic,
    "vectors": _fit_logistic,
    "neighbours": _fit_neighbours,
}
