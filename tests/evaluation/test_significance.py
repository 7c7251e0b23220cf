"""Intervals and differences: worked by hand, against SciPy, against known truths, and what must not change them."""

import json

import numpy as np
import pytest
from scipy.stats import bootstrap

from emocap.errors import EmocapError
from emocap.evaluation import significance
from emocap.evaluation.metrics import METRICS, evaluate
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import expected_calibration_error
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.significance import calibration_of, compare_models

LABELS = ("joy", "fear", "calm")


def answers(probabilities: np.ndarray, rows: np.ndarray | None = None, threshold: float = 0.5) -> ModelPredictions:
    p = np.asarray(probabilities, dtype=np.float32)
    rows = np.arange(len(p)) if rows is None else np.asarray(rows)
    return ModelPredictions(rows, p, p, np.full(len(p), threshold, np.float32), np.full(p.shape, threshold, np.float32))


def made_up(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Targets of which every row has one at least, and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 3)) < [0.6, 0.3, 0.1]).astype(float)
    targets[~targets.any(axis=1), 0] = 1
    return targets, 1 / (1 + np.exp(-(targets - 0.5 + rng.normal(0, 1, (n, 3)))))


def compare(models, targets, images=None, references=(), **options):
    images = [str(row) for row in range(len(targets))] if images is None else images
    options = {"n_bootstrap": 50} | options
    return compare_models(models, targets, images, LABELS, references=references, **options)


TARGETS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
GOOD = np.array([[0.9, 0.1, 0.2], [0.8, 0.1, 0.2], [0.1, 0.6, 0.2], [0.7, 0.1, 0.2]])
BAD = np.array([[0.1, 0.9, 0.2], [0.1, 0.8, 0.2], [0.6, 0.1, 0.2], [0.7, 0.1, 0.2]])


def test_by_hand() -> None:
    images = ["a", "a", "b", "c"]
    found = compare({"good": [answers(GOOD)], "bad": [answers(BAD)]}, TARGETS, images, ["bad"], n_bootstrap=400)
    assert found["models"]["good"]["top1_accuracy"] == 0.75
    assert found["models"]["bad"]["top1_accuracy"] == 0.0
    assert found["spread"] is None
    difference = found["differences"]["bad"]["good"]["top1_accuracy"]
    # right on a and b, of which all draws of three images have 0 to 3; only c being drawn leaves nothing
    assert difference == {"difference": 0.75, "low": 0.0, "high": 1.0, "deciding_images": 2}
    assert found["differences"]["bad"]["good"]["mean_average_precision"]["deciding_images"] is None
    assert list(found["differences"]) == ["bad"]
    assert list(found["differences"]["bad"]) == ["good"]


def test_scores_are_those_of_evaluate_with_each_answers_thresholds() -> None:
    targets, p = made_up(0)
    found = compare({"m": [answers(p, threshold=0.4)]}, targets)["models"]["m"]
    expected = evaluate(p.astype(np.float32), targets, LABELS, threshold=0.4, thresholds=np.float32(0.4))
    assert found.pop("per_emotion_average_precision") == expected.pop("per_emotion_average_precision")
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["top2_accuracy", "bce", "label_ranking_average_precision", "coverage_error"])
def test_scipy_finds_the_same_interval_of_a_mean(metric: str) -> None:
    targets, p = made_up(1, n=120)
    rng = np.random.default_rng(3)
    found = compare({"m": [answers(p)]}, targets, n_bootstrap=4000)["intervals"]["m"][metric]
    values = METRICS[metric].statistic(ScoredPredictions(p, targets)).per_pair
    expected = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=rng)
    low, high = expected.confidence_interval
    assert found == pytest.approx([low, high], abs=0.12 * expected.standard_error)


def test_known_truths_are_covered() -> None:
    """Of 150 samples, 95% intervals must hold the mean of a mean metric, and of one that the bootstrap biases."""
    rng, n, scores, intervals = np.random.default_rng(0), 80, [], []
    frequencies = np.array([0.5, 0.3, 0.06])
    for _ in range(150):
        hint = rng.normal(0, 1, (n, 3))
        targets = (rng.random((n, 3)) < 1 / (1 + np.exp(-hint - np.log(frequencies / (1 - frequencies))))).astype(float)
        found = compare({"m": [answers(1 / (1 + np.exp(-hint)))]}, targets, n_bootstrap=120)
        scores.append(found["models"]["m"])
        intervals.append(found["intervals"]["m"])
    for metric in ("top1_accuracy", "mean_average_precision", "micro_f1"):
        truth = np.mean([score[metric] for score in scores])
        covered = np.mean([found[metric][0] <= truth <= found[metric][1] for found in intervals])
        assert 0.9 <= covered <= 0.99, (metric, covered)
        assert all(f[metric][0] <= s[metric] <= f[metric][1] for f, s in zip(intervals, scores, strict=True))


