"""What a model must beat: label frequencies, and simple learners on the captions alone.

"tfidf" and "vectors" are one-vs-rest logistic regression on words and word pairs, or on sentence vectors; "neighbours"
asks the nearest training captions. Their one setting is chosen on the validation pairs, on which they are not fitted.
Left out: anything that looks at a picture.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.probability_metrics import bce
from emocap.evaluation.ranking_metrics import mean_average_precision

BASELINES = ("prior", "tfidf", "vectors", "neighbours")
REGULARISATION = (0.1, 0.3, 1.0, 3.0, 10.0)
NEIGHBOURS = (160, 80, 40, 20, 10, 5)
PRIOR_WEIGHT = 1.0
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
) -> PredictFunction:
    """Fit a baseline on training pairs, its setting chosen on validation pairs.

    An emotion that none or all of the training pairs have gets the same probability everywhere,
    (positives + 1) / (pairs + 2). The setting is that of least cross-entropy on the validation pairs among those within
    0.01 of the best mean average precision: on so few pairs smaller differences in it are chance, and the cross-entropy
    tells a flat answer from a sharp one. Where no validation pair has an emotion, the most cautious setting is taken.

    Args:
        name: one of `BASELINES`.
        captions: N training captions.
        targets: (N, E); above 0 is positive.
        validation_captions: V captions.
        validation_targets: (V, E); above 0 is positive.
        embed: n captions to their vectors (n, H); needed for "vectors"; "neighbours" takes TF-IDF without it.
        seed: of the learners' draws.

    Returns:
        A function from n captions to (n, E) float64 probabilities.

    Raises:
        EmocapError: unknown name, no pairs, sizes that do not fit, or no `embed` where it is needed.
    """
    if name not in BASELINES:
        raise EmocapError(f"baseline is {name!r}, expected one of {', '.join(BASELINES)}")
    if name == "vectors" and embed is None:
        raise EmocapError("baseline vectors: needs sentence vectors; give embed, such as sentence_vectors('offline')")
    truth, validation_truth = np.asarray(targets) > 0, np.asarray(validation_targets) > 0
    fit = len(captions) > 0 and truth.ndim == 2 and len(truth) == len(captions)
    if not fit or validation_truth.shape != (len(validation_captions), truth.shape[1]):
        raise EmocapError(
            f"baseline {name}: {len(captions)} and {len(validation_captions)} captions with targets {truth.shape} and "
            f"{validation_truth.shape} do not fit, expected (N, E) and (V, E) with N above 0"
        )
    if name == "prior":
        return lambda asked: prior(truth, len(asked))
    read = _tfidf(captions) if name == "tfidf" or embed is None else embed
    vectors = read(captions)
    if name == "neighbours":
        fitted = [_neighbours(vectors, truth, k) for k in dict.fromkeys(min(k, len(truth)) for k in NEIGHBOURS)]
    else:
        fitted = [_logistic(vectors, truth, c, seed) for c in REGULARISATION]
    best = fitted[0]
    if validation_truth.any():
        best = _chosen(fitted, read(validation_captions), validation_truth)
    return lambda asked: best(read(asked)) if len(asked) else np.empty((0, truth.shape[1]))


def _chosen(fitted: Sequence[Callable[[Any], np.ndarray]], held_out: Any, truth: np.ndarray) -> Any:
    """The fit of least cross-entropy among those whose mean average precision on held-out pairs is nearly the best."""
    answers = [answer(held_out) for answer in fitted]
    scores = [mean_average_precision(found, truth) for found in answers]
    near = [number for number, score in enumerate(scores) if score >= max(scores) - NEARLY_BEST]
    return fitted[min(near, key=lambda number: bce(answers[number], truth))]


def _tfidf(captions: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    try:
        vectorizer.fit(captions)
    except ValueError:
        raise EmocapError(
            "baseline: no training caption holds a word; TF-IDF needs some, so leave tfidf out of baselines.names"
        ) from None
    return vectorizer.transform


def _smoothed(truth: np.ndarray) -> np.ndarray:
    """(E,) label frequencies by Laplace's rule, never 0 or 1.

    >>> _smoothed(np.array([[True, False], [True, True]])).tolist()
    [0.75, 0.5]
    """
    return (truth.sum(axis=0) + 1) / (len(truth) + 2)


def _logistic(vectors: Any, truth: np.ndarray, c: float, seed: int) -> Callable[[Any], np.ndarray]:
    """One-vs-rest logistic regression on (N, H) vectors; `c` is the inverse strength of the L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    settings = {
        "solver": "liblinear",  # an order of magnitude quicker here than the library's own choice
        "dual": vectors.shape[1] > vectors.shape[0],
        "intercept_scaling": 3.0,  # this solver penalises the intercept, which holds the frequency
        "max_iter": 5000,
        "random_state": seed,
    }
    varies = truth.any(axis=0) & ~truth.all(axis=0)
    models = {
        label: LogisticRegression(C=c, **settings).fit(vectors, truth[:, label]) for label in np.flatnonzero(varies)
    }
    constant = _smoothed(truth)

    def answer(asked: Any) -> np.ndarray:
        probabilities = np.tile(constant, (asked.shape[0], 1))
        for label, model in models.items():
            probabilities[:, label] = model.predict_proba(asked)[:, 1]
        return probabilities

    return answer


def _neighbours(vectors: Any, truth: np.ndarray, k: int) -> Callable[[Any], np.ndarray]:
    """Label shares among the k nearest training captions, weighted by cosine, with the prior as one more neighbour."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, metric="cosine").fit(vectors)
    frequencies = _smoothed(truth)

    def answer(asked: Any) -> np.ndarray:
        distances, rows = index.kneighbors(asked)
        weights = np.clip(1 - distances, 0, 1)
        named = np.einsum("nk,nke->ne", weights, truth[rows].astype(np.float64))
        total = weights.sum(axis=1, keepdims=True) + PRIOR_WEIGHT
        return (named + PRIOR_WEIGHT * frequencies) / total

    return answer
