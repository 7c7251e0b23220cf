"""A teacher's probabilities for every pair of a corpus, computed in parts so that an interrupted run can resume."""

from pathlib import Path

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import read_array, write_array
from emocap.regions.store.reader import FeatureStore
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import predict_calibrated

PAIRS_PER_PART = 16_384


def score(saved: SavedModel, pairs: Pairs, store: FeatureStore | None, folder: Path, batch_size: int) -> np.ndarray:
    """(N, E) float32 calibrated probabilities of every pair; each part of 16,384 pairs is saved in `folder`.

    Raises:
        EmocapError: the features differ from the model's, or a saved part has another shape.
    """
    if store is not None:
        saved.require_features(store.fingerprint, store.header.dim)
    parts = []
    starts = range(0, len(pairs), PAIRS_PER_PART)
    for start in starts:
        path = folder / f"part-{start // PAIRS_PER_PART:05d}.npy"
        rows = np.arange(start, min(start + PAIRS_PER_PART, len(pairs)))
        if not path.is_file():
            dataset = PairDataset.of(pairs.select(rows), saved.tokenizer, saved.card.max_length, store)
            write_array(
                path,
                predict_calibrated(
                    saved, dataset, batch_size, f"scoring part {start // PAIRS_PER_PART + 1} of {len(starts)}"
                ),
            )
        part = read_array(path)
        if part.shape != (len(rows), len(saved.vocabulary)):
            raise EmocapError(
                f"{path}: shape is {part.shape}, expected {(len(rows), len(saved.vocabulary))}; delete it"
            )
        parts.append(part)
    return np.concatenate(parts)
