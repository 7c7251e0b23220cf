"""What draws miss of rare emotions: by hand, against the variance of means of few values, and edge cases."""

import numpy as np
import pytest

from emocap.evaluation.rare_emotions import rare_variance


def test_added_variance_by_hand() -> None:
    draws = np.array([[0.1, 0.5, 0.2], [0.3, 0.5, 0.2], [0.2, np.nan, 0.2]])
    # variances over draws: 0.01, 0 and 0; k / (k - 1) of the first is 4 / 3, of one positive 0.01 * 16 / 3
    found = rare_variance(draws, np.array([4, 1, 0]))
    assert found.added == pytest.approx((0.01 / 3 + 0.16 / 3) / 4)
    first, second = 0.04 / 3, 0.16 / 3
    assert found.degrees == pytest.approx((first + second) ** 2 / (first**2 / 3 + second**2 / 3))


def test_variance_with_the_added_one_is_true() -> None:
    """Of means of k values each, in draws of these values with replacement."""
    rng, k = np.random.default_rng(0), np.array([2, 3, 8])
    true = np.mean(1 / k) / len(k)  # of the mean of three means of values with variance 1
    seen, corrected = [], []
    for _ in range(300):
        values = [rng.normal(size=n) for n in k]
        draws = np.stack([each[rng.integers(0, len(each), (200, len(each)))].mean(axis=1) for each in values], axis=1)
        seen.append(draws.mean(axis=1).var(ddof=1))
        corrected.append(seen[-1] + rare_variance(draws, k).added)
    assert np.mean(corrected) == pytest.approx(true, rel=0.08)
    assert np.mean(seen) < 0.75 * true


def test_many_positives_add_nothing() -> None:
    draws = np.random.default_rng(0).normal(size=(500, 3))
    found = rare_variance(draws, np.full(3, 10_000))
    assert found.added == pytest.approx(0, abs=1e-4)
    assert found.degrees > 9_999


def test_nothing_is_known_of_single_positives_alone() -> None:
    draws = np.random.default_rng(0).normal(size=(50, 2))
    assert rare_variance(draws, np.array([1, 1])).added == 0
    assert rare_variance(draws, np.array([0, 0])).added == 0
    assert rare_variance(np.full((50, 2), 0.5), np.array([4, 5])).added == 0
    assert rare_variance(np.full((50, 2), np.nan), np.array([4, 5])).added == 0
