"""A model's probabilities for many pairs, computed longest captions first, returned in the order of the pairs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.models.classifier import EmotionNetwork
from emocap.progress import track
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import SavedModel
from emocap.training.platt_scaling import PlattScaling


@contextmanager
def eval_mode(model: EmotionNetwork) -> Iterator[torch.device]:
    """Evaluation mode without gradients on the best device; afterwards the model is on the CPU in its previous mode."""
    device, was_training = best_device(), model.training
    model.to(device).eval()
    try:
        with torch.inference_mode():
            yield device
    finally:
        model.to("cpu").train(was_training)


def require_finite(probabilities: np.ndarray) -> np.ndarray:
    """The same array.

    Raises:
        EmocapError: it holds NaN.
    """
    if not np.isfinite(probabilities).all():
        raise EmocapError("model: its predictions are not finite; train it again with a lower learning rate")
    return probabilities


def pooled_vectors(model: EmotionNetwork, dataset: PairDataset, batch_size: int, what: str) -> np.ndarray:
    """(N, H) float32 inputs of `fc`, one per pair, without dropout."""
    return _run(model, dataset, batch_size, what, head=False)


def calibrated_probabilities(logits: torch.Tensor, scaling: PlattScaling) -> np.ndarray:
    """(N, E + R) float32 outputs of logits (N, E + R), of which the E of emotions are scaled and the others are not.

    Args:
        scaling: of a card; that of no emotion leaves all as they are.

    Raises:
        EmocapError: a probability is NaN.

    >>> halved = PlattScaling.of([0.5, 0.5], [0.0, 0.0])
    >>> probabilities = calibrated_probabilities(torch.tensor([[1.0, 9.0]]).log(), halved)  # odds of 9 become 3
    >>> probabilities.astype(float).round(3).tolist()
    [[0.5, 0.75]]
    """
    logits, n_labels = logits.float().cpu(), len(scaling.slopes)
    slopes, offsets = (torch.as_tensor(numbers, dtype=torch.float32) for numbers in (scaling.slopes, scaling.offsets))
    scaled = torch.cat([logits[:, :n_labels] * slopes + offsets, logits[:, n_labels:]], dim=1)
    return require_finite(torch.sigmoid(scaled).numpy())


def predict_probabilities(model: EmotionNetwork, dataset: PairDataset, batch_size: int, what: str) -> np.ndarray:
    """(N, E + R) float32 uncalibrated probabilities, and ratings from 0 to 1, without dropout."""
    logits = torch.from_numpy(_run(model, dataset, batch_size, what, head=True))
    return calibrated_probabilities(logits, PlattScaling.identity(0))


def predict_calibrated(saved: SavedModel, dataset: PairDataset, batch_size: int, what: str) -> np.ndarray:
    """(N, E) float32 calibrated probabilities of the emotions alone by a saved model, without dropout."""
    logits = torch.from_numpy(_run(saved.model, dataset, batch_size, what, head=True))
    return calibrated_probabilities(logits[:, : len(saved.vocabulary)], saved.card.scaling)


def predict_captions(
    saved: SavedModel, features: Sequence[np.ndarray | None], captions: Sequence[str], batch_size: int, what: str
) -> np.ndarray:
    """(N, E) float32 calibrated probabilities of N captions, each with its image's (R, D) features or None."""
    store = None
    if saved.card.features is not None:
        store = {str(row): (regions,) for row, regions in enumerate(features) if regions is not None}
    encoded = saved.tokenizer(
        list(captions), truncation=True, max_length=saved.card.max_length, return_attention_mask=False
    )["input_ids"]
    keys = [str(row) for row in range(len(captions))]
    dataset = PairDataset(encoded, keys, None, store)  # type: ignore[arg-type]  # a dict reads as a store does
    return predict_calibrated(saved, dataset, batch_size, what)


def _run(model: EmotionNetwork, dataset: PairDataset, batch_size: int, what: str, *, head: bool) -> np.ndarray:
    width = model.fc.out_features if head else model.fc.in_features
    results = np.empty((len(dataset), width), dtype=np.float32)
    order = dataset.by_length()
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    with eval_mode(model) as device:
        for rows in track(batches, what, len(batches), "batches"):
            batch = dataset.collate([dataset[int(row)] for row in rows])
            batch.pop("labels", None)
            vectors = model.pool(**{key: tensor.to(device) for key, tensor in batch.items()})
            results[rows] = (model.fc(vectors) if head else vectors).float().cpu().numpy()
    return results
