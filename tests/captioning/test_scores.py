"""Scores of captions: by hand, paired intervals and differences, the operating point, and the bare-word attack."""

import numpy as np
import pytest

from emocap.captioning.scores import alignment_hits, estimate, score_captions, select_operating_point, summarise

LABELS = ["happy", "sad", "awe", "calm"]
REFERENCES = [["a dog sits on the beach", "a small dog by the sea"], ["a boat on a lake", "the boat lies still"]]


def scored(captions, judged):
    return score_captions(captions, REFERENCES, [1, 1], np.array(judged, float), LABELS)


def test_scores_by_hand() -> None:
    scores = scored(["a dog sits on the beach", "a boat on a lake"], [[0.1, 0.9, 0, 0], [0.9, 0.1, 0, 0]])
    assert scores["alignment"].tolist() == [1.0, 0.0]
    assert np.nanmean(scores["alignment_by_emotion"]) == 0.5
    assert (scores["words"], scores["distinct_captions"], scores["names_emotion"]) == (5.5, 1.0, 0.0)
    assert scores["cider_d"].shape == (2,)


def test_macro_average_weighs_emotions_equally() -> None:
    judged = np.eye(4)[[0, 0, 0, 1]]
    found = score_captions(["a b"] * 4, [["a b"]] * 4, [0, 0, 0, 2], judged, LABELS)
    assert found["alignment"].mean() == 0.75
    summary, _ = summarise({"a": found, "b": found}, "b", seed=1)
    assert summary["a"]["alignment_by_emotion"]["mean"] == 0.5


def test_interval_contains_mean_with_rare_emotions() -> None:
    values = np.full((100, 21), np.nan)
    values[:80, 0] = 1.0
    values[np.arange(80, 100), np.arange(1, 21)] = 0.0
    found = estimate(values, np.random.default_rng(0).integers(100, size=(1000, 100)))
    assert found["mean"] == pytest.approx(1 / 21)
    assert found["low"] < found["mean"] < found["high"]


def test_naming_the_emotion_is_counted_and_lowers_cider() -> None:
    """The bare emotion word may please a judge, but it is counted, and does not describe the dog."""
    attack = scored(["sad sad sad", "so sad"], [[0, 1, 0, 0]] * 2)
    honest = scored(["a dog sits on the beach", "a boat on a lake"], [[0, 1, 0, 0]] * 2)
    assert attack["names_emotion"] == 1.0
    assert attack["alignment"].mean() == honest["alignment"].mean() == 1.0
    assert attack["cider_d"].mean() < 0.1 * honest["cider_d"].mean()
    points = [{"alignment": 1.0, "cider_d": float(found["cider_d"].mean())} for found in (attack, honest)]
    assert select_operating_point(points, plain=points[1]["cider_d"], max_loss=0.1) == 1, "never selected"


def test_differences_are_paired() -> None:
    one = {"alignment": np.array([1.0, 0.0] * 50), "cider_d": np.arange(100.0), "words": 5.0}
    better = {"alignment": np.minimum(one["alignment"] + np.eye(100)[0:10].sum(0), 1), "cider_d": one["cider_d"] + 1}
    scores, differences = summarise({"plain": one, "same": one, "better": better}, "plain")
    assert differences["same"]["cider_d"] == {"difference": 0.0, "low": 0.0, "high": 0.0}
    assert differences["better"]["cider_d"] == {"difference": 1.0, "low": 1.0, "high": 1.0}
    share = differences["better"]["cider_d_share"]
    assert share["low"] < share["share"] == (49.5 + 1) / 49.5 < share["high"], (
        "the same draws in numerator and denominator"
    )
    assert differences["same"]["cider_d_share"] == {"share": 1.0, "low": 1.0, "high": 1.0}
    gain = differences["better"]["alignment"]
    assert gain["difference"] == pytest.approx(0.05)
    assert gain["low"] < 0.05 < gain["high"]
    assert scores["plain"]["alignment"]["mean"] == 0.5
    assert scores["plain"]["words"] == 5.0
    assert "plain" not in differences


def test_selects_smallest_loss_if_all_exceed_maximum() -> None:
    points = [{"alignment": 0.9, "cider_d": 0.2}, {"alignment": 0.1, "cider_d": 0.3}]
    assert select_operating_point(points, plain=1.0, max_loss=0.1) == 1


def test_alignment_hits_top_three_of_many() -> None:
    probabilities = np.tile(np.linspace(1, 0, 12), (4, 1))
    assert alignment_hits(probabilities, [0, 2, 3, 11]).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_corrected_interval_stays_within_the_values() -> None:
    values = np.full((12, 3), np.nan)
    values[np.arange(12), [0] * 9 + [1] * 2 + [2]] = [1.0, *[0.0] * 11]
    for seed in range(5):
        scores = estimate(values, np.random.default_rng(seed).integers(12, size=(200, 12)))
        assert 0 <= scores["low"] <= scores["mean"] <= scores["high"] <= 1
