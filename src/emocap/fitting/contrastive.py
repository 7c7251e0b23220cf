"""Contrastive fine-tuning of a text encoder on few labelled captions, and a network with a linear head on its vectors.

After SetFit (Tunstall et al. 2022, "Efficient few-shot learning without prompts", arXiv 2209.11055): captions of one
label get vectors of cosine 1, others of cosine 0, and logistic regression is fitted to the vectors. Changed: all pairs
within a batch are compared instead of pairs one by one, which takes a tenth of the computation; for several labels per
caption the cosine is to be the Jaccard similarity of the labels; the embeddings and lower layers are frozen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize
from transformers.modeling_outputs import SequenceClassifierOutput

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.models.backbones import find_backbone
from emocap.models.classifier import EmotionNetwork
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.text_encoder import longest_text
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import load_tokenizer
from emocap.training.resume import discard_checkpoints
from emocap.training.settings import TrainSettings
from emocap.training.train import train

STEPS, BATCH_SIZE, LEARNING_RATE = 30, 32, 1e-4
FROZEN_LAYERS = 0
MAX_LENGTH = 64


def contrastive_loss(vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of cosines from label similarities, alike and unlike pairs having the same weight.

    Args:
        vectors: (B, H) of length 1.
        labels: (B, E) of 0 and 1.

    >>> vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> contrastive_loss(vectors, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])).item()  # (1 + 0) / 2 + 1
    1.5
    """
    shared = labels @ labels.T
    counts = labels.sum(dim=1)
    similarity = shared / (counts[:, None] + counts[None, :] - shared).clamp(min=1)
    errors = (vectors @ vectors.T - similarity) ** 2
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    alike, unlike = others & (similarity > 0), others & (similarity == 0)
    return sum((errors[cells].mean() for cells in (alike, unlike) if cells.any()), 0 * errors.sum())


class _Vectors(nn.Module):
    """A network's pooled vectors of length 1 as its output, for training without a head."""

    def __init__(self, network: EmotionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, labels: torch.Tensor | None = None, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        """(B, H) vectors as `logits`."""
        return SequenceClassifierOutput(logits=normalize(self.network.pool(**inputs), dim=1))


def tuned_network(
    backbone: str,
    pairs: Pairs,
    truth: np.ndarray,
    vocabulary: Vocabulary,
    folder: Path,
    *,
    name: str,
    seed: int,
) -> tuple[EmotionNetwork, Any]:
    """A network whose encoder was fine-tuned on N captions and whose `fc` is still to be fitted, and its tokenizer.

    Args:
        backbone: as `find_backbone` takes it.
        pairs: N pairs, of which the captions are read.
        truth: (N, E) float32 of 0 and 1.
        folder: for temporary files of the training.
        name: of the run, for its log.
    """
    found = find_backbone(backbone)
    config = build_config(found.folder, vocabulary, pooling="mean", visual_token_type=0)
    network, _ = load_backbone(config, found.folder, seed)
    network.freeze([*network.lower, *network.layers[:FROZEN_LAYERS]])
    tokenizer = load_tokenizer(found.tokenizer_folder)
    data = PairDataset.of(pairs, tokenizer, caption_length(network), None, truth)
    n_batches = -(-len(pairs) // BATCH_SIZE)
    settings = TrainSettings(
        epochs=max(1, round(STEPS / n_batches)),
        batch_size=-(-len(pairs) // n_batches),  # batches of the same size, none of a single caption
        learning_rate=LEARNING_RATE,
        select_by=None,
        patience=None,
        save_steps=10**9,
    )
    train(
        _Vectors(network),
        data,
        None,
        settings,
        folder,
        name=name,
        seed=seed,
        metrics=None,
        collate=data.collate,
        lengths=data.lengths,
        loss=lambda outputs, labels: contrastive_loss(outputs.logits, labels),
    )
    discard_checkpoints(folder)
    return network, tokenizer


def caption_length(network: EmotionNetwork) -> int:
    """The number of tokens to which captions are truncated."""
    return min(MAX_LENGTH, longest_text(network))


def set_head(network: EmotionNetwork, weights: np.ndarray, intercepts: np.ndarray, scale: float) -> None:
    """Give `fc` the weights (H, E) and intercepts (E,) of a linear model of vectors divided by `scale`."""
    with torch.no_grad():
        network.fc.weight.copy_(torch.as_tensor(weights.T / scale))
        network.fc.bias.copy_(torch.as_tensor(intercepts))


def mean_length(vectors: np.ndarray | Sequence[np.ndarray]) -> float:
    """The mean Euclidean length of vectors (N, H), by which they are divided before a head is fitted."""
    return float(np.linalg.norm(np.asarray(vectors), axis=1).mean())
