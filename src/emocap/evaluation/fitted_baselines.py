"""What fitting a baseline gives: small sets of arrays that predict with NumPy and SciPy alone.

The same objects predict in a study and after loading, so that both give the same probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit

from emocap.evaluation.image_vectors import ImageVectors

PRIOR_WEIGHT = 1.0
TIE = 1e-5  # cosines closer than this are equal; far above the rounding of float32
CHUNK = 256


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The same probabilities, or mean ratings, for every pair: (E,) float64."""

    frequencies: np.ndarray

    @property
    def n_labels(self) -> int:
        """Number E of emotions."""
        return len(self.frequencies)

    def __call__(self, vectors: Any) -> np.ndarray:
        """(n, E) float64 for n inputs."""
        return np.tile(self.frequencies, (vectors.shape[0], 1))


@dataclass(frozen=True, eq=False)
class LinearModel:
    """One-vs-rest logistic regression, or ridge regression of ratings.

    Attributes:
        weights: (H, E) float32.
        intercepts: (E,) float64.
        is_logistic: whether its values go through the sigmoid; those of ridge regression are clipped to 0..1.

    >>> LinearModel(np.array([[1.0]], dtype=np.float32), np.zeros(1))(np.array([[0.0]])).tolist()
    [[0.5]]
    """

    weights: np.ndarray
    intercepts: np.ndarray
    is_logistic: bool = True

    @property
    def n_labels(self) -> int:
        """Number E of emotions."""
        return len(self.intercepts)

    def __call__(self, vectors: Any) -> np.ndarray:
        """(n, E) float64 probabilities or ratings of n inputs (n, H), dense or sparse."""
        vectors, weights = vectors.astype(np.float64), self.weights
        if issparse(vectors):  # a few captions have few of very many terms
            used = np.unique(vectors.indices)
            vectors, weights = vectors[:, used], weights[used]
        values = vectors @ weights.astype(np.float64) + self.intercepts
        return expit(values) if self.is_logistic else np.clip(values, 0, 1)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Label shares among the k nearest training captions, weighted by cosine, with the prior as one more neighbour.

    All that are as near as the kth count too, so that the order of the training captions decides nothing.

    Attributes:
        vectors: (N, H) float32 of length 1 (or 0), dense or sparse.
        truth: (N, E) bool; or float64 ratings, 0 where there is none.
        frequencies: (E,) float64, the prior.
        k: 1 <= k <= N.
        known: (N, E) bool, which ratings there are; None where all are.
    """

    vectors: Any
    truth: np.ndarray
    frequencies: np.ndarray
    k: int
    known: np.ndarray | None = None

    @property
    def n_labels(self) -> int:
        """Number E of emotions."""
        return len(self.frequencies)

    def __call__(self, vectors: Any) -> np.ndarray:
        """(n, E) float64 probabilities of n inputs (n, H) of length 1."""
        chunks = [self._predict(vectors[start : start + CHUNK]) for start in range(0, vectors.shape[0], CHUNK)]
        return np.concatenate(chunks) if chunks else np.empty((0, self.truth.shape[1]))

    def _predict(self, vectors: Any) -> np.ndarray:
        product = vectors @ self.vectors.T
        cosines = product.toarray() if issparse(product) else np.asarray(product)
        kth = np.partition(cosines, -self.k, axis=1)[:, -self.k, None]
        weights = np.where(cosines >= kth - TIE, np.clip(cosines, 0, 1), 0).astype(np.float64)
        votes = weights @ self.truth.astype(np.float64)
        total = weights.sum(axis=1, keepdims=True) if self.known is None else weights @ self.known.astype(np.float64)
        return (votes + PRIOR_WEIGHT * self.frequencies) / (total + PRIOR_WEIGHT)


Model = Frequencies | LinearModel | Neighbours  # from inputs (n, H) to (n, E) float64 probabilities, or ratings
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline that predicts from a caption, an image's region features, or both.

    Attributes:
        name: such as "tfidf".
        read: n captions to their inputs (n, H); None where captions are not read.
        model: the fitted arrays for the E emotions.
        images: n images' region features to their inputs (n, D), which follow those of the captions; None where images
            are not read.
        rating_model: the fitted arrays for the R ratings; None where there are none.
        without_image: (E + R,) float64, what is predicted for a pair without region features; None where the caption
            is read too.
    """

    name: str
    read: Callable[[Sequence[str]], Any] | None
    model: Model
    images: ImageVectors | None = None
    rating_model: Model | None = None
    without_image: np.ndarray | None = None

    def __call__(self, captions: Sequence[str], features: Sequence[np.ndarray | None] | None = None) -> np.ndarray:
        """(n, E + R) float64: the probabilities of n pairs, then their ratings within 0 to 1.

        Args:
            captions: n texts.
            features: per pair the (R_i, D) region features of its image, or None; None where no pair has any.
        """
        models = [self.model] if self.rating_model is None else [self.model, self.rating_model]
        if not len(captions):
            return np.empty((0, sum(model.n_labels for model in models)))
        if features is None:
            features = [None] * len(captions)
        inputs = self.inputs(captions, features)
        predicted = np.concatenate([model(inputs) for model in models], axis=1)
        if self.without_image is not None:
            missing = [row for row in range(len(features)) if (found := features[row]) is None or not len(found)]
            predicted[missing] = self.without_image
        return predicted

    def inputs(self, captions: Sequence[str], features: Sequence[np.ndarray | None]) -> Any:
        """(n, H + D) inputs of n pairs, dense or sparse; n is at least 1."""
        parts = [] if self.read is None else [self.read(captions)]
        if self.images is not None:
            parts.append(self.images(features))
        if not parts:
            return np.empty((len(captions), 0))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
