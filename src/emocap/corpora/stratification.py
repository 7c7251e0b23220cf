"""Division of groups into parts of given sizes with similar shares of every label.

Iterative stratification (Sechidis et al. 2011, section 4) with two changes: a part that is full takes no more, so that
the sizes are kept also with many rare labels, and large groups are placed first, so that single images fill the rest.
"""

from collections.abc import Sequence

import numpy as np


def stratify(weights: np.ndarray, targets: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """The part of each of G groups, (G,) int64.

    Where groups have one image each, every part gets exactly its size; otherwise a part exceeds its size only if a
    group fits in none.

    Args:
        weights: (G,) the number of images of each group.
        targets: (G, E), above 0 where a group has the label.
        sizes: images of each part, P numbers; their sum is that of `weights`.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(weights))
    labels = [np.flatnonzero(row).tolist() for row in targets > 0]
    room = [float(size) for size in sizes]
    shares = np.array(sizes) / max(sum(sizes), 1)
    wanted = np.outer(shares, (targets > 0).sum(axis=0)).tolist()
    parts = np.full(len(weights), -1, dtype=np.int64)

    def place(group: int, label: int | None) -> None:
        weight = weights[group]
        fits = [part for part in range(len(room)) if room[part] >= weight]
        if fits and label is not None:
            part = max(fits, key=lambda part: (wanted[part][label], room[part], ties[part]))
        else:
            part = max(fits or range(len(room)), key=lambda part: (room[part], ties[part]))
        parts[group] = part
        room[part] -= weight
        for one in labels[group]:
            wanted[part][one] -= 1

    for weight in np.unique(weights)[::-1]:
        groups = [int(group) for group in order if weights[group] == weight]
        for group, label in _rarest_first(groups, labels):
            ties = rng.random(len(room)).tolist()
            place(group, label)
    return parts


def _rarest_first(groups: Sequence[int], labels: Sequence[list[int]]) -> list[tuple[int, int | None]]:
    """The groups in the order of their placement, each with the label that it is placed by: the rarest that remains."""
    members: dict[int, list[int]] = {}
    for group in groups:
        for label in labels[group]:
            members.setdefault(label, []).append(group)
    left = {label: len(groups) for label, groups in members.items()}
    placed: set[int] = set()
    order: list[tuple[int, int | None]] = []
    while left:
        label = min(left, key=lambda label: (left[label], label))
        for group in members[label]:
            if group not in placed:
                placed.add(group)
                order.append((group, label))
                for other in labels[group]:
                    if other in left:
                        left[other] -= 1
        del left[label]
    return order + [(group, None) for group in groups if group not in placed]
