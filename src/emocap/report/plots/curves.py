"""Loss curves for a small figure: running means, and thousands of batches reduced to a few hundred points."""

from dataclasses import dataclass

import numpy as np

MAX_POINTS = 300


@dataclass(frozen=True)
class Curve:
    """A noisy series, its running mean and the range of the raw values around it.

    Attributes:
        x, mean, low, high: (n,) float64 with n <= 300; `low` and `high` are the least and greatest raw value of a bin.
        window: number of raw values in one running mean.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    window: int


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of up to `window` values around each one; fewer at both ends.

    Args:
        values: (n,) float.
        window: odd, at least 1.

    >>> running_mean(np.array([1., 2., 6.]), 3).tolist()
    [1.5, 3.0, 4.0]
    """
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    place = np.arange(len(values))
    first, last = np.maximum(place - window // 2, 0), np.minimum(place + window // 2 + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def thinned(x: np.ndarray, y: np.ndarray) -> Curve:
    """At most 300 points of a series in order of `x`: bins of equal length that keep every peak.

    Args:
        x: (n,) float, n >= 1, sorted.
        y: (n,) float.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    window = 2 * (len(y) // 40) + 1
    mean = running_mean(y, window)
    starts = np.unique(np.linspace(0, len(y), min(len(y), MAX_POINTS), endpoint=False).astype(int))
    sizes = np.diff(np.append(starts, len(y)))
    return Curve(
        x=np.add.reduceat(x, starts) / sizes,
        mean=np.add.reduceat(mean, starts) / sizes,
        low=np.minimum.reduceat(y, starts),
        high=np.maximum.reduceat(y, starts),
        window=window,
    )
