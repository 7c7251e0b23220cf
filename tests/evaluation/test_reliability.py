"""Reports of calibration: by hand, against scikit-learn, and against the prior."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from emocap.evaluation.calibration_gaps import RANGES, emotion_gaps, range_gaps
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import expected_calibration_error, top_calibration_error
from emocap.evaluation.reliability import calibration_report, equal_count_error

LABELS = ("joy", "fear", "calm")


def drawn(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and the true probabilities that they were drawn from."""
    rng = np.random.default_rng(seed)
    true = 1 / (1 + np.exp(-rng.normal([0.5, -1, -3], 1.5, (n, 3))))
    return (rng.random((n, 3)) < true).astype(float), true


def predictions(raw: np.ndarray, scaled: np.ndarray | None = None, rows: np.ndarray | None = None) -> ModelPredictions:
    raw = raw.astype(np.float32)
    rows = np.arange(len(raw)) if rows is None else rows
    scaled = raw if scaled is None else scaled.astype(np.float32)
    return ModelPredictions(rows, raw, scaled, np.full(len(raw), 0.5, np.float32), np.full(raw.shape, 0.5, np.float32))


def report(models, targets):
    prior = predictions(np.tile(targets.mean(axis=0), (len(targets), 1)))
    return calibration_report(models, [prior], targets, LABELS)


def test_before_and_after_scaling() -> None:
    targets, p = drawn(13)
    repeat = predictions(p, 0.5 * p)
    result = report([repeat, repeat], targets)
    assert result["ece_before"] == pytest.approx(expected_calibration_error(repeat.raw, targets))
    assert result["ece_after"] == pytest.approx(expected_calibration_error(repeat.probabilities, targets))
    assert result["top_ece"] == pytest.approx(top_calibration_error(repeat.probabilities, targets))
    assert sum(result["before"]["count"]) == sum(result["after"]["count"]) == 2 * 900
    assert sum(result["after"]["count"][8:]) == 0
    rows = np.array([7, 3])
    part = predictions(p[rows], rows=rows)
    assert report([part], targets)["ece_before"] == pytest.approx(
        expected_calibration_error(p[rows].astype(np.float32), targets[rows])
    )


def test_skill_is_against_the_prior() -> None:
    targets, p = drawn(1)
    prior = np.tile(targets.mean(axis=0), (len(targets), 1))
    assert report([predictions(prior)], targets)["brier_skill"] == pytest.approx(0)
    assert report([predictions(targets)], targets)["brier_skill"] == 1
    assert report([predictions(1 - p)], targets)["brier_skill"] < 0
    result = report([predictions(p)], targets)
    scores = [np.mean([brier_score_loss(targets[:, e], each[:, e]) for e in range(3)]) for each in (p, prior)]
    assert result["brier"] == pytest.approx(scores[0], rel=1e-5)
    assert result["brier_skill"] == pytest.approx(1 - scores[0] / scores[1], rel=1e-5)


def test_each_emotion_has_its_own_values() -> None:
    targets, p = drawn(2)
    bold = p.copy()
    bold[:, 1] = np.clip(p[:, 1] + 0.3, 0, 1)
    of_emotion = report([predictions(bold)], targets)["per_emotion"]
    assert list(of_emotion) == list(LABELS)
    assert of_emotion["fear"]["ece"] > 0.2 > of_emotion["joy"]["ece"]
    assert of_emotion["joy"]["brier"] == pytest.approx(brier_score_loss(targets[:, 0], p[:, 0]), rel=1e-5)
    assert of_emotion["calm"]["n_positives"] == targets[:, 2].sum()


def test_emotion_that_never_occurs_has_no_skill() -> None:
    targets, p = drawn(3)
    targets[:, 2] = 0
    of_emotion = report([predictions(p)], targets)["per_emotion"]["calm"]
    assert of_emotion["brier_skill"] is None
    assert of_emotion["n_positives"] == 0


def test_equal_count_error_equals_naive_bins() -> None:
    targets, p = drawn(4)
    order = np.argsort(p[:, 0])
    expected = sum(abs((targets[part, 0] - p[part, 0]).sum()) for part in np.split(order, 15)) / 300
    assert equal_count_error(p[:, 0], targets[:, 0]) == pytest.approx(expected)
    constant = np.full(300, 0.3)
    assert equal_count_error(constant, targets[:, 0]) == pytest.approx(abs(targets[:, 0].mean() - 0.3))


def test_prior_that_is_never_wrong_allows_no_skill() -> None:
    """An emotion that no pair has, or that all have, with a prior that knows it: 1 - 0.2 / 1e-22 says nothing."""
    targets, p = drawn(5)
    targets[:, 1], targets[:, 2] = 1, 0
    prior = np.tile([0.5, 1 - 1e-7, 1e-11], (300, 1))
    of_emotion = calibration_report([predictions(p)], [predictions(prior)], targets, LABELS)["per_emotion"]
    assert of_emotion["joy"]["brier_skill"] is not None
    assert (of_emotion["fear"]["brier_skill"], of_emotion["calm"]["brier_skill"]) == (None, None)


def test_ranges_equal_naive_tenths() -> None:
    targets, p = drawn(2)
    found = range_gaps(p, targets, [str(row) for row in range(len(p))])
    assert len(found) == RANGES
    for number, tenth in enumerate(found):
        inside = np.floor(p * 10) == number
        assert tenth["n_cells"] == inside.sum()
        assert tenth["predicted"] == pytest.approx(p[inside].mean())
        assert tenth["frequency"] == pytest.approx(targets[inside].mean())
        low, high = tenth["interval"]
        assert low <= tenth["frequency"] - tenth["predicted"] <= high
    assert range_gaps(p, targets, ["one"] * len(p))[0]["interval"] is None, "one image has no variation"
    assert range_gaps(np.full((2, 1), 0.5), np.zeros((2, 1)), ["a", "b"])[0] == {
        "low": 0.0, "high": 0.1, "n_cells": 0, "predicted": None, "frequency": None, "interval": None,
    }  # fmt: skip


def test_intervals_of_gaps_hold_zero_as_often_as_promised() -> None:
    """Of true probabilities, with pairs of one image alike, which fewer images than pairs must widen."""
    held = []
    for seed in range(40):
        targets, p = drawn(seed, n=100)
        twice, images = np.repeat(targets, 2, 0), np.repeat(np.arange(100), 2).astype(str)
        gaps = emotion_gaps(np.repeat(p, 2, 0), twice, images.tolist(), n_bootstrap=200)
        held += [gap["interval"][0] <= 0 <= gap["interval"][1] for gap in gaps]
    assert 0.89 <= np.mean(held) <= 0.99


def test_repeats_count_each_pair_once() -> None:
    targets, p = drawn(3)
    once, twice = report([predictions(p)], targets), report([predictions(p)] * 2, targets)
    assert [tenth["n_cells"] for tenth in once["ranges"]] == [tenth["n_cells"] for tenth in twice["ranges"]]
    assert once["ranges"][5]["interval"] == pytest.approx(twice["ranges"][5]["interval"])
    assert once["per_emotion"]["joy"]["frequency"] == pytest.approx(targets[:, 0].mean())
    assert once["per_emotion"]["joy"]["predicted"] == pytest.approx(p[:, 0].mean())
