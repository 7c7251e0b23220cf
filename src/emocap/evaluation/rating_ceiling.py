"""What no model can exceed on ratings: the true means scored against the means of a few people, which are noisy.

A corpus gives for each image the mean of n people and their standard deviation s. That mean misses the true one, of all
people, by an error of variance s² / n. The true means would therefore reach less than a perfect score, as below.
"""

import numpy as np


def noise_ceiling(values: np.ndarray, sds: np.ndarray, numbers: np.ndarray, span: float) -> dict[str, float] | None:
    """What the true means would score against the observed ones, in closed form.

    With v the variance of the observed means over images and e the mean of s² / n, the true means have the variance
    v - e, so that their r is sqrt((v - e) / v), their concordance 2 (v - e) / (2 v - e), and their RMSE sqrt(e).

    Args:
        values: (N,) observed means from 0 to 1, NaN where missing.
        sds: (N,) standard deviations of the people on the same scale, NaN where unknown.
        numbers: (N,) how many people rated, NaN where unknown.
        span: length of the scale in units, for the RMSE.

    Returns:
        `pearson_r`, `ccc` and `rmse`; None where fewer than two images have all three numbers, or all means are equal.

    >>> noise_ceiling(np.array([0.2, 0.6]), np.array([0.4, 0.4]), np.array([16.0, 16.0]), 6.0)  # v = 0.04, e = 0.01
    {'pearson_r': 0.866, 'ccc': 0.8571, 'rmse': 0.6}
    """
    known = ~(np.isnan(values) | np.isnan(sds) | np.isnan(numbers))
    if known.sum() < 2:
        return None
    observed, error = float(values[known].var()), float((sds[known] ** 2 / numbers[known]).mean())
    if observed <= 0:
        return None
    true = max(observed - error, 0.0)
    return {
        "pearson_r": round(float(np.sqrt(true / observed)), 4),
        "ccc": round(2 * true / (observed + true), 4),
        "rmse": round(span * float(np.sqrt(error)), 4),
    }
