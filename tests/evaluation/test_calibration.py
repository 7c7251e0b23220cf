"""Temperatures and thresholds against known truths, naive searches and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocap.evaluation.calibration import TEMPERATURES, best_threshold, calibrate, reliability_curve, scale
from emocap.evaluation.probability_metrics import bce, expected_calibration_error
from emocap.evaluation.scored_predictions import ranking


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True probabilities, what a model says whose logits are `temperature` times too large, and targets."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (n, 4))
    true = 1 / (1 + np.exp(-logits))
    return true, 1 / (1 + np.exp(-temperature * logits)), (rng.random((n, 4)) < true).astype(float)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    true, said, targets = drawn(temperature)
    found = calibrate(said, targets)
    assert found.temperature == pytest.approx(temperature, rel=0.06)
    assert scale(said, found.temperature) == pytest.approx(true, abs=0.02)
    if temperature != 1:
        scaled = scale(said, found.temperature)
        assert expected_calibration_error(scaled, targets) < 0.5 * expected_calibration_error(said, targets)


def test_no_temperature_of_a_fine_grid_is_better() -> None:
    _, said, targets = drawn(2.0, n=50)
    best = bce(scale(said, calibrate(said, targets).temperature), targets)
    for temperature in np.geomspace(*TEMPERATURES, 300):
        assert bce(scale(said, temperature), targets) >= best - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 19))
def test_scaling_keeps_the_order_even_of_tiny_probabilities(seed: int, temperature: float) -> None:
    p = (10.0 ** np.random.default_rng(seed).uniform(-11, 0, (5, 6))).astype(np.float32)
    scaled = scale(p, temperature)
    assert ranking(scaled).tolist() == ranking(p).tolist()
    assert ((scaled >= 0) & (scaled <= 1)).all()
    assert scale(p, 1.0) == pytest.approx(p, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_no_threshold_has_a_greater_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, truth = rng.integers(0, 8, 15) / 8, rng.random(15) < 0.4
    truth[0] = True
    best = best_threshold(p, truth)

    def f1(threshold: float) -> float:
        answered = p >= threshold
        return 2 * (answered & truth).sum() / (answered.sum() + truth.sum())

    assert f1(best) == pytest.approx(max(f1(t) for t in (*p, *(p + 1e-9))))


def test_thresholds_lie_between_answers() -> None:
    assert best_threshold(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0]) > 0) == pytest.approx(0.3)
    assert best_threshold(np.array([0.2, 0.2]), np.array([1, 0]) > 0) == pytest.approx(0.1)
    assert best_threshold(np.array([0.0, 0.0]), np.array([1, 0]) > 0) == 0.0


def test_the_same_answer_to_every_pair_is_calibrated() -> None:
    prior = np.tile([0.6, 0.4, 0.1], (10, 1))
    targets = np.zeros((10, 3))
    targets[:6, 0] = targets[:4, 1] = targets[:1, 2] = 1
    found = calibrate(prior, targets)
    assert found.temperature == pytest.approx(1.0, abs=1e-3)
    assert found.threshold == pytest.approx(0.25, abs=1e-3)  # yes to two: F1 20 / 31; to one 12 / 21, to all 22 / 41
    assert found.thresholds == pytest.approx([0.3, 0.2, 0.05], abs=1e-3)


def test_an_emotion_that_no_pair_has_takes_the_threshold_of_all() -> None:
    found = calibrate(np.array([[0.9, 0.2], [0.1, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert found.thresholds[1] == found.threshold


def test_nothing_is_found_where_nothing_is_true() -> None:
    found = calibrate(np.full((3, 2), 0.2), np.zeros((3, 2)))
    assert (found.temperature, found.threshold, found.thresholds.tolist()) == (1.0, 0.5, [0.5, 0.5])
    assert calibrate(np.zeros((0, 2)), np.zeros((0, 2))).temperature == 1.0


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_model_that_is_sure_of_everything_stays_finite(answer: float) -> None:
    found = calibrate(np.full((4, 2), answer), np.array([[1, 0]] * 4))
    assert TEMPERATURES[0] <= found.temperature <= TEMPERATURES[1]
    assert np.isfinite([found.threshold, *found.thresholds]).all()
    assert np.isfinite(scale(np.array([0.0, 1.0]), 0.05)).all()


def test_a_curve_counts_every_cell_and_leaves_empty_bins_null() -> None:
    _, said, targets = drawn(2.0, n=100)
    curve = reliability_curve(said, targets)
    assert sum(curve["count"]) == said.size
    for low, confidence, frequency, n in zip(np.arange(15) / 15, *curve.values(), strict=True):
        inside = (said >= low) & (said < low + 1 / 15)
        assert inside.sum() == n
        assert confidence == pytest.approx(said[inside].mean())
        assert frequency == pytest.approx(targets[inside].mean())
    gaps = zip(*curve.values(), strict=True)
    error = sum(n * abs(a - b) for a, b, n in gaps) / said.size
    assert expected_calibration_error(said, targets) == pytest.approx(error)
    assert reliability_curve(np.array([[1.0]]), np.array([[1]]), 2) == {
        "confidence": [None, 1.0],
        "frequency": [None, 1.0],
        "count": [0, 1],
    }


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="within 0 to 1"):
        calibrate(np.array([[1.2]]), np.array([[1]]))
    with pytest.raises(ValueError, match="within 0 to 1"):
        scale(np.array([np.nan]), 1.0)
    with pytest.raises(ValueError, match="temperature is 0"):
        scale(np.array([0.5]), 0.0)
    with pytest.raises(ValueError, match="alike"):
        calibrate(np.full((2, 2), 0.5), np.ones((2, 3)))


def test_answers_that_are_to_stay_are_not_scaled_and_have_thresholds_of_their_own() -> None:
    p, truth = np.array([[0.9, 0.9]] * 4), np.array([[1, 1], [1, 1], [1, 1], [0, 0]])
    found = calibrate(p, truth, scaled=False)
    assert found.temperature == 1.0
    assert found.threshold == pytest.approx(0.45)  # midway between 0 and .9, which .75 would be if scaled
