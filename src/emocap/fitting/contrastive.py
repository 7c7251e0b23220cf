"""Contrastive fine-tuning of a text encoder's upper layers on few labelled captions.

After SetFit (Tunstall et al. 2022, "Efficient few-shot learning without prompts", arXiv 2209.11055): captions of one
label get vectors of cosine 1, others of cosine 0, and logistic regression is fitted to the vectors. Changed: all pairs
within a batch are compared instead of pairs one by one, which takes a tenth of the computation; for several labels per
caption the cosine is to be the Jaccard similarity of the labels; the embeddings and lower layers are frozen, so that
they read each caption once.
"""

import copy
from pathlib import Path

import numpy as np
import torch

from emocap.corpora.pairs import Pairs
from emocap.fitting.upper_layers import LowerLayers, StatesDataset, UpperLayers
from emocap.models.classifier import EmotionNetwork
from emocap.training.resume import discard_checkpoints
from emocap.training.settings import TrainSettings
from emocap.training.train import train

STEPS, BATCH_SIZE, LEARNING_RATE = 20, 32, 2e-4
TRAINED_LAYERS = 3  # the uppermost


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


def tuned_layers(
    lower: LowerLayers, pairs: Pairs, truth: np.ndarray, folder: Path, *, name: str, seed: int
) -> tuple[EmotionNetwork, UpperLayers]:
    """A network fine-tuned on N captions, with an `fc` that is still to be fitted, and its upper layers.

    Args:
        lower: the frozen layers and the network before training, which stays as it is.
        pairs: N pairs, of which the captions are read.
        truth: (N, E) float32 of 0 and 1.
        folder: for temporary files of the training.
        name: of the run, for its log.
    """
    network = copy.deepcopy(lower.network)
    upper = UpperLayers(network, TRAINED_LAYERS)
    data = StatesDataset(lower.states(pairs.captions), truth)
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
        upper,
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
    return network, upper


def set_head(network: EmotionNetwork, weights: np.ndarray, intercepts: np.ndarray, scale: float) -> None:
    """Give `fc` the weights (H, E) and intercepts (E,) of a linear model of vectors divided by `scale`."""
    with torch.no_grad():
        network.fc.weight.copy_(torch.as_tensor(weights.T / scale))
        network.fc.bias.copy_(torch.as_tensor(intercepts))


def mean_length(vectors: np.ndarray) -> float:
    """The mean Euclidean length of vectors (N, H), by which they are divided before a head is fitted."""
    return float(np.linalg.norm(vectors, axis=1).mean())
