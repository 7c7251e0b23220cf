"""Intervals and differences: by hand, against SciPy, against known truths, and what must not change them."""

import json

import numpy as np
import pytest
from scipy import stats

from emocap.errors import EmocapError
from emocap.evaluation import bootstrap
from emocap.evaluation.metrics import METRICS, evaluate, varying_metrics
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.significance import compare_models

LABELS = ("joy", "fear", "calm")
VARYING = varying_metrics(3)


def predictions(probabilities: np.ndarray, rows: np.ndarray | None = None, threshold: float = 0.5) -> ModelPredictions:
    p = np.asarray(probabilities, dtype=np.float32)
    rows = np.arange(len(p)) if rows is None else np.asarray(rows)
    return ModelPredictions(rows, p, p, np.full(len(p), threshold, np.float32), np.full(p.shape, threshold, np.float32))


def synthetic(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Targets with at least one positive per row, and probabilities correlated with them."""
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


def test_scores_and_differences_by_hand() -> None:
    images = ["a", "a", "b", "c"]
    result = compare(
        {"good": [predictions(GOOD)], "bad": [predictions(BAD)]}, TARGETS, images, ["bad"], n_bootstrap=400
    )
    assert result["models"]["good"]["top1_accuracy"] == 0.75
    assert result["models"]["bad"]["top1_accuracy"] == 0.0
    assert result["spread"] is None
    difference = result["differences"]["bad"]["good"]["top1_accuracy"]
    # correct on a and b, of whose 3 pairs draws of three images contain 0 to 6 of 3 to 6: wider than 0 to 1
    expected = {"difference": 0.75, "high": 1.0, "deciding_images": 2}
    assert {name: difference[name] for name in expected} == expected
    assert difference["low"] < 0
    assert result["differences"]["bad"]["good"]["mean_average_precision"]["deciding_images"] is None
    assert list(result["differences"]) == ["bad"]
    assert list(result["differences"]["bad"]) == ["good"]


def test_scores_equal_evaluate_with_the_predictions_thresholds() -> None:
    targets, p = synthetic(0)
    result = compare({"m": [predictions(p, threshold=0.4)]}, targets)["models"]["m"]
    expected = evaluate(p.astype(np.float32), targets, LABELS, threshold=0.4, thresholds=np.float32(0.4))
    assert result.pop("per_emotion_average_precision") == expected.pop("per_emotion_average_precision")
    assert result == pytest.approx({metric: expected[metric] for metric in VARYING})


@pytest.mark.parametrize("n", [12, 120])
@pytest.mark.parametrize("metric", ["top2_accuracy", "bce", "label_ranking_average_precision", "coverage_error"])
def test_interval_of_a_mean_is_students(metric: str, n: int) -> None:
    targets, p = synthetic(1, n=n)
    result = compare({"m": [predictions(p)]}, targets, n_bootstrap=4000)["intervals"]["m"][metric]
    values = METRICS[metric].statistic(ScoredPredictions(p, targets)).per_pair
    error = stats.sem(values)
    low, high = stats.t.interval(0.95, n - 1, values.mean(), error)
    lowest, highest = METRICS[metric].bounds
    assert result == pytest.approx([max(low, lowest), min(high, highest)], abs=0.12 * error)


def test_intervals_cover_known_truths() -> None:
    """95% intervals of 150 samples must cover the mean of a mean metric, and of others."""
    rng, n, scores, intervals = np.random.default_rng(0), 80, [], []
    frequencies = np.array([0.5, 0.3, 0.06])
    for _ in range(150):
        hint = rng.normal(0, 1, (n, 3))
        targets = (rng.random((n, 3)) < 1 / (1 + np.exp(-hint - np.log(frequencies / (1 - frequencies))))).astype(float)
        result = compare({"m": [predictions(1 / (1 + np.exp(-hint)))]}, targets, n_bootstrap=120)
        scores.append(result["models"]["m"])
        intervals.append(result["intervals"]["m"])
    for metric in ("top1_accuracy", "mean_average_precision", "micro_f1"):
        truth = np.mean([score[metric] for score in scores])
        covered = np.mean([result[metric][0] <= truth <= result[metric][1] for result in intervals])
        assert 0.9 <= covered <= 0.995, (metric, covered)
        assert all(f[metric][0] <= s[metric] <= f[metric][1] for f, s in zip(intervals, scores, strict=True))


def test_corrected_interval_stays_within_bounds() -> None:
    p = np.tile([0.7, 0.2, 0.1], (40, 1))
    targets = np.zeros((40, 3))
    targets[:28, 0] = targets[28:36, 1] = targets[36:, 2] = 1
    result = compare({"m": [predictions(p)]}, targets, n_bootstrap=200)
    assert result["models"]["m"]["expected_calibration_error"] == pytest.approx(0.0, abs=1e-7)
    assert result["intervals"]["m"]["expected_calibration_error"][0] == 0.0
    perfect = compare({"m": [predictions(targets)]}, targets)["intervals"]["m"]
    exact = [0.025 ** (1 / 40), 1.0]  # Clopper and Pearson's for 40 of 40
    assert perfect["mean_average_precision"] == perfect["micro_f1"] == pytest.approx(exact)
    assert stats.binomtest(40, 40).proportion_ci(method="exact").low == pytest.approx(exact[0])


def test_draws_images_not_pairs() -> None:
    targets, p = synthetic(4)
    once = compare({"m": [predictions(p)]}, targets)
    twice_targets, twice_p = np.repeat(targets, 2, axis=0), np.repeat(p, 2, axis=0)
    names = [str(row // 2) for row in range(120)]
    twice = compare({"m": [predictions(twice_p)]}, twice_targets, names)
    apart = compare({"m": [predictions(twice_p)]}, twice_targets)
    for metric in ("top1_accuracy", "bce", "hamming_loss"):
        width = {name: np.ptp(result["intervals"]["m"][metric]) for name, result in (("once", once), ("apart", apart))}
        assert np.ptp(twice["intervals"]["m"][metric]) == pytest.approx(width["once"])
        assert width["apart"] < 0.85 * width["once"]


def test_order_other_models_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, p = synthetic(5)
    other = synthetic(6)[1]
    expected = compare({"a": [predictions(p)], "b": [predictions(other)]}, targets, references=["a"])
    order = np.random.default_rng(0).permutation(60)
    reordered = {"c": [predictions(1 - p)], "b": [predictions(other)], "a": [predictions(p[order], order)]}
    monkeypatch.setattr(bootstrap, "CELLS_AT_ONCE", 60 * 7)
    result = compare(reordered, targets, references=["a"])
    for name in "ab":
        assert result["models"][name] == expected["models"][name]
        for metric in VARYING:
            assert result["intervals"][name][metric] == pytest.approx(expected["intervals"][name][metric])
    found, alone = (each["differences"]["a"]["b"]["bce"] for each in (result, expected))
    for name in ("difference", "low", "high", "deciding_images"):
        assert found[name] == pytest.approx(alone[name])


def test_draws_only_tested_pairs() -> None:
    targets, p = synthetic(5)
    rows = np.arange(20, 50)
    images = [str(row) for row in range(60)]
    part = compare({"m": [predictions(p[rows], rows)]}, targets, images)
    alone = compare({"m": [predictions(p[rows])]}, targets[rows], images[20:50])
    assert part == alone


def test_model_does_not_differ_from_itself() -> None:
    targets, p = synthetic(7)
    result = compare({"a": [predictions(p)], "b": [predictions(p)]}, targets, references=["a"])["differences"]["a"]["b"]
    for metric, difference in result.items():
        assert (difference["difference"], difference["low"], difference["high"]) == (0, 0, 0), metric
        assert difference["deciding_images"] in (0, None)


def test_differences_are_paired_within_draws() -> None:
    targets, p = synthetic(8)
    better = np.clip(p + 0.02 * targets, 0, 1)
    result = compare({"a": [predictions(p)], "b": [predictions(better)]}, targets, references=["a"])
    difference = result["differences"]["a"]["b"]["bce"]
    assert difference["high"] < 0
    assert difference["high"] - difference["low"] < 0.2 * np.ptp(result["intervals"]["a"]["bce"])


def test_worse_model_has_negative_difference() -> None:
    targets, p = synthetic(8, n=200)
    result = compare({"a": [predictions(p)], "b": [predictions(1 - p)]}, targets, references=["a"])["differences"]["a"][
        "b"
    ]
    for metric in ("mean_average_precision", "micro_f1", "top1_accuracy"):
        assert result[metric]["low"] < result[metric]["difference"] < result[metric]["high"] < 0, metric


def test_averages_repeats_and_reports_their_spread() -> None:
    targets, first = synthetic(9)
    _, second = synthetic(10)
    models = {"three": [predictions(first), predictions(second), predictions(first)], "one": [predictions(first)]}
    result = compare(models, targets, references=["one"])
    each = [evaluate(p.astype(np.float32), targets, LABELS) for p in (first, second, first)]
    for metric in VARYING:
        values = [score[metric] for score in each]
        assert result["models"]["three"][metric] == pytest.approx(np.mean(values))
        assert result["spread"]["three"][metric] == pytest.approx(np.std(values, ddof=1))
    assert result["spread"]["one"] is None
    joy = [score["per_emotion_average_precision"]["joy"] for score in each]
    assert result["models"]["three"]["per_emotion_average_precision"]["joy"] == pytest.approx(np.mean(joy))
    difference = result["differences"]["one"]["three"]["bce"]
    assert difference["difference"] == pytest.approx((each[1]["bce"] - each[0]["bce"]) / 3)
    assert difference["deciding_images"] == 60
    same = compare({"two": [predictions(first)] * 2, "one": [predictions(first)]}, targets, references=["one"])
    assert same["differences"]["one"]["two"]["bce"]["deciding_images"] == 0


def test_image_decides_if_any_repeat_differs() -> None:
    swapped = GOOD.copy()
    swapped[0] = BAD[0]
    back = GOOD.copy()
    back[1] = BAD[1]
    models = {"a": [predictions(GOOD), predictions(GOOD)], "b": [predictions(swapped), predictions(back)]}
    both = compare(models, TARGETS, ["a", "b", "c", "d"], ["a"])["differences"]["a"]["b"]["top1_accuracy"]
    assert both["deciding_images"] == 2
    one_image = compare(models, TARGETS, ["a", "a", "c", "d"], ["a"])["differences"]["a"]["b"]["top1_accuracy"]
    assert one_image["deciding_images"] == 1


def test_repeats_of_other_pairs_are_compared_pairwise() -> None:
    targets, p = synthetic(11)
    parts = [np.arange(30), np.arange(30, 60)]
    models = {name: [predictions(p[rows], rows) for rows in parts] for name in "ab"}
    result = compare(models, targets, references=["a"])
    assert result["differences"]["a"]["b"]["bce"]["difference"] == 0
    models["b"].reverse()
    with pytest.raises(EmocapError, match="b predicts 30 pairs, a 30, of which 0 are shared"):
        compare(models, targets, references=["a"])
    assert compare(models, targets)["differences"] == {}
    models["b"] = [predictions(p)]
    with pytest.raises(EmocapError, match="tested on the same pairs"):
        compare(models, targets, references=["a"])


def test_result_is_valid_json() -> None:
    targets, p = synthetic(12)
    targets[:, 2] = 0
    targets[1:] *= [[1, 0, 0]]
    result = compare({"a": [predictions(p)], "b": [predictions(1 - p)]}, targets, references=["a"])
    assert result["models"]["a"]["per_emotion_average_precision"]["calm"] is None
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    one = compare({"a": [predictions(p[:2])]}, np.array([[1, 0, 0], [0, 0, 0.0]]))
    assert one["intervals"]["a"]["top1_accuracy"] is not None
    assert json.loads(json.dumps(one, allow_nan=False)) == one


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ({"a": [predictions(GOOD)]}, {"references": ["b"]}, "'b' is not among a"),
        ({"a": [predictions(GOOD)]}, {"images": ["x"]}, "targets are"),
        ({"a": [predictions(GOOD)]}, {"n_bootstrap": 0}, "n_bootstrap is 0"),
        ({"a": []}, {}, "a has no predictions"),
        ({"a": [predictions(GOOD[:, :2])]}, {}, "2 emotions, expected 3"),
        ({"a": [predictions(GOOD, np.arange(1, 5))]}, {}, "pair 4 of 4"),
        ({"a": [predictions(GOOD[:0])]}, {}, "none of the 0 pairs"),
        ({}, {}, "no model"),
    ],
)
def test_rejects_inconsistent_input(models, options, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        compare(models, TARGETS, **options)


def test_seeds_that_differ_widen_intervals() -> None:
    """Three training runs, of which one is much better: other images would change little, other runs much."""
    targets, p = synthetic(14, n=200)
    steady = {"model": [predictions(p)] * 3, "one": [predictions(1 - p)]}
    good = np.clip(p + 0.5 * targets, 0, 1)
    varied = steady | {"model": [predictions(p), predictions(p), predictions(good)]}
    results = [compare(models, targets, references=["one"], n_bootstrap=400) for models in (steady, varied)]
    assert results[0]["intervals_over"] == "images and seeds"
    widths = [np.ptp(result["intervals"]["model"]["bce"]) for result in results]
    assert widths[1] > 4 * widths[0]
    values = np.array([evaluate(each.astype(np.float32), targets, LABELS)["bce"] for each in (p, p, good)])
    student = stats.t.ppf(0.975, 2) * stats.sem(values)  # the runs' interval, if images varied nothing
    difference = results[1]["differences"]["one"]["model"]["bce"]
    assert 0.75 * 2 * student < difference["high"] - difference["low"] < 1.3 * 2 * student


def test_simultaneous_intervals_are_wider_and_share_draws() -> None:
    targets, p = synthetic(15, n=120)
    others = {f"m{seed}": [predictions(synthetic(seed, n=120)[1])] for seed in range(20, 26)}
    differences = compare({"a": [predictions(p)]} | others, targets, references=["a"], n_bootstrap=400)["differences"]
    for name, difference in differences["a"].items():
        for metric, found in difference.items():
            low, high = found["simultaneous"]
            assert low <= found["low"] <= found["difference"] <= found["high"] <= high, (name, metric)
    found = differences["a"]["m20"]["bce"]
    ratio = np.ptp(found["simultaneous"]) / (found["high"] - found["low"])
    assert 1.2 < ratio < 1.45  # independent comparisons of six: 2.63 / 1.98, Šidák's and one
    alone = compare({"a": [predictions(p)], "m20": others["m20"]}, targets, references=["a"])["differences"]["a"]["m20"]
    assert alone["bce"]["simultaneous"] == pytest.approx([alone["bce"]["low"], alone["bce"]["high"]])


def test_interval_against_constant_scores_covers_chance() -> None:
    """Scores of noise have a higher average precision than constant ones, which says nothing about the model."""
    rng, n = np.random.default_rng(0), 40
    targets = np.zeros((n, 3))
    targets[np.arange(n), rng.integers(0, 3, n)] = 1
    prior = np.tile(targets.mean(axis=0), (n, 1))
    found = compare(
        {"prior": [predictions(prior)], "noise": [predictions(rng.random((n, 3)))]}, targets, references=["prior"]
    )["differences"]["prior"]["noise"]["mean_average_precision"]
    harmonic = np.sum(1 / np.arange(1, n + 1))
    positives = targets.sum(axis=0)
    chance = np.mean((harmonic + (n - harmonic) * (positives - 1) / (n - 1)) / n - positives / n)
    assert chance > 0.03
    middle = found["difference"] - chance / 2
    assert (found["low"] + found["high"]) / 2 == pytest.approx(middle, abs=1e-6)


def test_primary_differences_have_what_the_test_set_can_show() -> None:
    targets, p = synthetic(16, n=200)
    better = np.clip(p + 0.1 * targets, 0, 1)
    models = {"a": [predictions(p)], "b": [predictions(better)]}
    differences = compare(models, targets, references=["a"], n_bootstrap=2000)["differences"]
    found = differences["a"]["b"]["mean_average_precision"]
    half = (found["high"] - found["low"]) / 2
    assert found["minimum_detectable"] == pytest.approx(half * (1.972 + 0.843) / 1.972, rel=0.01)  # t of 199
    by_normal_quantiles = 200 * (half / 1.972 * 2.802 / found["difference"]) ** 2
    assert by_normal_quantiles < found["pairs_needed"] < 1.2 * by_normal_quantiles
    assert "pairs_needed" not in differences["a"]["b"]["bce"]


def test_sample_counts_images_and_positive_cells() -> None:
    targets, p = synthetic(17, n=100)
    images = [str(row // 2) for row in range(100)]
    sample = compare({"m": [predictions(p[:80], np.arange(80))]}, targets, images)["sample"]
    assert (sample["n_images"], sample["n_positives"]) == (40, targets[:80].sum())
    assert sample["is_enough"]
    few = compare({"m": [predictions(p[:10], np.arange(10))]}, targets, images)["sample"]
    assert not few["is_enough"]


def test_given_metrics_are_the_only_ones() -> None:
    targets, p = synthetic(18)
    result = compare({"a": [predictions(p)], "b": [predictions(1 - p)]}, targets, references=["a"], metrics=["bce"])
    assert list(result["differences"]["a"]["b"]) == list(result["intervals"]["a"]) == ["bce"]
    assert result["models"]["a"].keys() == {"bce", "per_emotion_average_precision"}
