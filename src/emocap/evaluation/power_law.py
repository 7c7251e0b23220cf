"""A power law through a learning curve, and what it says of more training pairs: score = a - b * n ** -c.

The form is that of Hestness et al., "Deep Learning Scaling is Predictable, Empirically" (2017, arXiv 1712.00409). Its
uncertainty comes from fits to bootstrap draws of the scores, each with as much noise added as the scores deviate from
the curve: sizes share their test images, so that the draws alone leave out how much a training run varies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_DRAWS = 400
LEAST_SIZES = 4  # one more than the law has parameters
EXPONENTS = (0.05, 3.0)
N_EXPONENTS = 400
PERCENTILES = (2.5, 97.5)
WORST_FIT = 0.25


@dataclass(frozen=True)
class PowerLaw:
    """A fitted law.

    Attributes:
        a: the score that it approaches.
        b: above 0 if the score rises.
        c: how fast; 0.05 to 3.
        deviation: root mean square of the scores minus the law, with the degrees of freedom of the fit.
    """

    a: float
    b: float
    c: float
    deviation: float

    def __call__(self, n: float) -> float:
        """The score with n training pairs."""
        return float(self.a - self.b * n**-self.c)


@dataclass(frozen=True)
class Extrapolation:
    """What a learning curve says of more training pairs.

    Attributes:
        law: None where no law describes the scores; `reason` says why.
        reason: one clause, None where there is a law.
        intervals: of "a", "b" and "c" at 95%, None for a value that the scores do not determine.
        n_pairs: the number of training pairs that is asked about.
        gain: the law's score there minus its score at the largest size; None without a law.
        gain_interval: at 95%.
    """

    law: PowerLaw | None
    reason: str | None
    intervals: dict[str, tuple[float, float] | None]
    n_pairs: int
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None


def fit_power_law(
    sizes: Sequence[float], scores: Sequence[float], *, lowest: float = 0.0, highest: float = 1.0
) -> PowerLaw:
    """The law of least squares with `a` between `lowest` and `highest`.

    Args:
        sizes: at least 4 numbers of training pairs, rising.
        scores: one for each, of which higher ones are better.
        lowest, highest: bounds of the metric.

    >>> law = fit_power_law([100, 200, 400, 800], [0.5 - 2 * n**-0.5 for n in (100, 200, 400, 800)])
    >>> round(law.a, 2), round(law.b, 1), round(law.c, 2)
    (0.5, 2.0, 0.5)
    """
    return _fits(np.asarray(sizes, dtype=np.float64), np.asarray(scores, dtype=np.float64)[None], lowest, highest)[0]


def _fits(sizes: np.ndarray, rows: np.ndarray, lowest: float, highest: float) -> list[PowerLaw]:
    """The fit to each of R rows of scores (R, S).

    For a given `c` the law is linear, so that every `c` of a grid has its best `a` and `b` in closed form. This takes
    milliseconds for hundreds of rows, where `scipy.optimize.curve_fit` with bounds takes seconds.
    """
    exponents = np.geomspace(*EXPONENTS, N_EXPONENTS)
    falls = (sizes / sizes[-1]) ** -exponents[:, None]  # (C, S); relative to the largest size, so of the order of 1
    mean_fall, mean = falls.mean(axis=1), rows.mean(axis=1)
    centred = falls - mean_fall[:, None]
    below = -((rows - mean[:, None]) @ centred.T) / (centred**2).sum(axis=1)  # (R, C)
    a = np.clip(mean[:, None] + below * mean_fall, lowest, highest)
    below = ((a[..., None] - rows[:, None]) * falls).sum(axis=2) / (falls**2).sum(axis=1)  # again, given the clipped a
    errors = ((rows[:, None] - a[..., None] + below[..., None] * falls) ** 2).sum(axis=2)
    best = errors.argmin(axis=1)
    freedom = max(1, len(sizes) - 3)
    return [
        PowerLaw(
            a=float(a[row, c]),
            b=float(below[row, c] * sizes[-1] ** exponents[c]),
            c=float(exponents[c]),
            deviation=float(np.sqrt(errors[row, c] / freedom)),
        )
        for row, c in enumerate(best)
    ]


def extrapolate(
    sizes: Sequence[float],
    scores: Sequence[float],
    draws: np.ndarray,
    *,
    factor: float = 2.0,
    lowest: float = 0.0,
    highest: float = 1.0,
    seed: int = 0,
) -> Extrapolation:
    """Fit a law to a learning curve, and say what `factor` times the training pairs would bring.

    There is no law where there are fewer than 4 sizes, where the score of the largest is not above that of the
    smallest, or where the scores deviate from the law by more than a quarter of that rise.

    Args:
        sizes: S numbers of training pairs, rising.
        scores: S scores, of which higher ones are better; NaN where undefined.
        draws: (B, S) the same scores in bootstrap draws.
        factor: of the largest size.
        lowest, highest: bounds of the metric.
        seed: of the noise that is added to the draws.
    """
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    n_pairs, nothing = round(factor * x[-1]), dict.fromkeys("abc")

    def refused(reason: str) -> Extrapolation:
        return Extrapolation(None, reason, dict(nothing), n_pairs)

    if len(x) < LEAST_SIZES:
        return refused(f"a law with three parameters needs {LEAST_SIZES} sizes, and there are {len(x)}")
    if np.isnan(y).any():
        return refused("a score is undefined")
    (law,) = _fits(x, y[None], lowest, highest)
    rise = y[-1] - y[0]
    if law.b <= 0 or rise <= 0:
        return refused("the score does not rise with the number of training pairs")
    if law.deviation > WORST_FIT * rise:
        return refused(f"the scores deviate from it by {law.deviation:.3f}, more than a quarter of their rise")
    centred = draws[~np.isnan(draws).any(axis=1)]
    centred = centred - centred.mean(axis=0) + y
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(centred), min(N_DRAWS, len(centred)), replace=False)
    noise = law.deviation * generator.standard_t(max(1, len(x) - 3), size=(len(rows), len(x)))
    fits = _fits(x, centred[rows] + noise, lowest, highest)
    low, high = np.percentile([fit(n_pairs) - fit(x[-1]) for fit in fits], PERCENTILES)
    intervals = {
        "a": _interval([fit.a for fit in fits], lowest, highest),
        "b": _interval([fit.b for fit in fits]),
        "c": _interval([fit.c for fit in fits], *EXPONENTS),
    }
    return Extrapolation(law, None, intervals, n_pairs, law(n_pairs) - law(x[-1]), (float(low), float(high)))


def _interval(values: list[float], lowest: float = -np.inf, highest: float = np.inf) -> tuple[float, float] | None:
    """The middle 95%; None where an end is a bound of the search, so that the scores do not determine the value."""
    low, high = np.percentile(values, PERCENTILES)
    span = highest - lowest
    at_bound = np.isfinite(span) and (low - lowest < 1e-3 * span or highest - high < 1e-3 * span)
    return None if at_bound else (float(low), float(high))
