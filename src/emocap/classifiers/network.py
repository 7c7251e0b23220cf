"""A network, VisualBERT or another text encoder, as a classifier."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from emocap.classifiers.base import CaptionReader, Classifier
from emocap.devices import best_device
from emocap.progress import track
from emocap.training.batching import pad_regions, pad_tokens
from emocap.training.checkpoint import SavedModel, load_model
from emocap.training.platt_scaling import PlattScaling
from emocap.training.predict import calibrated_probabilities

BATCH_SIZE = 64


class NetworkClassifier(Classifier):
    """A network on the best device, in evaluation mode."""

    network: SavedModel
    n_networks = 1

    def __init__(self, saved: SavedModel) -> None:
        super().__init__(saved.card, saved.folder)
        self.network = saved
        self.device = best_device()
        saved.model.to(self.device).eval()

    @classmethod
    def load(cls, folder: Path) -> "NetworkClassifier":
        """Load a model folder of the kind "visual_bert" or "text_encoder".

        Raises:
            EmocapError: as `load_model`.
        """
        return cls(load_model(folder))

    @property
    def readers(self) -> list[CaptionReader]:
        """Its tokenizer."""
        return [CaptionReader(self.network.tokenizer, self.card.max_length)]

    def raw_probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """As `Classifier.raw_probabilities`."""
        return calibrated_probabilities(self._logits(features, captions, progress), PlattScaling.identity(0))

    def probabilities(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None = None
    ) -> np.ndarray:
        """As `Classifier.probabilities`; from the logits, which are more exact than rounded probabilities."""
        return calibrated_probabilities(self._logits(features, captions, progress), self.card.scaling)

    def _logits(
        self, features: Sequence[np.ndarray | None], captions: Sequence[str], progress: str | None
    ) -> torch.Tensor:
        """(N, E + R) float32 on the CPU, computed longest captions first."""
        logits = torch.empty(len(captions), len(self.vocabulary) + len(self.ratings))
        if not len(captions):
            return logits
        ids = self.network.tokenizer(
            list(captions), truncation=True, max_length=self.card.max_length, return_attention_mask=False
        )["input_ids"]
        order = np.argsort([-len(row) for row in ids], kind="stable")
        batches: Iterable[np.ndarray] = [order[start : start + BATCH_SIZE] for start in range(0, len(ids), BATCH_SIZE)]
        if progress is not None:
            batches = track(batches, progress, -(-len(ids) // BATCH_SIZE), "batches")
        for rows in batches:
            batch = pad_tokens([ids[row] for row in rows])
            if self.uses_images:
                batch |= pad_regions([features[row] for row in rows])
            with torch.inference_mode():
                output = self.network.model(**{key: tensor.to(self.device) for key, tensor in batch.items()})
                logits[torch.from_numpy(rows)] = output.logits.float().cpu()
        return logits
