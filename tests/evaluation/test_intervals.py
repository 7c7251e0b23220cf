"""Intervals from draws: against SciPy, by hand, and what they promise."""

import math

import numpy as np
import pytest
from scipy import stats

from emocap.evaluation.intervals import estimate, interval, minimum_detectable, pairs_needed, simultaneous_intervals
from emocap.evaluation.rare_emotions import RareVariance


def normal_draws(n: int = 100_000, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    """Draws with mean 0 and standard deviation `scale` exactly."""
    draws = np.random.default_rng(seed).normal(size=n)
    return scale * (draws - draws.mean()) / draws.std(ddof=1)


def test_interval_is_students_with_corrected_error() -> None:
    low, high = interval(estimate(0.5, normal_draws(), 8))
    half = stats.t.ppf(0.975, 7) * 0.1 * math.sqrt(8 / 7)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-3)


def test_undefined_draws_are_left_out() -> None:
    draws = normal_draws()
    with_nan = np.concatenate([draws, np.full(50_000, np.nan)])
    assert interval(estimate(0.5, with_nan, 8)) == pytest.approx(interval(estimate(0.5, draws, 8)))
    assert estimate(0.5, np.full(10, np.nan), 8) is None
    assert estimate(np.nan, draws, 8) is None
    assert estimate(0.5, draws, 1) is None, "one image says nothing about others"


def test_degrees_are_satterthwaites() -> None:
    draws = normal_draws() * math.sqrt(99 / 100)  # a standard error of 0.1 for 100 images
    assert estimate(0.5, draws, 100).degrees == pytest.approx(99, rel=2e-3)
    few = normal_draws(100) * math.sqrt(99 / 100)
    assert estimate(0.5, few, 100).degrees == pytest.approx(99 / 2), "a hundred draws are as uncertain as the images"
    of_seeds = estimate(0.5, draws, 100, seed_error=0.1, n_seeds=3)
    assert of_seeds.degrees == pytest.approx(2, rel=2e-3), "all of the variance is over three seeds"
    half = estimate(0.5, draws, 100, seed_error=0.1 / math.sqrt(2), n_seeds=3)
    assert half.degrees == pytest.approx(1 / (0.25 / 99 + 0.25 / 2), rel=2e-3)


def test_equal_draws_give_exact_interval_at_a_bound() -> None:
    perfect = estimate(1.0, np.ones(100), 10)
    low, high = interval(perfect, lowest=0, highest=1)
    exact = stats.binomtest(10, 10).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high))
    assert interval(estimate(0.0, np.zeros(100), 10), lowest=-1, highest=1) == [0, 0], "a model and itself"
    low, high = interval(estimate(1.0, np.ones(100), 10), lowest=-1, highest=1)
    assert 0.6 < low < high == 1, "right everywhere against wrong everywhere is not certain"


def test_simultaneous_interval_of_copies_is_no_wider() -> None:
    draws = normal_draws()
    one, *_, last = simultaneous_intervals([estimate(0.1 * i, draws, 50) for i in range(5)])
    assert one == pytest.approx(interval(estimate(0.0, draws, 50)), rel=0.05)
    assert last == pytest.approx(interval(estimate(0.4, draws, 50)), rel=0.05)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_simultaneous_intervals_of_independent_values_are_sidaks(n: int) -> None:
    estimates = [estimate(0.0, normal_draws(seed=seed), 10**6) for seed in range(n)]
    expected = stats.norm.ppf(0.5 + 0.5 * 0.95 ** (1 / n)) * 0.1
    for low, high in simultaneous_intervals(estimates):
        assert (-low, high) == pytest.approx((expected, expected), rel=0.02)


def test_simultaneous_intervals_keep_missing_values() -> None:
    found = simultaneous_intervals([None, estimate(0.0, normal_draws(), 10), estimate(0.0, np.zeros(100_000), 10)])
    assert found[0] is None
    assert found[1] is not None
    assert found[2] == [0, 0]


def test_minimum_detectable_has_its_power() -> None:
    """A true difference of that size is shown in 80% of samples."""
    rng, n = np.random.default_rng(0), 30
    shown = 0
    error = 1 / math.sqrt(n)
    true = minimum_detectable(estimate(0.0, normal_draws(scale=error * math.sqrt((n - 1) / n)), n))
    for _ in range(2000):
        sample = rng.normal(true, 1, n)
        shown += stats.ttest_1samp(sample, 0).pvalue < 0.05
    assert shown / 2000 == pytest.approx(0.8, abs=0.04)


def test_pairs_needed_show_the_difference() -> None:
    draws = normal_draws(scale=0.1 * math.sqrt(0.99))
    needed = pairs_needed(estimate(0.05, draws, 100), 100)
    assert needed == pytest.approx(100 * (2.8016 * 0.1 / 0.05) ** 2, rel=0.006)
    error = 0.1 * math.sqrt(100 / needed)
    assert 1 - stats.norm.cdf(1.96 - 0.05 / error) == pytest.approx(0.8, abs=0.001)
    assert pairs_needed(estimate(0.0, draws, 100), 100) is None
    assert pairs_needed(estimate(1e-7, draws, 100), 100) is None, "more than a billion"


def test_more_pairs_cannot_replace_seeds() -> None:
    draws = normal_draws()
    assert pairs_needed(estimate(0.05, draws, 100, seed_error=0.05, n_seeds=3), 100) is None
    more = pairs_needed(estimate(0.5, draws, 100, seed_error=0.05, n_seeds=3), 100)
    assert more is not None


def test_pairs_needed_agree_with_minimum_detectable() -> None:
    """A difference that these pairs could not show needs more of them, with few degrees of freedom too."""
    draws = normal_draws()
    of_rare = {"rare": RareVariance(0.0, 3.0)}
    of_seeds = {"seed_error": 0.09, "n_seeds": 3}
    for options in ({}, of_rare, of_seeds):
        smallest = minimum_detectable(estimate(1.0, draws, 100, **options))
        below, above = (pairs_needed(estimate(share * smallest, draws, 100, **options), 100) for share in (0.98, 1.02))
        assert below is None or below > 100, options
        assert above is not None, options
        assert above <= 100, options
    rare = pairs_needed(estimate(0.3, draws, 100, **of_rare), 100)
    assert 100 < rare < 150, "z quantiles would say 87 pairs"
    assert pairs_needed(estimate(0.4, draws, 100, **of_seeds), 100) is None, (
        "two degrees of freedom need 5.4 times 0.09"
    )
