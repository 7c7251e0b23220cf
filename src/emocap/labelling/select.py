"""Which pseudo-labels a student sees: the P best emotions of a pair, the K best pairs of an emotion, a sample of all.

After Yalniz et al. 2019 (arXiv 1905.00546): each pair is a candidate for its P best emotions; for each emotion the K
candidates with the highest probability are kept. Without K every candidate is kept, as in the founding study.
"""

from dataclasses import dataclass

import numpy as np

from emocap.errors import EmocapError


@dataclass(frozen=True)
class Selection:
    """The pseudo-labelled sample.

    Attributes:
        rows: (M,) int64, ascending row numbers of the source.
        kept: (M, E) bool, the emotions kept for each; at least one a row.
        n_candidates: pairs that kept an emotion before the sample was drawn.
    """

    rows: np.ndarray
    kept: np.ndarray
    n_candidates: int


def best_emotions(probabilities: np.ndarray, p: int) -> np.ndarray:
    """(N, E) bool: each pair's p most probable emotions, ties to the first in the vocabulary.

    >>> best_emotions(np.array([[.1, .9, .5], [.4, .4, .4]]), 2).tolist()
    [[False, True, True], [True, True, False]]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :p]
    kept = np.zeros(probabilities.shape, dtype=bool)
    np.put_along_axis(kept, order, True, axis=1)
    return kept


def select(
    probabilities: np.ndarray, p: int = 4, k: int | None = None, fraction: float = 0.1, seed: int = 0
) -> Selection:
    """Keep P emotions a pair, K pairs an emotion, and a sample of what is left.

    Args:
        probabilities: (N, E) of the teacher.
        p: emotions a pair is a candidate for.
        k: pairs kept for an emotion; None keeps all candidates.
        fraction: share of the candidates drawn, 0 to 1; at least one.
        seed: of the draw.

    Raises:
        EmocapError: p, k or fraction out of range, nothing to select from, or a probability that is not finite.
    """
    n, n_labels = probabilities.shape
    if n == 0:
        raise EmocapError("selection: the source has no pairs")
    if not np.isfinite(probabilities).all():
        raise EmocapError("selection: the teacher's probabilities hold NaN or infinity; train it again at a lower rate")
    if not 1 <= p <= n_labels:
        raise EmocapError(f"pseudo_labels.p is {p}, expected 1 to {n_labels}")
    if k is not None and k < 1:
        raise EmocapError(f"pseudo_labels.k is {k}, expected 1 or more")
    if not 0 < fraction <= 1:
        raise EmocapError(f"pseudo_labels.fraction is {fraction}, expected above 0, at most 1")
    kept = best_emotions(probabilities, p)
    if k is not None:
        kept = _best_pairs(probabilities, kept, k)
    candidates = np.flatnonzero(kept.any(axis=1))
    size = max(1, round(fraction * len(candidates)))
    rows = np.sort(np.random.default_rng(seed).choice(candidates, size, replace=False))
    return Selection(rows, kept[rows], len(candidates))


def _best_pairs(probabilities: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    kept = np.zeros_like(candidates)
    for label in range(candidates.shape[1]):
        rows = np.flatnonzero(candidates[:, label])
        best = rows[np.argsort(-probabilities[rows, label], kind="stable")[:k]]
        kept[best, label] = True
    return kept


def student_targets(probabilities: np.ndarray, selection: Selection, kind: str) -> np.ndarray:
    """(M, E) float32 targets: 1 for each kept emotion ("hard") or the teacher's probability of it ("soft"); else 0.

    Raises:
        EmocapError: unknown kind.
    """
    if kind == "hard":
        return selection.kept.astype(np.float32)
    if kind == "soft":
        return np.where(selection.kept, probabilities[selection.rows], 0).astype(np.float32)
    raise EmocapError(f"pseudo_labels.targets is {kind!r}, expected 'hard' or 'soft'")
