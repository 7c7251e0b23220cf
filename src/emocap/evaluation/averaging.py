"""The average of several models' predictions."""

from collections.abc import Sequence

import numpy as np


def mean_of_logits(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """(N, E) float64 probabilities at the mean of the models' logits.

    Args:
        probabilities: of each model, (N, E); kept 1e-7 away from 0 and 1.

    >>> mean_of_logits([np.array([[.5]]), np.array([[.5]])]).tolist()
    [[0.5]]
    """
    clipped = [np.clip(np.asarray(p, dtype=np.float64), 1e-7, 1 - 1e-7) for p in probabilities]
    logits = np.mean([np.log(p) - np.log1p(-p) for p in clipped], axis=0)
    return 1 / (1 + np.exp(-logits))
