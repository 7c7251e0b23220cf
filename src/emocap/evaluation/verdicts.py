"""Verdicts: whether one model is better than another, from an interval of the difference and the size of the test set.

Every sentence that compares models, and what marks their differences, follows from `decide`. On 10 pairs, a third of
the least test set, `benchmarks/false_verdicts.py` finds even a large difference in at most 11% of the trials;
docs/METRICS.md has its table.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Verdict = Literal["better", "worse", "inconclusive", "cannot tell"]

LEAST_IMAGES = 30
LEAST_POSITIVES = 30
LEAST_DECIDING = 6  # of fewer, all in favour of one model, a two-sided sign test is not below 5%: 2 / 2**5 is 6.25%
SAME = 1e-9


def decide(
    low: float, high: float, *, higher_is_better: bool, is_enough: bool, deciding_images: int | None = None
) -> Verdict:
    """Whether a model is better or worse than its reference.

    Args:
        low: lower end of the interval of the model's value minus the reference's; ends within 1e-9 of 0 contain it.
        high: upper end.
        higher_is_better: of the metric.
        is_enough: of the test set (see `sample_size`).
        deciding_images: number of images on which the two differ; None where the metric is not a mean over pairs.

    Returns:
        "cannot tell" where the test set is too small, "inconclusive" where the interval contains 0 or fewer than
        `LEAST_DECIDING` images decide.

    >>> decide(0.01, 0.03, higher_is_better=True, is_enough=True)
    'better'
    >>> decide(0.01, 0.03, higher_is_better=False, is_enough=True)
    'worse'
    >>> decide(0.0, 0.03, higher_is_better=True, is_enough=True)
    'inconclusive'
    >>> decide(0.01, 0.03, higher_is_better=True, is_enough=False)
    'cannot tell'
    """
    if not is_enough:
        return "cannot tell"
    is_above, is_below = low > SAME, high < -SAME
    if not is_above and not is_below:
        return "inconclusive"
    if deciding_images is not None and deciding_images < LEAST_DECIDING:
        return "inconclusive"
    return "better" if is_above == higher_is_better else "worse"


def sample_size(targets: np.ndarray, images: Sequence[str]) -> dict[str, Any]:
    """The size of a test set, and whether it is enough for a verdict.

    Args:
        targets: (N, E) of 0 and 1, of the test pairs.
        images: (N,) keys of the units that the bootstrap draws.

    Returns:
        `n_images`; `n_positives`, the number of positive cells of all pairs; the least numbers of both for a verdict,
        `least_images` and `least_positives`; and `is_enough`.

    >>> sample_size(np.array([[1, 1], [0, 1]]), ["a", "a"])["n_positives"]
    3
    """
    n_images, n_positives = len(set(images)), int((np.asarray(targets) > 0).sum())
    return {
        "n_images": n_images,
        "n_positives": n_positives,
        "least_images": LEAST_IMAGES,
        "least_positives": LEAST_POSITIVES,
        "is_enough": n_images >= LEAST_IMAGES and n_positives >= LEAST_POSITIVES,
    }
