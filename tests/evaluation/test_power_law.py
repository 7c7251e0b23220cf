"""Power laws through learning curves."""

import numpy as np
import pytest

from emocap.evaluation.power_law import extrapolate, fit_power_law

SIZES = [75, 150, 300, 600, 1200]


def scores_of(a: float, b: float, c: float) -> np.ndarray:
    return a - b * np.array(SIZES, dtype=float) ** -c


def draws_of(scores: np.ndarray, common: float, own: float) -> np.ndarray:
    generator = np.random.default_rng(1)
    return scores + generator.normal(0, common, (300, 1)) + generator.normal(0, own, (300, len(scores)))


@pytest.mark.parametrize("c", [0.1, 0.35, 0.5, 1.0, 2.0])
def test_recovers_an_exact_law(c: float) -> None:
    law = fit_power_law(SIZES, scores_of(0.4, 1.5, c))
    assert law.c == pytest.approx(c, rel=0.01)
    assert law.a == pytest.approx(0.4, abs=0.01)
    assert law(2400) == pytest.approx(0.4 - 1.5 * 2400**-c, abs=1e-3)
    assert law.deviation < 1e-3


def test_fits_as_well_as_curve_fit() -> None:
    from scipy.optimize import curve_fit

    scores = scores_of(0.4, 1.5, 0.4) + np.array([0.004, -0.003, 0.002, 0.003, -0.002])
    law = fit_power_law(SIZES, scores)
    best, _ = curve_fit(
        lambda n, a, b, c: a - b * n**-c, np.array(SIZES), scores, p0=(0.4, 1.5, 0.4), bounds=([0, 0, 0.05], [1, 9, 3])
    )
    assert law(2400) == pytest.approx(best[0] - best[1] * 2400 ** -best[2], abs=2e-3)


def test_the_limit_stays_within_the_metrics_bounds() -> None:
    law = fit_power_law(SIZES, np.linspace(0.5, 0.98, 5))
    assert 0 <= law.a <= 1


def test_says_what_twice_the_pairs_would_bring() -> None:
    scores = scores_of(0.4, 1.0, 0.35)
    found = extrapolate(SIZES, scores, draws_of(scores, 0.006, 0.001))
    assert found.reason is None
    assert found.gain is not None
    assert found.gain_interval is not None
    truth = 1200**-0.35 - 2400**-0.35
    assert (found.n_pairs, found.gain) == (2400, pytest.approx(truth, abs=1e-3))
    assert 0 < found.gain_interval[0] < truth < found.gain_interval[1]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([0.3, 0.3, 0.3, 0.3, 0.3], "does not rise"),
        ([0.4, 0.38, 0.36, 0.34, 0.32], "does not rise"),
        ([0.3, 0.36, 0.29, 0.35, 0.32], "deviate from it"),
        ([0.3, np.nan, 0.31, 0.32, 0.33], "a score is undefined"),
    ],
)
def test_says_why_no_law_fits(scores: list[float], reason: str) -> None:
    found = extrapolate(SIZES, scores, draws_of(np.array(scores), 0.005, 0.002))
    assert found.law is None
    assert found.gain is None
    assert reason in (found.reason or "")


def test_three_sizes_are_too_few() -> None:
    found = extrapolate(SIZES[2:], [0.2, 0.25, 0.27], np.zeros((10, 3)))
    assert found.reason == "a law with three parameters needs 4 sizes, and there are 3"


def test_noise_seldom_promises_a_gain() -> None:
    generator = np.random.default_rng(0)
    promised = 0
    for _ in range(100):
        scores = 0.3 + generator.normal(0, 0.008, 5)
        found = extrapolate(SIZES, scores, draws_of(scores, 0.006, 0.001))
        promised += found.gain_interval is not None and found.gain_interval[0] > 0
    assert promised <= 6, "2.5% are nominal"


def test_undetermined_limits_have_no_interval() -> None:
    scores = 0.1 + 0.02 * np.log2(SIZES)
    found = extrapolate(SIZES, scores, draws_of(scores, 0.005, 0.004))
    assert found.intervals["a"] is None or found.intervals["a"][1] < 1
    assert found.intervals["c"] is None, "a straight line over the logarithm is the limit of small exponents"
