"""The upper layers of a text encoder, trained on what its embeddings and frozen lower layers make of captions.

The frozen part has no dropout and reads each caption once, however many folds and epochs there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.utils.data import Dataset
from transformers.modeling_outputs import SequenceClassifierOutput

from emocap.emotions import Vocabulary
from emocap.models.backbones import find_backbone
from emocap.models.classifier import EmotionNetwork
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.text_encoder import longest_text
from emocap.training.batching import pad_tokens
from emocap.training.checkpoint import load_tokenizer
from emocap.training.predict import eval_mode

MAX_LENGTH = 64
BATCH_SIZE = 64


class LowerLayers:
    """The frozen part of a BERT; what it makes of a caption is kept.

    Attributes:
        network: the whole encoder as it was before training, pooled by the mean, with an `fc` that is not fitted.
        tokenizer: of the encoder.
        max_length: number of tokens to which captions are truncated.
    """

    def __init__(self, backbone: str, vocabulary: Vocabulary, n_trained: int) -> None:
        """Load a backbone, as `find_backbone` takes it, of which the `n_trained` uppermost layers are left out."""
        found = find_backbone(backbone)
        config = build_config(found.folder, vocabulary, pooling="mean", visual_token_type=0)
        self.network, _ = load_backbone(config, found.folder, 0)
        self.tokenizer = load_tokenizer(found.tokenizer_folder)
        self.max_length = min(MAX_LENGTH, longest_text(self.network))
        self._n_frozen = len(self.network.layers) - n_trained
        self._known: dict[str, torch.Tensor] = {}

    def states(self, captions: Sequence[str]) -> list[torch.Tensor]:
        """N captions' inputs of the lowest trained layer, each (T, H) float32, T tokens."""
        new = [caption for caption in dict.fromkeys(captions) if caption not in self._known]
        if new:
            self._known |= zip(new, self._read(new), strict=True)
        return [self._known[caption] for caption in captions]

    def _read(self, captions: list[str]) -> list[torch.Tensor]:
        ids = self.tokenizer(captions, truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        found: dict[int, torch.Tensor] = {}
        with eval_mode(self.network) as device:
            for start in range(0, len(order), BATCH_SIZE):
                rows = order[start : start + BATCH_SIZE]
                batch = {name: values.to(device) for name, values in pad_tokens([ids[row] for row in rows]).items()}
                layers = self.network.body(**batch, output_hidden_states=True, return_dict=True).hidden_states
                hidden = layers[self._n_frozen].float().cpu()
                found |= {row: states[: len(ids[row])].clone() for row, states in zip(rows, hidden, strict=True)}
        return [found[row] for row in range(len(ids))]


class UpperLayers(nn.Module):
    """The `n_trained` uppermost layers of a VisualBERT, sharing its weights."""

    def __init__(self, network: EmotionNetwork, n_trained: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(network.layers[-n_trained:])

    def pool(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(B, H) means over attended tokens, of inputs (B, T, H) and their mask (B, T)."""
        added = (1.0 - attention_mask[:, None, None, :]) * torch.finfo(hidden.dtype).min
        for layer in self.layers:
            hidden = layer(hidden, added)[0]
        return (hidden * attention_mask[..., None]).sum(dim=1) / attention_mask.sum(dim=1, keepdim=True)

    def forward(
        self, hidden: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """The pooled vectors, divided by their lengths, as `logits`."""
        return SequenceClassifierOutput(logits=normalize(self.pool(hidden, attention_mask), dim=1))

    def vectors(self, states: Sequence[torch.Tensor]) -> np.ndarray:
        """(N, H) float32 pooled vectors of N captions' states, without dropout, on the CPU."""
        self.eval()
        order = sorted(range(len(states)), key=lambda row: len(states[row]))
        found = np.empty((len(states), states[0].shape[1]), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_SIZE):
                rows = order[start : start + BATCH_SIZE]
                found[rows] = self.pool(**pad_states([states[row] for row in rows])).numpy()
        return found


@dataclass
class StatesDataset(Dataset):
    """N captions' states (T, H), with targets (N, E) float32."""

    states: Sequence[torch.Tensor]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"states": self.states[row], "labels": self.targets[row]}

    @property
    def lengths(self) -> list[int]:
        """Each caption's number of tokens."""
        return [len(states) for states in self.states]

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """hidden (B, T, H), attention_mask (B, T) and labels (B, E), float32."""
        labels = torch.as_tensor(np.stack([item["labels"] for item in items]))
        return pad_states([item["states"] for item in items]) | {"labels": labels}


def pad_states(states: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Inputs hidden (B, T, H) and attention_mask (B, T), float32, of B captions' states, padded at the end."""
    hidden = nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    lengths = torch.tensor([len(one) for one in states])
    return {"hidden": hidden, "attention_mask": (torch.arange(hidden.shape[1]) < lengths[:, None]).float()}
