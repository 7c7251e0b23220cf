"""Division of groups into parts of given sizes with similar shares of every label.

Iterative stratification (Sechidis et al. 2011, section 4): the groups with the rarest label come first, and each goes
to the part that lacks this label most. Three changes: a part that is full takes no more, so that the sizes are kept
also with many rare labels; a group's other labels, and labels too rare for every part, decide between parts that lack
the first equally; and large groups come first, so that single images fill the rest.
"""

from collections.abc import Sequence

import numpy as np

MIN_EXPECTED = 0.5  # groups with a label in the smallest part, from which on the label is balanced


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
    counts = (targets > 0).sum(axis=0)
    shares = np.array(sizes) / max(sum(sizes), 1)
    wanted = np.outer(shares, counts).tolist()  # groups with each label that each part still lacks
    expected = [list(row) for row in wanted]
    is_common = (shares.min() * counts >= MIN_EXPECTED).tolist()
    common = [[label for label in np.flatnonzero(row).tolist() if is_common[label]] for row in targets > 0]
    rare = [[label for label in np.flatnonzero(row).tolist() if not is_common[label]] for row in targets > 0]
    room = [float(size) for size in sizes]
    parts = np.full(len(weights), -1, dtype=np.int64)
    for weight in np.unique(weights)[::-1].tolist():
        for group, label in _rarest_first([int(group) for group in order if weights[group] == weight], common):
            fits = [part for part in range(len(room)) if room[part] >= weight] or list(range(len(room)))
            ties = rng.random(len(room)).tolist()
            lacks = {part: 0 if label is None else round(wanted[part][label]) for part in fits}
            others = [*common[group], *rare[group]]
            need = {part: sum(wanted[part][other] / expected[part][other] for other in others) for part in fits}
            free = {part: room[part] / sizes[part] for part in fits}
            part = max(fits, key=lambda part: (lacks[part], need[part] + free[part], room[part], ties[part]))
            parts[group] = part
            room[part] -= weight
            for other in (*common[group], *rare[group]):
                wanted[part][other] -= 1
    return parts


def _rarest_first(groups: Sequence[int], labels: Sequence[list[int]]) -> list[tuple[int, int | None]]:
    """The groups in the order of their placement, each with the label that it is placed by: the rarest that remains."""
    members: dict[int, list[int]] = {}
    for group in groups:
        for label in labels[group]:
            members.setdefault(label, []).append(group)
    left = {label: len(groups) for label, groups in members.items()}
    placed: dict[int, int | None] = {}
    while left:
        label = min(left, key=lambda label: (left[label], label))
        for group in members[label]:
            if group not in placed:
                placed[group] = label
                for other in labels[group]:
                    if other in left:
                        left[other] -= 1
        del left[label]
    return [*placed.items(), *((group, None) for group in groups if group not in placed)]
