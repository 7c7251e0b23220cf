"""TF-IDF vectors of captions, from a vocabulary and its weights; scikit-learn splits the text and computes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Tfidf:
    """TF-IDF of a caption's words and word pairs (scikit-learn's `TfidfVectorizer` with logarithmic counts).

    Attributes:
        terms: H distinct words and word pairs.
        idf: (H,) float32.
    """

    terms: list[str]
    idf: np.ndarray

    @classmethod
    def fit(cls, captions: Sequence[str]) -> "Tfidf":
        """The terms of captions with their inverse document frequencies.

        Raises:
            ValueError: no caption contains a word.
        """
        vectorizer = _vectorizer().fit(captions)
        return cls(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.astype(np.float32))

    def __call__(self, captions: Sequence[str]) -> Any:
        """(n, H) float32 of length 1, or 0 without a known term."""
        return self._fitted.transform(captions).astype(np.float32)

    def words(self, caption: str) -> list[str]:
        """The words of a caption, known or not, as TF-IDF reads them."""
        return self._read_words(caption)

    @cached_property
    def _fitted(self) -> Any:
        vectorizer = _vectorizer(vocabulary=self.terms)
        vectorizer.idf_ = self.idf.astype(np.float64)
        return vectorizer

    @cached_property
    def _read_words(self) -> Callable[[str], list[str]]:
        return _vectorizer(ngram_range=(1, 1)).build_analyzer()


def _vectorizer(**changes: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**({"ngram_range": (1, 2), "sublinear_tf": True} | changes))
