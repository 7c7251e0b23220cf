"""Scalings and thresholds against known truths, other optimisers, naive searches and edge cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from emocap.evaluation.calibration import calibrate
from emocap.evaluation.probability_metrics import bce, expected_calibration_error
from emocap.evaluation.reliability import reliability_curve
from emocap.evaluation.scaling_fit import SLOPES, common_scaling, cross_entropy, mean_logits, scaling_per_emotion
from emocap.evaluation.scored_predictions import ranking
from emocap.evaluation.thresholds import best_threshold
from emocap.training.platt_scaling import PlattScaling, logits_of


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
    assert fitted.scaling.slopes == pytest.approx(np.full(4, 1 / temperature), rel=0.06)
    assert fitted.scaling.offsets == pytest.approx(np.zeros(4), abs=0.06)
    assert fitted.scaling(predicted) == pytest.approx(true, abs=0.02)
    if temperature != 1:
        scaled = fitted.scaling(predicted)
        assert expected_calibration_error(scaled, targets) < 0.5 * expected_calibration_error(predicted, targets)


def emotion_biased(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `drawn`, of a model with other slopes and offsets for each of four emotions."""
    true, predicted, targets = drawn(1.0, n, seed)
    return true, PlattScaling.of([2.0, 0.5, 1.0, 1.0], [1.0, 0.0, -1.0, 0.5])(predicted), targets


def test_scales_each_emotion_where_pairs_suffice() -> None:
    true, predicted, targets = emotion_biased(4000)
    fitted = calibrate(predicted, targets)
    assert fitted.method == "platt_per_emotion"
    assert fitted.scaling(predicted) == pytest.approx(true, abs=0.06)
    assert fitted.scaling.slopes == pytest.approx([0.5, 2, 1, 1], rel=0.15)
    _, predicted, targets = drawn(2.0, n=100)
    assert calibrate(predicted, targets).method == "platt"


def test_fit_equals_another_optimiser() -> None:
    """Also far from the start, where a step of Newton's method alone would be too long."""
    for factor in (1, 4):
        _, predicted, targets = emotion_biased(60)
        logits, truth = factor * logits_of(predicted), targets > 0
        common, found = common_scaling(logits, truth, 60), scaling_per_emotion(logits, truth, 60, ridge=10.0)
        for label in range(4):
            centre = mean_logits(logits)[label]

            def point_of(scaling, label=label, centre=centre):
                slope = scaling.slopes[label]
                return np.array([slope, scaling.offsets[label] - (1 - slope) * centre])

            prior = point_of(common)

            def loss(point, label=label, prior=prior, logits=logits, truth=truth, centre=centre):
                scaled = (logits[:, label] - centre) * point[0] + point[1] + centre
                return 60 * cross_entropy(scaled, truth[:, label]) + 5 * ((point - prior) ** 2).sum()

            expected = minimize(loss, prior, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
            assert point_of(found) == pytest.approx(expected, abs=1e-4)


def test_common_slope_keeps_each_emotions_mean() -> None:
    """About a logit of 0 it would lower the probabilities of a frequent emotion and raise those of a rare one."""
    rng = np.random.default_rng(4)
    logits = rng.normal([2.0, -3.0], 1.0, (4000, 2))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    overconfident = 2 * (logits - [2.0, -3.0]) + [2.0, -3.0]
    fitted = common_scaling(overconfident, truth, len(truth))
    assert fitted.slopes == pytest.approx([0.5, 0.5], abs=0.06)
    scaled = 1 / (1 + np.exp(-(overconfident * fitted.slopes + fitted.offsets)))
    assert scaled.mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.05)


def test_ridge_draws_emotions_to_the_common_fit() -> None:
    _, predicted, targets = emotion_biased(100)
    logits, truth = logits_of(predicted), targets > 0
    common = common_scaling(logits, truth, 100)
    distances = [
        np.abs(scaling_per_emotion(logits, truth, 100, ridge).offsets - common.offsets).max() for ridge in (1, 30, 1e9)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 19))
