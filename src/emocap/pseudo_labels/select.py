"""Selection of pseudo-labels: the top-P emotions per pair, the top-K pairs per emotion, and a random sample.

After Yalniz et al. 2019 (arXiv 1905.00546): each pair is a candidate for its top-P emotions, by probability as there or
by lift (`lift.py`); for each emotion the K candidates with the highest probability are kept. Without K every candidate
is kept, as in the founding study. If an image has several captions, the teacher's agreement across them can filter or
weight the pseudo-labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.errors import EmocapError


@dataclass(frozen=True)
class Selection:
    """The pseudo-labelled sample.

    Attributes:
        rows: (M,) int64, ascending row numbers of the source.
        kept: (M, E) bool, the emotions kept for each; at least one per row.
        n_candidates: number of pairs with a kept emotion before the sample was drawn.
    """

    rows: np.ndarray
    kept: np.ndarray
    n_candidates: int


def top_p_emotions(probabilities: np.ndarray, p: int, lifts: np.ndarray | None = None) -> np.ndarray:
    """(N, E) bool: each pair's p emotions of highest probability or, where lifts are given, of highest lift.

    Equal lifts are ranked by probability, equal probabilities in vocabulary order.

    Args:
        probabilities: (N, E).
        p: 1 <= p <= E.
        lifts: (N, E), as `lift.lift` gives them.

    >>> probabilities = np.array([[.1, .9, .5], [.4, .4, .4]])
    >>> top_p_emotions(probabilities, 2).tolist()
    [[False, True, True], [True, True, False]]
    >>> top_p_emotions(probabilities, 1, np.array([[2., 1., 0.], [0., 0., 1.]])).tolist()
    [[True, False, False], [False, False, True]]
    """
    ranks = (-probabilities,) if lifts is None else (-probabilities, -lifts)
    order = np.lexsort(ranks, axis=1)[:, :p]
    kept = np.zeros(probabilities.shape, dtype=bool)
    np.put_along_axis(kept, order, True, axis=1)
    return kept


def agreement_over_captions(chosen: np.ndarray, images: Sequence[str]) -> np.ndarray:
    """(N, E) float32: the share of the captions of a pair's image for which an emotion is among the top p.

    Args:
        chosen: (N, E) bool, as `top_p_emotions` gives it.
        images: N image keys; each pair with the key "" is a group of its own.

    >>> chosen = np.array([[True, False], [True, True], [False, True]])
    >>> agreement_over_captions(chosen, ["a", "a", ""]).tolist()
    [[1.0, 0.5], [1.0, 0.5], [0.0, 1.0]]
    """
    keys = [image or f"\0{row}" for row, image in enumerate(images)]
    _, group = np.unique(keys, return_inverse=True)
    sums = np.zeros((group.max(initial=-1) + 1, chosen.shape[1]), dtype=np.float32)
    np.add.at(sums, group, chosen)
    return sums[group] / np.bincount(group)[group, None].astype(np.float32)


def select(
    probabilities: np.ndarray,
    p: int = 4,
    k: int | None = None,
    fraction: float = 0.1,
    seed: int = 0,
    *,
    images: Sequence[str] = (),
    min_agreement: float | None = None,
    lifts: np.ndarray | None = None,
) -> Selection:
    """Keep the top-P emotions per pair and the top-K pairs per emotion, then draw a sample of the pairs.

    Args:
        probabilities: (N, E) of the teacher.
        p: number of emotions that a pair is a candidate for.
        k: number of pairs kept per emotion; None keeps all candidates.
        fraction: share of the candidates drawn, 0 to 1; at least one.
        seed: of the draw.
        images: N image keys, required for `min_agreement`.
        min_agreement: an emotion is kept if it is among the top p for at least this share of its image's captions.
        lifts: (N, E), by which the top p are chosen instead of by probability. Both give an emotion's pairs the same
            order, so that K is not affected.

    Raises:
        EmocapError: p, k or fraction is out of range, no pair is given or left, or a probability is not finite.
    """
    n, n_labels = probabilities.shape
    if n == 0:
        raise EmocapError("selection: the source has no pairs")
    if not np.isfinite(probabilities).all():
        raise EmocapError("selection: the teacher's probabilities contain NaN or infinity; lower its learning_rate")
    if not 1 <= p <= n_labels:
        raise EmocapError(f"pseudo_labels.p is {p}, expected 1 to {n_labels}")
    if k is not None and k < 1:
        raise EmocapError(f"pseudo_labels.k is {k}, expected 1 or more")
    if not 0 < fraction <= 1:
        raise EmocapError(f"pseudo_labels.fraction is {fraction}, expected above 0, at most 1")
    kept = top_p_emotions(probabilities, p, lifts)
    if min_agreement is not None:
        kept &= agreement_over_captions(kept, images) >= min_agreement - 1e-6
        if not kept.any():
            raise EmocapError(
                f"pseudo_labels.min_agreement is {min_agreement}, which no emotion of any image reaches; lower it"
            )
    if k is not None:
        kept = _top_k_pairs(probabilities, kept, k)
    candidates = np.flatnonzero(kept.any(axis=1))
    size = max(1, round(fraction * len(candidates)))
    rows = np.sort(np.random.default_rng(seed).choice(candidates, size, replace=False))
    return Selection(rows, kept[rows], len(candidates))


def _top_k_pairs(probabilities: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    kept = np.zeros_like(candidates)
    for label in range(candidates.shape[1]):
        rows = np.flatnonzero(candidates[:, label])
        best = rows[np.argsort(-probabilities[rows, label], kind="stable")[:k]]
        kept[best, label] = True
    return kept


def student_targets(
    probabilities: np.ndarray,
    selection: Selection,
    label_type: str,
    *,
    p: int = 4,
    images: Sequence[str] = (),
    lifts: np.ndarray | None = None,
) -> np.ndarray:
    """(M, E) float32 targets, 0 for every emotion that is not kept.

    Args:
        probabilities: (N, E) of the teacher.
        selection: M pairs of those N.
        label_type: "hard", 1; "soft", the teacher's probability; "votes", the share of the captions of the pair's image
            that have the emotion among their top p.
        p: of the selection; for "votes".
        images: N image keys; for "votes".
        lifts: (N, E), where the selection is by lift; for "votes".

    Raises:
        EmocapError: unknown label type.
    """
    if label_type == "hard":
        return selection.kept.astype(np.float32)
    if label_type == "soft":
        return np.where(selection.kept, probabilities[selection.rows], 0).astype(np.float32)
    if label_type == "votes":
        agreement = agreement_over_captions(top_p_emotions(probabilities, p, lifts), images)
        return np.where(selection.kept, agreement[selection.rows], 0).astype(np.float32)
    raise EmocapError(f"pseudo_labels.label_type is {label_type!r}, expected 'hard', 'soft' or 'votes'")
