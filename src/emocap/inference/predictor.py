"""The public way to ask a trained model what people are likely to feel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from emocap.corpora.pairs import is_text
from emocap.errors import EmocapError
from emocap.evaluation.metrics import ranking
from emocap.regions.extract import Extractor, build_extractor, describe_source
from emocap.regions.store import kind_of
from emocap.training.batching import PairDataset, pad_regions
from emocap.training.checkpoint import SavedModel, load_model
from emocap.training.predict import best_device, finite

Picture = str | Path | bytes | Image.Image | None


@dataclass(frozen=True)
class EmotionProbability:
    """How likely at least one of a pair's annotators names this emotion."""

    emotion: str
    probability: float


class EmotionPredictor:
    """Emotions that a picture with its caption evokes, from a model folder.

    >>> predictor = EmotionPredictor.from_pretrained("runs/demo/AnB+/model")  # doctest: +SKIP
    >>> predictor.predict("dog.jpg", "A dog waits at the door, all alone.")[0]  # doctest: +SKIP
    EmotionProbability(emotion='sad', probability=0.71)
    """

    def __init__(self, saved: SavedModel) -> None:
        self._saved = saved
        self._device = best_device()
        self._model = saved.model.to(self._device).eval()
        self._extractor: Extractor | None = None
        if saved.card.features is not None:
            features = saved.card.features
            extractor = build_extractor(features["extractor"], features["settings"])
            saved.require_features(kind_of(extractor.name, extractor.settings, extractor.weights_hash, extractor.dim))
            self._extractor = extractor

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "EmotionPredictor":
        """Load a model folder that a study saved.

        Raises:
            EmocapError: not a model folder, or a broken one.
        """
        return cls(load_model(Path(folder)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model knows, in their fixed order."""
        return self._saved.vocabulary.labels

    def predict(self, image: Picture, caption: str) -> list[EmotionProbability]:
        """Every emotion with its probability, best first.

        Args:
            image: a file, its bytes, a Pillow image, or None for the caption alone.
            caption: any text that is not empty.

        Raises:
            EmocapError: the image cannot be read, the caption is empty, or the model knows no images.
        """
        return self.predict_many([(image, caption)])[0]

    def predict_many(self, pairs: Sequence[tuple[Picture, str]]) -> list[list[EmotionProbability]]:
        """`predict` for several pairs in one batch, in their order."""
        if not pairs:
            return []
        for number, (_, caption) in enumerate(pairs, 1):
            if not isinstance(caption, str) or not caption.strip():
                raise EmocapError(f"pair {number}: the caption is empty; give some text")
            if not is_text(caption):
                raise EmocapError(f"pair {number}: the caption is not Unicode text; give it in UTF-8")
        encoded = self._saved.tokenizer(
            [caption for _, caption in pairs],
            truncation=True,
            max_length=self._saved.card.max_length,
            return_attention_mask=False,
        )
        dataset = PairDataset(encoded["input_ids"], [""] * len(pairs))
        batch = dataset.collate([dataset[row] for row in range(len(pairs))])
        batch |= pad_regions([self._describe(image) for image, _ in pairs])
        with torch.inference_mode():
            logits = self._model(**{key: tensor.to(self._device) for key, tensor in batch.items()}).logits
        probabilities = finite(torch.sigmoid(logits.float()).cpu().numpy())
        return [
            [EmotionProbability(self.labels[i], float(row[i])) for i in order]
            for row, order in zip(probabilities, ranking(probabilities), strict=True)
        ]

    def _describe(self, image: Picture) -> np.ndarray | None:
        if image is None:
            return None
        if self._extractor is None:
            raise EmocapError(f"{self._saved.folder}: learnt from captions alone and cannot use an image; leave it out")
        if isinstance(image, Image.Image):
            features, _ = self._extractor.describe(image.convert("RGB"))
        else:
            features = describe_source(Path(image) if isinstance(image, str) else image, self._extractor).features
        return features.astype(np.float16)
