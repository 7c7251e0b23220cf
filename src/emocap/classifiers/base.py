"""Classifier: the interface that models of every kind share once they are loaded from their folders."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emocap.emotions import Vocabulary
from emocap.ratings import Ratings
from emocap.regions.store.reader import FeatureStore
from emocap.training.checkpoint import ModelCard, SavedModel, require_features
from emocap.training.predict import require_finite


@dataclass(frozen=True)
class CaptionReader:
    """How a model splits captions into tokens, for warnings about captions that it may misread.

    Attributes:
        tokenizer: a function from a text to `{"input_ids": [...]}`, with the attribute `unk_token_id`; as those of
            transformers.
        max_length: number of tokens that the model reads, special ones included.
    """

    tokenizer: Any
    max_length: int


class Classifier(ABC):
    """A model that gives every pair a probability of each emotion.

    Attributes:
        card: its metadata.
        folder: the model folder.
        vocabulary: its E emotions, in order.
        ratings: the R ratings that it predicts, in order.
        network: the network, whose gradients explain predictions; None for models of other kinds.
        n_networks: number of neural networks that a prediction runs.
    """

    network: SavedModel | None = None
    n_networks: int = 0

    def __init__(self, card: ModelCard, folder: Path) -> None:
        self.card, self.folder = card, folder
        self.vocabulary = Vocabulary(tuple(card.labels))
        self.ratings = Ratings.of(card.ratings)

    @property
    def uses_images(self) -> bool:
        """Whether it was trained on images as well as captions."""
        return self.card.features is not None

    @property
    def uses_captions(self) -> bool:
        """Whether it was trained on captions; False for one of images alone."""
        return self.card.uses_captions

    @property
    @abstractmethod
    def readers(self) -> list[CaptionReader]:
        """How it reads captions: one reader, one of each member of an ensemble, or none if it reads no caption."""

    @abstractmethod
    def raw_probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """(N, E + R) float32 uncalibrated probabilities, and ratings; arguments as `probabilities`."""

    def probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """(N, E + R) float32 calibrated probabilities of N pairs, and behind them ratings from 0 to 1 on their scales.

        Args:
            features: N times the (R, D) region features of the pair's image, or None; read one batch at a time, so
                that `StoredFeatures` needs little memory. A model of captions only ignores them.
            captions: N texts.
            progress: name of the work whose progress is reported; None reports nothing.

        Raises:
            EmocapError: a probability is not finite.
        """
        raw = require_finite(self.raw_probabilities(features, captions, progress))
        return self.card.scaling.of_outputs(raw).astype(np.float32)

    def require_features(self, fingerprint: str, dim: int, *, allow_other: bool = False) -> None:
        """Reject region features that differ from those the model was trained on.

        Args:
            fingerprint, dim: of the features.
            allow_other: only warn about a different fingerprint, if the dimension is the same.

        Raises:
            EmocapError: the features differ, or the model was trained without any.
        """
        require_features(self.card, self.folder, fingerprint, dim, allow_other=allow_other)


class StoredFeatures(Sequence[np.ndarray | None]):
    """The region features of N images in a store, each read when it is asked for; None where the store has none."""

    def __init__(self, store: FeatureStore | None, images: Sequence[str]) -> None:
        self._store, self._images = store, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: Any) -> Any:
        image = self._images[row]
        return self._store[image][0] if self._store is not None and image in self._store else None
