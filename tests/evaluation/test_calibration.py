"""Temperatures and thresholds against known truths, naive searches and edge cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocap.evaluation.calibration import TEMPERATURES, best_temperature, best_threshold, calibrate, scale
from emocap.evaluation.probability_metrics import bce, expected_calibration_error
from emocap.evaluation.reliability import reliability_curve
from emocap.evaluation.scored_predictions import ranking


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True probabilities, those of a model whose logits are `temperature` times too large, and targets."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (n, 4))
    true = 1 / (1 + np.exp(-logits))
    return true, 1 / (1 + np.exp(-temperature * logits)), (rng.random((n, 4)) < true).astype(float)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_recovers_a_known_temperature(temperature: float) -> None:
    true, predicted, targets = drawn(temperature)
    fitted = calibrate(predicted, targets)
    assert fitted.temperature == pytest.approx(temperature, rel=0.06)
    assert scale(predicted, fitted.temperature) == pytest.approx(true, abs=0.02)
    if temperature != 1:
        scaled = scale(predicted, fitted.temperature)
        assert expected_calibration_error(scaled, targets) < 0.5 * expected_calibration_error(predicted, targets)


def test_no_temperature_of_a_grid_is_better() -> None:
    _, predicted, targets = drawn(2.0, n=100)
    best = bce(scale(predicted, calibrate(predicted, targets).temperature), targets)
    for temperature in np.geomspace(*TEMPERATURES, 300):
        assert bce(scale(predicted, temperature), targets) >= best - 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 19))
def test_scaling_keeps_the_order_of_probabilities(seed: int, temperature: float) -> None:
    p = (10.0 ** np.random.default_rng(seed).uniform(-11, 0, (5, 6))).astype(np.float32)
    scaled = scale(p, temperature)
    assert ranking(scaled).tolist() == ranking(p).tolist()
    assert ((scaled >= 0) & (scaled <= 1)).all()
    assert scale(p, 1.0) == pytest.approx(p, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_no_threshold_has_a_higher_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, truth = rng.integers(0, 8, 15) / 8, rng.random(15) < 0.4
    truth[0] = True
    best = best_threshold(p, truth)

    def f1(threshold: float) -> float:
        decisions = p >= threshold
        return 2 * (decisions & truth).sum() / (decisions.sum() + truth.sum())

    assert f1(best) == pytest.approx(max(f1(t) for t in (*p, *(p + 1e-9))))


def test_thresholds_are_between_probabilities() -> None:
    assert best_threshold(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0]) > 0) == pytest.approx(0.3)
    assert best_threshold(np.array([0.2, 0.2]), np.array([1, 0]) > 0) == pytest.approx(0.1)
    assert best_threshold(np.array([0.0, 0.0]), np.array([1, 0]) > 0) == 0.0


def test_prior_is_calibrated() -> None:
    prior = np.tile([0.6, 0.4, 0.1], (10, 1))
    targets = np.zeros((10, 3))
    targets[:6, 0] = targets[:4, 1] = targets[:1, 2] = 1
    fitted = calibrate(prior, targets)
    assert fitted.temperature == pytest.approx(1.0, abs=1e-3)
    assert fitted.threshold == pytest.approx(0.25, abs=1e-3)  # two predicted: F1 20 / 31; one 12 / 21, all 22 / 41
    assert fitted.thresholds == pytest.approx([0.3, 0.2, 0.05], abs=1e-3)


def test_emotion_without_positives_gets_common_threshold() -> None:
    fitted = calibrate(np.array([[0.9, 0.2], [0.1, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert fitted.thresholds[1] == fitted.threshold


def test_defaults_without_any_positive() -> None:
    fitted = calibrate(np.full((3, 2), 0.2), np.zeros((3, 2)))
    assert (fitted.temperature, fitted.threshold, fitted.thresholds.tolist()) == (1.0, 0.5, [0.5, 0.5])
    assert calibrate(np.zeros((0, 2)), np.zeros((0, 2))).temperature == 1.0


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_extreme_probabilities_stay_finite(probability: float) -> None:
    fitted = calibrate(np.full((40, 2), probability), np.array([[1, 0]] * 40))
    assert TEMPERATURES[0] <= fitted.temperature <= TEMPERATURES[1]
    assert np.isfinite([fitted.threshold, *fitted.thresholds]).all()
    assert np.isfinite(scale(np.array([0.0, 1.0]), 0.05)).all()


def test_curve_counts_cells_and_empty_bins() -> None:
    _, predicted, targets = drawn(2.0, n=100)
    curve = reliability_curve(predicted, targets)
    assert sum(curve["count"]) == predicted.size
    for low, confidence, frequency, n in zip(np.arange(15) / 15, *curve.values(), strict=True):
        inside = (predicted >= low) & (predicted < low + 1 / 15)
        assert inside.sum() == n
        assert confidence == pytest.approx(predicted[inside].mean())
        assert frequency == pytest.approx(targets[inside].mean())
    gaps = zip(*curve.values(), strict=True)
    error = sum(n * abs(a - b) for a, b, n in gaps) / predicted.size
    assert expected_calibration_error(predicted, targets) == pytest.approx(error)
    assert reliability_curve(np.array([[1.0]]), np.array([[1]]), 2) == {
        "confidence": [None, 1.0],
        "frequency": [None, 1.0],
        "count": [0, 1],
    }


def test_rejects_invalid_probabilities() -> None:
    with pytest.raises(ValueError, match="within 0 to 1"):
        calibrate(np.array([[1.2]]), np.array([[1]]))
    with pytest.raises(ValueError, match="within 0 to 1"):
        scale(np.array([np.nan]), 1.0)
    with pytest.raises(ValueError, match="temperature is 0"):
        scale(np.array([0.5]), 0.0)
    with pytest.raises(ValueError, match="alike"):
        calibrate(np.full((2, 2), 0.5), np.ones((2, 3)))


def test_unscaled_calibration_fits_only_thresholds() -> None:
    p, truth = np.array([[0.9, 0.9]] * 40), np.array([[1, 1], [1, 1], [1, 1], [0, 0]] * 10)
    assert calibrate(p, truth).is_scaled
    fitted = calibrate(p, truth, scaled=False)
    assert fitted.temperature == 1.0
    assert not fitted.is_scaled
    assert fitted.threshold == pytest.approx(0.45)  # midway between 0 and .9, which scaling would make .75


def test_few_pairs_get_no_temperature() -> None:
    _, predicted, targets = drawn(3.0)
    assert calibrate(predicted[:19], targets[:19]).temperature == 1.0
    assert calibrate(predicted[:40], targets[:40]).temperature > 1.5
    groups = [str(row // 10) for row in range(40)]
    assert calibrate(predicted[:40], targets[:40], groups=groups).temperature == 1.0, (
        "four images are as few as 4 pairs"
    )


def test_temperature_rarely_worsens_unseen_pairs() -> None:
    """Of calibrated probabilities, fitted to few pairs, against applying every temperature that is fitted."""
    losses = {"applied where it helps": 0.0, "always": 0.0}
    true, _, _ = drawn(1.0)
    rng = np.random.default_rng(1)
    for seed in range(60):
        rows = rng.choice(2000, 25, replace=False)
        targets = (np.random.default_rng(seed).random(true.shape) < true).astype(float)
        p, t = true[rows], targets[rows]
        logits = np.log(p) - np.log1p(-p)
        for name, temperature in (
            ("applied where it helps", calibrate(p, t).temperature),
            ("always", best_temperature(logits, t > 0)),
        ):
            losses[name] += bce(scale(true[2000:], temperature), targets[2000:]) - bce(true[2000:], targets[2000:])
    assert losses["applied where it helps"] < 0.8 * losses["always"]


def test_folds_keep_groups_together() -> None:
    """Copies of pairs teach nothing about others: whether a temperature helps is the same with and without them."""
    for seed in range(8):
        _, predicted, targets = drawn(1.3, n=24, seed=seed)
        names = [f"{row:02d}" for row in range(24)]
        once = calibrate(predicted, targets, groups=names)
        twice = calibrate(np.repeat(predicted, 2, 0), np.repeat(targets, 2, 0), groups=np.repeat(names, 2).tolist())
        assert twice.temperature == pytest.approx(once.temperature, abs=1e-4)
