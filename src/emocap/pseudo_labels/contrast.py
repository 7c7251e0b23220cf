"""The contrast of captions: how many of the emotions kept for one caption are kept for another caption, too.

Where captions of the same image share nearly all, a student or a captioner is trained on the same emotions whatever the
caption says.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def contrast(chosen: np.ndarray, images: Sequence[str]) -> dict[str, Any]:
    """What the emotions kept for two captions have in common.

    Args:
        chosen: (N, E) bool, the emotions kept for each caption.
        images: N image keys; each pair with the key "" is an image of its own.

    Returns:
        "n_images", those with two captions or more; "same_image", the mean number of emotions that two captions of the
        same image share, a mean over images, None without such images; "other_images", the same for captions of
        different images, a mean over all such pairs, None without any; "n_occurring", the number of emotions kept for
        at least one caption.

    >>> chosen = np.array([[True, True, False], [True, False, True], [True, True, False]])
    >>> contrast(chosen, ["a", "a", "b"])
    {'n_images': 1, 'same_image': 1.0, 'other_images': 1.5, 'n_occurring': 3}
    """
    keys = [image or f"\0{row}" for row, image in enumerate(images)]
    _, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    counts = np.zeros((len(sizes), chosen.shape[1]))
    np.add.at(counts, group, chosen)
    shared, pairs = _pairs_of(counts).sum(axis=1), _pairs_of(sizes)
    others = _pairs_of(len(chosen)) - pairs.sum()
    of_others = _pairs_of(counts.sum(axis=0)).sum() - shared.sum()
    several = sizes > 1
    return {
        "n_images": int(several.sum()),
        "same_image": float((shared[several] / pairs[several]).mean()) if several.any() else None,
        "other_images": float(of_others / others) if others else None,
        "n_occurring": int(chosen.any(axis=0).sum()),
    }


def _pairs_of(number: Any) -> Any:
    """How many pairs a number of captions makes."""
    return number * (number - 1) / 2
