"""How far predicted probabilities are from the shares of positives, in bins of pair-emotion cells, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.evaluation.intervals import estimate, interval
from emocap.evaluation.statistics import bins_of, weighted_share

RANGES = 10
DRAWN_AT_ONCE = 2_000_000  # weights of images


def range_gaps(
    probabilities: np.ndarray,
    targets: np.ndarray,
    images: Sequence[str],
    *,
    repeats: int = 1,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Predicted and true share in each tenth of the range of probabilities, over all cells.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        images: (N,) keys of what is drawn, such as the image of a pair.
        repeats: how often each pair is among the rows, which divides the number of cells.
        n_bootstrap: number of draws.
        seed: of the draws.

    Returns:
        For each tenth `low`, `high` and `n_cells`, and, None where it is empty, `predicted` (the mean probability),
        `frequency` (the share of positives) and `interval`, the 95% interval of `frequency` - `predicted`.

    >>> gaps = range_gaps(np.array([[.35, .05]] * 2), np.array([[1, 0], [0, 0]]), ["a", "b"])
    >>> [(tenth["n_cells"], tenth["frequency"]) for tenth in gaps if tenth["n_cells"]]
    [(2, 0.0), (2, 0.5)]
    """
    found = _gaps(probabilities, targets, bins_of(probabilities, RANGES), RANGES, images, n_bootstrap, seed)
    edges = [round(number / RANGES, 10) for number in range(RANGES + 1)]
    return [
        {"low": low, "high": high} | gap | {"n_cells": round(gap["n_cells"] / repeats)}
        for low, high, gap in zip(edges, edges[1:], found, strict=False)
    ]


def emotion_gaps(
    probabilities: np.ndarray,
    targets: np.ndarray,
    images: Sequence[str],
    *,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Predicted and true share of each emotion; arguments and values as `range_gaps`, without `low` and `high`."""
    columns = np.broadcast_to(np.arange(probabilities.shape[1]), probabilities.shape)
    return _gaps(probabilities, targets, columns, probabilities.shape[1], images, n_bootstrap, seed)


def _gaps(
    probabilities: np.ndarray,
    targets: np.ndarray,
    bins: np.ndarray,
    n_bins: int,
    images: Sequence[str],
    n_bootstrap: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The bins' gaps, of which those of (N, E) cells are numbered by `bins`; whole images are drawn."""
    p, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(targets) > 0
    keys, number_of = np.unique(np.array(images, dtype=object), return_inverse=True)
    cells = (number_of[:, None] * n_bins + bins).ravel()
    counts, predicted, positives = (
        np.bincount(cells, weights, len(keys) * n_bins).reshape(-1, n_bins)
        for weights in (np.ones(p.size), p.ravel(), truth.ravel().astype(np.float64))
    )
    drawn = _drawn_gaps(positives - predicted, counts, n_bootstrap, seed)
    found = []
    for number, n in enumerate(counts.sum(axis=0)):
        mean, share = (float(sums[:, number].sum() / n) if n else None for sums in (predicted, positives))
        gap: dict[str, Any] = {"n_cells": int(n), "predicted": mean, "frequency": share, "interval": None}
        if mean is not None and share is not None:
            estimated = estimate(share - mean, drawn[:, number], int((counts[:, number] > 0).sum()))
            gap["interval"] = None if estimated is None else interval(estimated, lowest=-1.0, highest=1.0)
        found.append(gap)
    return found


def _drawn_gaps(sums: np.ndarray, counts: np.ndarray, n_bootstrap: int, seed: int) -> np.ndarray:
    """(n_bootstrap, bins) gaps of drawn images from sums and numbers of cells (images, bins); NaN of an empty bin."""
    generator, n = np.random.default_rng(seed), len(sums)
    at_once, parts = max(1, DRAWN_AT_ONCE // n), []
    for start in range(0, n_bootstrap, at_once):
        weights = generator.multinomial(n, np.full(n, 1 / n), size=min(at_once, n_bootstrap - start)).astype(np.float64)
        parts.append(weighted_share(weights @ sums, weights @ counts))
    return np.concatenate(parts)
