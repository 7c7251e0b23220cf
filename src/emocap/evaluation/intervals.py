"""Intervals of a value from its bootstrap draws, alone and for several values together, and what a test set can show.

An interval is value ± t · SE: SE is the standard deviation of the draws times √(n / (n − 1)) for n images, with what
the draws miss of rare emotions (see `rare_emotions`), and t is Student's quantile. Percentiles of the draws are too
narrow for few images (Hesterberg, "What teachers should know about the bootstrap", 2015, arXiv 1411.5279), and where a
metric is no mean over pairs they are shifted besides; docs/METRICS.md has the rates of false verdicts of both. The
degrees of freedom are those of images, seeds and draws together (Satterthwaite, "An approximate distribution of
estimates of variance components", 1946). Simultaneous intervals use the 95% quantile of the draws' largest |t| among
the values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from emocap.evaluation.rare_emotions import RareVariance

TWO_SIDED = 0.975  # 95% intervals, and tests at the two-sided 5% level
POWER = 0.8
NO_SPREAD = 1e-12
SAME = 1e-9
MOST_PAIRS = 10**9
N_SIZES = 4000  # numbers of pairs that are tried, half a percent apart


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with its standard error.

    Attributes:
        value: over all pairs.
        deviations: (B,) draws minus their mean, divided by their standard deviation; NaN where undefined.
        standard_error: of the value.
        seed_error: the part of it that the seeds contribute, √(variance over repeats / number of repeats); 0 for one.
        degrees: degrees of freedom of `standard_error`.
        n_images: that were drawn.
        degrees_of_images: degrees of freedom of the part that the images contribute.
        n_seeds: number of repeats behind `seed_error`.
    """

    value: float
    deviations: np.ndarray
    standard_error: float
    seed_error: float
    degrees: float
    n_images: int
    degrees_of_images: float = np.inf
    n_seeds: int = 1


def estimate(
    value: float,
    draws: np.ndarray,
    n_images: int,
    *,
    seed_error: float = 0.0,
    n_seeds: int = 1,
    rare: RareVariance | None = None,
) -> Estimate | None:
    """The standard error of a value; None if it is undefined, or fewer than two draws or images define it.

    Args:
        value: over all pairs, the mean over repeats.
        draws: (B,) the same for each draw of images (and seeds); those that are NaN are left out.
        n_images: number of images that are drawn.
        seed_error: as `Estimate`.
        n_seeds: number of repeats behind `seed_error`.
        rare: of a mean over emotions, what the draws lack.
    """
    defined = draws[~np.isnan(draws)]
    if np.isnan(value) or len(defined) < 2 or n_images < 2:
        return None
    spread = float(defined.std(ddof=1))
    if spread <= NO_SPREAD:
        return Estimate(value, np.zeros_like(draws), 0.0, 0.0, n_images - 1, n_images)
    rare = rare or RareVariance()
    error = math.sqrt(spread**2 * n_images / (n_images - 1) + rare.added)
    seed_error = min(seed_error, error)
    of_images = min(n_images - 1, rare.degrees)
    shares = _inverse_degrees(error**2 - seed_error**2, of_images, seed_error, n_seeds)
    degrees = float(1 / (shares + 1 / (len(defined) - 1)))
    deviations = (draws - defined.mean()) / spread
    return Estimate(value, deviations, error, seed_error, degrees, n_images, of_images, n_seeds)


def _inverse_degrees(of_images: Any, degrees_of_images: Any, seed_error: float, n_seeds: int) -> Any:
    """Satterthwaite's 1 / degrees of freedom of the variance over images, `of_images`, plus that over seeds."""
    of_seeds = seed_error**4 / (n_seeds - 1) if n_seeds > 1 else 0.0
    return (of_images**2 / degrees_of_images + of_seeds) / (of_images + seed_error**2) ** 2


def interval(estimated: Estimate, *, lowest: float = -np.inf, highest: float = np.inf) -> list[float]:
    """The 95% interval, within the bounds of the metric.

    If every draw has the same value, of which a metric with bounds is an example where all pairs are right, the ends
    are those of n of n successes (Clopper and Pearson 1934): 1 − 0.025^(1/n) away. A difference of 0 in every draw,
    such as that of a model to itself, has no width.

    >>> interval(Estimate(1.0, np.zeros(2), 0.0, 0.0, 9, 10), lowest=0, highest=1)[0].__round__(3)
    0.692
    """
    half = float(stdtrit(estimated.degrees, TWO_SIDED)) * estimated.standard_error
    if half == 0 and np.isfinite(highest) and not (lowest < 0 and abs(estimated.value) <= SAME):
        half = 1 - (1 - TWO_SIDED) ** (1 / estimated.n_images)
    return _ends(estimated.value, half, lowest, highest)


