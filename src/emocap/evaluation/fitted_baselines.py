"""What fitting a baseline gives: small sets of arrays that predict with NumPy and SciPy alone.

The same objects predict in a study and after loading, so that both give the same probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit

PRIOR_WEIGHT = 1.0
TIE = 1e-5  # cosines closer than this are equal; far above the rounding of float32
CHUNK = 256


@dataclass(frozen=True, eq=False)
class Frequencies:
    """The same probabilities for every caption: (E,) float64."""

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
    """One-vs-rest logistic regression.

    Attributes:
        weights: (H, E) float32.
        intercepts: (E,) float64.

    >>> LinearModel(np.array([[1.0]], dtype=np.float32), np.zeros(1))(np.array([[0.0]])).tolist()
    [[0.5]]
    """

    weights: np.ndarray
    intercepts: np.ndarray

    @property
    def n_labels(self) -> int:
        """Number E of emotions."""
        return len(self.intercepts)

    def __call__(self, vectors: Any) -> np.ndarray:
        """(n, E) float64 probabilities of n inputs (n, H), dense or sparse."""
        vectors = vectors.astype(np.float64)
        if issparse(vectors):  # a few captions have few of very many terms
            used = np.unique(vectors.indices)
            return expit(vectors[:, used] @ self.weights[used].astype(np.float64) + self.intercepts)
        return expit(vectors @ self.weights.astype(np.float64) + self.intercepts)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Label shares among the k nearest training captions, weighted by cosine, with the prior as one more neighbour.

    All that are as near as the kth count too, so that the order of the training captions decides nothing.

    Attributes:
        vectors: (N, H) float32 of length 1 (or 0), dense or sparse.
        truth: (N, E) bool.
        frequencies: (E,) float64, the prior.
        k: 1 <= k <= N.
    """

    vectors: Any
    truth: np.ndarray
    frequencies: np.ndarray
    k: int

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
        return (votes + PRIOR_WEIGHT * self.frequencies) / (weights.sum(axis=1, keepdims=True) + PRIOR_WEIGHT)


Model = Frequencies | LinearModel | Neighbours  # from inputs (n, H) to (n, E) float64 probabilities


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline that predicts from captions alone.

    Attributes:
        name: such as "tfidf".
        read: n captions to the inputs (n, H) of `model`; None for the prior, which reads none.
        model: the fitted arrays.
    """

    name: str
    read: Callable[[Sequence[str]], Any] | None
    model: Model

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """(n, E) float64 probabilities of n captions."""
        if self.read is None:
            return self.model(np.empty((len(captions), 0)))
        return self.model(self.read(captions)) if len(captions) else np.empty((0, self.model.n_labels))
