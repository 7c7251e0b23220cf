"""A baseline as a classifier, which reads captions, the mean features of images, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emocap.classifiers.base import CaptionReader, Classifier
from emocap.classifiers.baseline_files import read_baseline
from emocap.evaluation.fitted_baselines import FittedBaseline
from emocap.evaluation.sentence_vectors import SentenceVectors
from emocap.evaluation.tfidf import Tfidf
from emocap.training.checkpoint import ModelCard, read_card

UNLIMITED = 10**9


class BaselineClassifier(Classifier):
    """A baseline; one that reads images has their features in its card."""

    def __init__(self, card: ModelCard, folder: Path, fitted: FittedBaseline) -> None:
        super().__init__(card, folder)
        self._fitted = fitted

    @classmethod
    def load(cls, folder: Path) -> "BaselineClassifier":
        """Load a model folder of one of `KINDS`.

        Raises:
            EmocapError: a file is missing, damaged or does not match, or the sentence-vector model is another one.
        """
        card = read_card(folder)
        return cls(card, folder, read_baseline(folder, card.kind, len(card.labels), len(card.ratings)))

    @cached_property
    def readers(self) -> list[CaptionReader]:
        """The words of TF-IDF, or the tokenizer of the sentence vectors; none where captions are not read."""
        read = self._fitted.read
        if isinstance(read, Tfidf):
            return [CaptionReader(_Words(read, frozenset(read.terms)), UNLIMITED)]
        if isinstance(read, SentenceVectors) and read.tokenizer is not None:
            return [CaptionReader(read.tokenizer, read.max_length or UNLIMITED)]
        return []

    def raw_probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """As `Classifier.raw_probabilities`."""
        return self._fitted(captions, features).astype(np.float32)


@dataclass(frozen=True)
class _Words:
    """Words of a caption as token ids, 1 for a known word and 0 for any other."""

    tfidf: Tfidf
    known: frozenset[str]
    unk_token_id: int = 0

    def __call__(self, caption: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [int(word in self.known) for word in self.tfidf.words(caption)]}