def simultaneous_intervals(
    estimates: Sequence[Estimate | None], *, lowest: float = -np.inf, highest: float = np.inf
) -> list[list[float] | None]:
    """Intervals that contain all true values together in 95% of samples; None where there is no estimate.

    The draws' 95% quantile of the largest |deviation| is a normal quantile, which becomes Student's at the same
    probability. Values without spread keep their own interval. Source: Romano and Wolf, "Exact and approximate stepdown
    methods for multiple hypothesis testing" (2005), section 3, without the steps.
    """
    varied = [each for each in estimates if each is not None and each.standard_error > 0]
    critical = TWO_SIDED
    if len(varied) > 1:
        largest = np.max(np.abs([np.nan_to_num(each.deviations) for each in varied]), axis=0)
        critical = max(TWO_SIDED, float(ndtr(np.quantile(largest, 0.95))))
    intervals: list[list[float] | None] = []
    for each in estimates:
        if each is None:
            intervals.append(None)
        elif each.standard_error == 0:
            intervals.append(interval(each, lowest=lowest, highest=highest))
        else:
            half = float(stdtrit(each.degrees, critical)) * each.standard_error
            intervals.append(_ends(each.value, half, lowest, highest))
    return intervals


def covering(ends: list[float], shift: float) -> list[float]:
    """An interval and the same interval moved by `shift`, as one.

    >>> covering([0.0, 0.5], -0.25)
    [-0.25, 0.5]
    """
    return [ends[0] + min(shift, 0.0), ends[1] + max(shift, 0.0)]


def minimum_detectable(estimated: Estimate) -> float:
    """The smallest true difference that a test at the two-sided 5% level shows with 80% power: (t.975 + t.8) · SE.

    Source: Bloom, "Minimum detectable effects: a simple way to report the statistical power of experimental designs"
    (1995).

    >>> round(minimum_detectable(Estimate(0.1, np.zeros(2), 0.05, 0.0, 1e6, 100)), 3)  # 2.80 times 0.05
    0.14
    """
    quantiles = stdtrit(estimated.degrees, TWO_SIDED) + stdtrit(estimated.degrees, POWER)
    return float(quantiles) * estimated.standard_error


def pairs_needed(estimated: Estimate, n_pairs: int) -> int | None:
    """The number of test pairs at which a true difference as large as the observed one is shown with 80% power.

    It is the least number, to half a percent, whose `minimum_detectable` is not above the observed difference. The
    variance over images falls as 1 / pairs, and their degrees of freedom rise as the pairs; the seeds stay the same.

    Args:
        estimated: of the difference.
        n_pairs: number of test pairs behind it; the answer is above it where they could not show the difference.

    Returns:
        None if the difference is 0, or no number of pairs up to a billion is enough.

    >>> pairs_needed(Estimate(0.07, np.zeros(2), 0.05, 0.0, 99, 100), 100)  # (2.80 * 0.05 / 0.07)^2 is 4.0
    402
    """
    difference = abs(estimated.value)
    if difference <= SAME:
        return None
    sizes = np.geomspace(1, MOST_PAIRS, N_SIZES)
    growth = sizes / n_pairs
    of_images = (estimated.standard_error**2 - estimated.seed_error**2) / growth
    error = np.sqrt(of_images + estimated.seed_error**2)
    if not error.any():
        return 1
    inverse = _inverse_degrees(of_images, estimated.degrees_of_images * growth, estimated.seed_error, estimated.n_seeds)
    with np.errstate(divide="ignore"):
        degrees = 1 / inverse
    is_shown = (stdtrit(degrees, TWO_SIDED) + stdtrit(degrees, POWER)) * error <= difference
    if minimum_detectable(estimated) > difference:
        is_shown &= sizes > n_pairs
    return math.ceil(sizes[is_shown.argmax()]) if is_shown.any() else None


def _ends(value: float, half: float, lowest: float, highest: float) -> list[float]:
    """Both ends, within the bounds; rounding leaves a value at its bound within the interval."""
    return [max(value - half, min(lowest, value)), min(value + half, max(highest, value))]