def test_scaling_keeps_the_order_of_pairs(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    p = (10.0 ** rng.uniform(-11, 0, (5, 6))).astype(np.float32)
    scaled = PlattScaling.of_temperature(temperature, 6)(p)
    assert ranking(scaled).tolist() == ranking(p).tolist(), "a temperature keeps the order of the emotions too"
    assert ((scaled >= 0) & (scaled <= 1)).all()
    by_emotion = PlattScaling(rng.uniform(0.05, 4, 6), rng.normal(0, 2, 6))(p)
    assert ranking(by_emotion.T).tolist() == ranking(p.T).tolist()
    assert PlattScaling.identity(6)(p) == pytest.approx(p, rel=1e-5)


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
    assert not fitted.is_scaled
    assert fitted.threshold == pytest.approx(0.25, abs=1e-3)  # two predicted: F1 20 / 31; one 12 / 21, all 22 / 41
    assert fitted.thresholds == pytest.approx([0.3, 0.2, 0.05], abs=1e-3)


def test_emotion_without_positives_gets_common_threshold() -> None:
    fitted = calibrate(np.array([[0.9, 0.2], [0.1, 0.3]]), np.array([[1, 0], [0, 0]]))
    assert fitted.thresholds[1] == fitted.threshold


def test_defaults_without_any_positive() -> None:
    fitted = calibrate(np.full((3, 2), 0.2), np.zeros((3, 2)))
    assert (fitted.is_scaled, fitted.threshold, fitted.thresholds.tolist()) == (False, 0.5, [0.5, 0.5])
    assert not calibrate(np.zeros((0, 2)), np.zeros((0, 2))).is_scaled


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_extreme_probabilities_stay_finite(probability: float) -> None:
    fitted = calibrate(np.full((40, 2), probability), np.array([[1, 0]] * 40))
    assert ((fitted.scaling.slopes >= SLOPES[0]) & (fitted.scaling.slopes <= SLOPES[1])).all()
    assert np.isfinite([fitted.threshold, *fitted.thresholds, *fitted.scaling.offsets]).all()
    assert np.isfinite(PlattScaling.of_temperature(0.05, 2)(np.array([[0.0, 1.0]]))).all()


def test_worse_than_chance_keeps_slopes_above_zero() -> None:
    _, predicted, targets = drawn(1.0, n=200)
    assert (calibrate(1 - predicted, targets).scaling.slopes > 0).all()


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
        PlattScaling.identity(1)(np.array([[np.nan]]))
    with pytest.raises(ValueError, match="temperature is 0"):
        PlattScaling.of_temperature(0.0, 1)
    for slopes, offsets, message in (([-1.0], [0.0], "above 0"), ([1.0], [np.nan], "finite"), ([1.0], [], "alike")):
        with pytest.raises(ValueError, match=message):
            PlattScaling.of(slopes, offsets)
    with pytest.raises(ValueError, match="alike"):
        calibrate(np.full((2, 2), 0.5), np.ones((2, 3)))


def test_unscaled_calibration_fits_only_thresholds() -> None:
    p, truth = np.array([[0.9, 0.9]] * 40), np.array([[1, 1], [1, 1], [1, 1], [0, 0]] * 10)
    assert calibrate(p, truth).is_scaled
    fitted = calibrate(p, truth, scaled=False)
    assert not fitted.is_scaled
    assert fitted.threshold == pytest.approx(0.45)  # midway between 0 and .9, which scaling would make .75


def test_few_pairs_are_not_scaled() -> None:
    _, predicted, targets = drawn(3.0)
    assert not calibrate(predicted[:19], targets[:19]).is_scaled
    assert (calibrate(predicted[:40], targets[:40]).scaling.slopes < 0.67).all()
    groups = [str(row // 10) for row in range(40)]
    assert not calibrate(predicted[:40], targets[:40], groups=groups).is_scaled, "four images are as few as 4 pairs"


def test_scaling_rarely_worsens_unseen_pairs() -> None:
    """Of calibrated probabilities, fitted to few pairs, against applying every scaling that is fitted."""
    losses = {"applied where it helps": 0.0, "always": 0.0}
    true, _, _ = drawn(1.0)
    rng = np.random.default_rng(1)
    for seed in range(60):
        rows = rng.choice(2000, 25, replace=False)
        targets = (np.random.default_rng(seed).random(true.shape) < true).astype(float)
        p, t = true[rows], targets[rows]
        for name, scaling in (
            ("applied where it helps", calibrate(p, t).scaling),
            ("always", common_scaling(logits_of(p), t > 0, len(p))),
        ):
            losses[name] += bce(scaling(true[2000:]), targets[2000:]) - bce(true[2000:], targets[2000:])
    assert losses["applied where it helps"] < 0.8 * losses["always"]


def test_folds_keep_groups_together() -> None:
    """Copies of pairs teach nothing about others: whether scaling helps is the same with and without them."""
    for seed in range(8):
        _, predicted, targets = drawn(1.3, n=24, seed=seed)
        names = [f"{row:02d}" for row in range(24)]
        once = calibrate(predicted, targets, groups=names)
        twice = calibrate(np.repeat(predicted, 2, 0), np.repeat(targets, 2, 0), groups=np.repeat(names, 2).tolist())
        assert twice.method == once.method
        assert twice.scaling.slopes == pytest.approx(once.scaling.slopes, abs=1e-4)
