"""Captions with one word per emotion, so that a tiny model can learn in seconds."""

import numpy as np
import pytest

from emocap.training.batching import PairDataset


@pytest.fixture
def word_data():
    """Makes n captions of 3 to 7 words; word 10 means emotion 0, word 11 emotion 1, word 12 emotion 2."""

    def make(n: int, seed: int) -> PairDataset:
        rng = np.random.default_rng(seed)
        ids, targets = [], []
        for _ in range(n):
            target = rng.random(3) < (0.6, 0.3, 0.3)
            words = [10 + i for i in range(3) if target[i]] + rng.integers(14, 30, rng.integers(3, 5)).tolist()
            ids.append([2, *rng.permutation(words).tolist(), 3])
            targets.append(target)
        return PairDataset(ids, [""] * n, np.array(targets, dtype=np.float32))

    return make