def test_metrics_that_are_no_means_are_corrected_for_their_bias() -> None:
    targets, p = made_up(0)
    scored = ScoredPredictions(p, targets)
    statistics = {name: metric.statistic(scored) for name, metric in METRICS.items()}
    assert significance.biased_metrics(statistics) == {
        "mean_average_precision",
        "micro_f1",
        "macro_f1",
        "pooled_recall_at_3",
        "expected_calibration_error",
    }


def test_an_interval_stays_within_what_a_score_can_be() -> None:
    p = np.tile([0.7, 0.2, 0.1], (40, 1))
    targets = np.zeros((40, 3))
    targets[:28, 0] = targets[28:36, 1] = targets[36:, 2] = 1
    found = compare({"m": [answers(p)]}, targets, n_bootstrap=200)
    assert found["models"]["m"]["expected_calibration_error"] == pytest.approx(0.0, abs=1e-7)
    assert found["intervals"]["m"]["expected_calibration_error"][0] == 0.0
    perfect = compare({"m": [answers(targets)]}, targets)["intervals"]["m"]
    assert perfect["mean_average_precision"] == perfect["micro_f1"] == [1.0, 1.0]


def test_images_are_drawn_not_pairs() -> None:
    targets, p = made_up(4)
    once = compare({"m": [answers(p)]}, targets)
    twice_targets, twice_p = np.repeat(targets, 2, axis=0), np.repeat(p, 2, axis=0)
    names = [str(row // 2) for row in range(120)]
    twice = compare({"m": [answers(twice_p)]}, twice_targets, names)
    apart = compare({"m": [answers(twice_p)]}, twice_targets)
    for metric in ("top1_accuracy", "bce", "hamming_loss"):
        width = {name: np.ptp(found["intervals"]["m"][metric]) for name, found in (("once", once), ("apart", apart))}
        assert np.ptp(twice["intervals"]["m"][metric]) == pytest.approx(width["once"])
        assert width["apart"] < 0.85 * width["once"]


def test_neither_order_nor_company_nor_chunks_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, p = made_up(5)
    other = made_up(6)[1]
    expected = compare({"a": [answers(p)], "b": [answers(other)]}, targets, references=["a"])
    order = np.random.default_rng(0).permutation(60)
    reordered = {"c": [answers(1 - p)], "b": [answers(other)], "a": [answers(p[order], order)]}
    monkeypatch.setattr(significance, "CELLS_AT_ONCE", 60 * 7)
    found = compare(reordered, targets, references=["a"])
    for name in "ab":
        assert found["models"][name] == expected["models"][name]
        for metric in METRICS:
            assert found["intervals"][name][metric] == pytest.approx(expected["intervals"][name][metric])
    assert found["differences"]["a"]["b"]["bce"] == pytest.approx(expected["differences"]["a"]["b"]["bce"])


def test_only_tested_pairs_are_drawn() -> None:
    targets, p = made_up(5)
    rows = np.arange(20, 50)
    images = [str(row) for row in range(60)]
    part = compare({"m": [answers(p[rows], rows)]}, targets, images)
    alone = compare({"m": [answers(p[rows])]}, targets[rows], images[20:50])
    assert part == alone


def test_a_model_differs_in_nothing_from_itself() -> None:
    targets, p = made_up(7)
    found = compare({"a": [answers(p)], "b": [answers(p)]}, targets, references=["a"])["differences"]["a"]["b"]
    for metric, difference in found.items():
        assert (difference["difference"], difference["low"], difference["high"]) == (0, 0, 0), metric
        assert difference["deciding_images"] in (0, None)


def test_a_difference_is_taken_within_each_draw() -> None:
    targets, p = made_up(8)
    better = np.clip(p + 0.02 * targets, 0, 1)
    found = compare({"a": [answers(p)], "b": [answers(better)]}, targets, references=["a"])
    difference = found["differences"]["a"]["b"]["bce"]
    assert difference["high"] < 0
    assert difference["high"] - difference["low"] < 0.2 * np.ptp(found["intervals"]["a"]["bce"])


def test_a_worse_model_lies_below_zero() -> None:
    targets, p = made_up(8, n=200)
    found = compare({"a": [answers(p)], "b": [answers(1 - p)]}, targets, references=["a"])["differences"]["a"]["b"]
    for metric in ("mean_average_precision", "micro_f1", "top1_accuracy"):
        assert found[metric]["low"] < found[metric]["difference"] < found[metric]["high"] < 0, metric


def test_repeats_are_averaged_and_their_spread_told() -> None:
    targets, first = made_up(9)
    _, second = made_up(10)
    models = {"three": [answers(first), answers(second), answers(first)], "one": [answers(first)]}
    found = compare(models, targets, references=["one"])
    each = [evaluate(p.astype(np.float32), targets, LABELS) for p in (first, second, first)]
    for metric in METRICS:
        values = [score[metric] for score in each]
        assert found["models"]["three"][metric] == pytest.approx(np.mean(values))
        assert found["spread"]["three"][metric] == pytest.approx(np.std(values, ddof=1))
    assert found["spread"]["one"] is None
    joy = [score["per_emotion_average_precision"]["joy"] for score in each]
    assert found["models"]["three"]["per_emotion_average_precision"]["joy"] == pytest.approx(np.mean(joy))
    difference = found["differences"]["one"]["three"]["bce"]
    assert difference["difference"] == pytest.approx((each[1]["bce"] - each[0]["bce"]) / 3)
    assert difference["deciding_images"] == 60
    same = compare({"two": [answers(first)] * 2, "one": [answers(first)]}, targets, references=["one"])
    assert same["differences"]["one"]["two"]["bce"]["deciding_images"] == 0


def test_an_image_decides_where_any_repeat_differs() -> None:
    swapped = GOOD.copy()
    swapped[0] = BAD[0]
    back = GOOD.copy()
    back[1] = BAD[1]
    models = {"a": [answers(GOOD), answers(GOOD)], "b": [answers(swapped), answers(back)]}
    both = compare(models, TARGETS, ["a", "b", "c", "d"], ["a"])["differences"]["a"]["b"]["top1_accuracy"]
    assert both["deciding_images"] == 2
    one_image = compare(models, TARGETS, ["a", "a", "c", "d"], ["a"])["differences"]["a"]["b"]["top1_accuracy"]
    assert one_image["deciding_images"] == 1


def test_repeats_of_other_pairs_are_compared_one_by_one() -> None:
    targets, p = made_up(11)
    parts = [np.arange(30), np.arange(30, 60)]
    models = {name: [answers(p[rows], rows) for rows in parts] for name in "ab"}
    found = compare(models, targets, references=["a"])
    assert found["differences"]["a"]["b"]["bce"]["difference"] == 0
    models["b"].reverse()
    with pytest.raises(EmocapError, match="b answers 30 pairs, a 30, of which 0 are shared"):
        compare(models, targets, references=["a"])
    assert compare(models, targets)["differences"] == {}
    models["b"] = [answers(p)]
    with pytest.raises(EmocapError, match="tested on the same pairs"):
        compare(models, targets, references=["a"])


def test_everything_can_be_written_as_json() -> None:
    targets, p = made_up(12)
    targets[:, 2] = 0
    targets[1:] *= [[1, 0, 0]]
    found = compare({"a": [answers(p)], "b": [answers(1 - p)]}, targets, references=["a"])
    assert found["models"]["a"]["per_emotion_average_precision"]["calm"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    one = compare({"a": [answers(p[:2])]}, np.array([[1, 0, 0], [0, 0, 0.0]]))
    assert one["intervals"]["a"]["top1_accuracy"] is not None
    assert json.loads(json.dumps(one, allow_nan=False)) == one


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ({"a": [answers(GOOD)]}, {"references": ["b"]}, "'b' is not among a"),
        ({"a": [answers(GOOD)]}, {"images": ["x"]}, "targets are"),
        ({"a": [answers(GOOD)]}, {"n_bootstrap": 0}, "n_bootstrap is 0"),
        ({"a": []}, {}, "a has no answers"),
        ({"a": [answers(GOOD[:, :2])]}, {}, "2 emotions, expected 3"),
        ({"a": [answers(GOOD, np.arange(1, 5))]}, {}, "pair 4 of 4"),
        ({"a": [answers(GOOD[:0])]}, {}, "none of the 0 pairs"),
        ({}, {}, "no model"),
    ],
)
def test_what_cannot_be_compared_is_refused(models, options, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        compare(models, TARGETS, **options)


def test_calibration_before_and_after() -> None:
    targets, p = made_up(13)
    raw, scaled = p.astype(np.float32), (0.5 * p).astype(np.float32)
    threshold = np.full(60, 0.5, np.float32)
    given = ModelPredictions(np.arange(60), raw, scaled, threshold, np.full((60, 3), 0.5, np.float32))
    found = calibration_of([given, given], targets)
    assert found["ece_before"] == pytest.approx(expected_calibration_error(raw, targets))
    assert found["ece_after"] == pytest.approx(expected_calibration_error(scaled, targets))
    assert sum(found["before"]["count"]) == sum(found["after"]["count"]) == 2 * 180
    assert sum(found["after"]["count"][8:]) == 0
    rows = np.array([7, 3])
    part = ModelPredictions(rows, raw[rows], raw[rows], threshold[rows], given.thresholds[rows])
    assert calibration_of([part], targets)["ece_before"] == pytest.approx(
        expected_calibration_error(raw[rows], targets[rows])
    )
