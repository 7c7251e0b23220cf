"""Which models a report compares with and recommends: validation pairs decide, unit by unit."""

from dataclasses import replace

import numpy as np
import pytest

from emocap.evaluation.calibration import uncalibrated
from emocap.evaluation.predictions import ModelPredictions
from emocap.study.stages.choices import BEST_BASELINE, comparison_baseline, recommended
from emocap.study.stages.held_out import HeldOut, UnitPredictions


def held_out(value: float, validation: list[float], *, folds: int = 1) -> HeldOut:
    """A model that predicts one value for the two test pairs of each unit; a seed has `folds` units."""
    units = []
    for number, score in enumerate(validation):
        seed, fold = divmod(number, folds)
        p = np.full((2, 3), value, dtype=np.float32)
        predictions = ModelPredictions(np.array([0, 1]) + 2 * fold, p, p, p[:, 0], p)
        units.append(UnitPredictions(seed, predictions, score, replace(uncalibrated(3), threshold=value)))
    return HeldOut(units)


def test_one_choice_keeps_its_name() -> None:
    baselines = {"prior": held_out(0.1, [0.2, 0.2]), "tfidf": held_out(0.2, [0.5, 0.4])}
    name, chosen_in, found = comparison_baseline(baselines)
    assert (name, chosen_in) == ("tfidf", {"tfidf": 2})
    assert found is baselines["tfidf"]


def test_each_unit_takes_its_own_choice() -> None:
    baselines = {
        "prior": held_out(0.1, [0.2, 0.2, 0.2, 0.9], folds=2),
        "tfidf": held_out(0.2, [0.5, 0.4, 0.3, 0.1], folds=2),
        "vectors": held_out(0.3, [0.1, 0.6, 0.3, 0.1], folds=2),
    }
    name, chosen_in, found = comparison_baseline(baselines)
    assert (name, chosen_in) == (BEST_BASELINE, {"tfidf": 2, "vectors": 1, "prior": 1})
    assert [repeat.raw[:, 0].tolist() for repeat in found.repeats] == [
        pytest.approx([0.2, 0.2, 0.3, 0.3]),
        pytest.approx([0.2, 0.2, 0.1, 0.1]),
    ]
    assert [repeat.rows.tolist() for repeat in found.repeats] == [[0, 1, 2, 3]] * 2
    assert [unit.calibration.threshold for unit in found.units] == pytest.approx([0.2, 0.3, 0.2, 0.1])
    assert found.validation == pytest.approx((0.5 + 0.6 + 0.3 + 0.9) / 4)


def test_unit_without_validation_emotions_takes_the_first() -> None:
    baselines = {"prior": held_out(0.1, [np.nan]), "tfidf": held_out(0.2, [np.nan])}
    assert comparison_baseline(baselines)[0] == "prior"
    assert comparison_baseline({**baselines, "vectors": held_out(0.3, [0.01])})[0] == "vectors"


def test_recommends_best_of_saved_models() -> None:
    scores = {"prior": 0.9, "tfidf": 0.3, BEST_BASELINE: 0.8, "teacher": 0.5, "ensemble": 0.6}
    assert recommended(scores) == "ensemble"
    assert recommended(scores | {"tfidf": 0.7}) == "tfidf"
    assert recommended(scores | {"ensemble": np.nan}) == "teacher"
