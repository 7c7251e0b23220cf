"""Metrics against values by hand, scikit-learn, naive implementations and properties, with weights and without."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from emocap.errors import EmocapError
from emocap.evaluation.metrics import METRICS, evaluate, varying_metrics
from emocap.evaluation.probability_metrics import bce, expected_calibration_error, hamming_loss, macro_f1, micro_f1
from emocap.evaluation.ranking_metrics import (
    average_precisions,
    average_precisions_in_random_order,
    mean_average_precision,
    ndcg_at_k,
    pooled_recall_at_k,
    precision_at_k,
    recall_at_k,
    top_k_accuracy,
)
from emocap.evaluation.scored_predictions import ScoredPredictions, ranking

SCORES = np.array([[0.9, 0.1, 0.8, 0.3], [0.2, 0.7, 0.1, 0.6], [0.5, 0.5, 0.5, 0.5]])
TARGETS = np.array([[0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1]])


def synthetic(seed: int, n: int = 40, n_labels: int = 6, *, ties: bool = False, empty_rows: bool = False):
    """Probabilities, targets, integer weights including zeros, thresholds per row and per cell."""
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 6, (n, n_labels)) / 5 if ties else rng.random((n, n_labels))
    targets = (rng.random((n, n_labels)) < 0.3).astype(int)
    targets[:, 1] = 0
    targets[3, 1] = 1
    if empty_rows:
        targets[5:9] = 0
    else:
        targets[~targets.any(axis=1), 0] = 1
    weights = rng.integers(0, 4, n).astype(float)
    weights[3] = 2
    return probabilities, targets, weights, rng.random(n), rng.random((n, n_labels))


def weighted(name: str, weights: np.ndarray, *arrays: np.ndarray) -> float:
    return float(METRICS[name].statistic(ScoredPredictions(*arrays))(weights[None])[0])


def test_ranking_metrics_by_hand() -> None:
    assert top_k_accuracy(SCORES, TARGETS, 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(SCORES, TARGETS, 2) == pytest.approx(2 / 3)
    assert recall_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert precision_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert recall_at_k(SCORES, TARGETS, 3) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert precision_at_k(SCORES, TARGETS, 3) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert pooled_recall_at_k(SCORES, TARGETS, 2) == pytest.approx((1 + 2 + 0) / 5)
    assert average_precisions(SCORES, TARGETS)[0] is None
    assert average_precisions(SCORES, TARGETS)[2] == 1.0


def test_weights_by_hand() -> None:
    weights = np.array([[1.0, 0, 0], [0, 1, 0], [2, 1, 1], [0, 0, 0]])
    scored = ScoredPredictions(SCORES, TARGETS)
    assert METRICS["recall_at_3"].statistic(scored)(weights) == pytest.approx([0.5, 1.0, 0.5, np.nan], nan_ok=True)
    pooled = METRICS["pooled_recall_at_3"].statistic(scored)(weights)
    assert pooled == pytest.approx([0.5, 1.0, 4 / 7, np.nan], nan_ok=True)
    # emotion 1 by falling score: pair 1 (true), pair 2, pair 0 (true); in the third row 1/3 * 1 + 2/3 * 3/4
    ap = METRICS["mean_average_precision"].statistic(scored)(weights)
    assert ap == pytest.approx([1.0, 1.0, (5 / 6 + 1 + 1) / 3, np.nan], nan_ok=True)


def test_roc_auc_leaves_out_emotions_of_all_or_no_pair() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.4, 0.2, 0.5], [0.4, 0.3, 0.5]])
    targets = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]])
    assert METRICS["roc_auc"](scores, targets) == pytest.approx((0.75 + 0.5) / 2), "half for equal scores"
    assert evaluate(scores[:2], targets[:2], ["a", "b", "c"])["roc_auc"] is None


def test_breaks_ties_by_vocabulary_order() -> None:
    assert ranking(np.array([[0.5, 0.5, 0.9]])).tolist() == [[2, 0, 1]]
    assert top_k_accuracy(np.array([[0.5, 0.5]]), np.array([[1, 0]]), 1) == 1.0
    assert top_k_accuracy(np.array([[0.5, 0.5]]), np.array([[0, 1]]), 1) == 0.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("with_weights", [False, True])
def test_equals_scikit_learn(seed: int, with_weights: bool) -> None:
    p, t, w, threshold, thresholds = synthetic(seed, ties=seed % 2 == 1)
    w = w if with_weights else np.ones(len(t))
    some, every, options = p >= threshold[:, None], p >= thresholds, {"sample_weight": w}
    nats = [sk.log_loss(a, np.clip(b, 1e-7, 1 - 1e-7), labels=[0, 1]) for a, b in zip(t, p, strict=True)]
    expected = {
        "label_ranking_average_precision": sk.label_ranking_average_precision_score(t, p, **options),
        "coverage_error": sk.coverage_error(t, p, **options),
        "micro_f1": sk.f1_score(t, some, average="micro", zero_division=0, **options),
        "macro_f1": sk.f1_score(t, every, average="macro", zero_division=0, **options),
        "hamming_loss": sk.hamming_loss(t, p >= 0.5, **options),
        "mean_average_precision": sk.average_precision_score(t, p, average="macro", **options),
        "roc_auc": sk.roc_auc_score(t, p, average="macro", **options),
        "bce": np.average(nats, weights=w),
    }
    if seed % 2 == 0:  # scikit-learn breaks ties differently
        expected["ndcg_at_5"] = sk.ndcg_score(t, p, k=5, ignore_ties=True, **options)
    assert {name: weighted(name, w, p, t, threshold, thresholds) for name in expected} == pytest.approx(expected)


def test_top_k_equals_scikit_learn_for_single_labels() -> None:
    p, _, w, *_ = synthetic(1)
    which = np.random.default_rng(2).integers(0, 6, len(p))
    for k in (1, 2, 3, 5):
        expected = sk.top_k_accuracy_score(which, p, k=k, labels=range(6), sample_weight=w)
        assert weighted(f"top{k}_accuracy", w, p, np.eye(6)[which]) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_weight_equals_repeating_the_pair(seed: int, ties: bool) -> None:
    p, t, w, threshold, thresholds = synthetic(seed, n=12, ties=ties, empty_rows=True)
    rows = np.repeat(np.arange(12), w.astype(int))
    if not t[rows].any():
        return
    for name, metric in METRICS.items():
        if name in ("top_ece", "adaptive_calibration_error"):
            continue  # their bins are those of pairs that each count once
        repeated = metric(p[rows], t[rows], threshold=threshold[rows], thresholds=thresholds[rows])
        assert weighted(name, w, p, t, threshold, thresholds) == pytest.approx(repeated), name


def naive_recall(scores, targets, k):
    values = []
    for row, truth in zip(scores, targets, strict=True):
        true = {i for i, t in enumerate(truth) if t}
        if true:
            best = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
            values.append(len(true & set(best)) / len(true))
    return sum(values) / len(values)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_recall_equals_naive_implementation_in_any_order(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores, targets = rng.integers(0, 5, (7, 6)) / 5, rng.integers(0, 2, (7, 6))
    targets[0, 0] = 1
    assert recall_at_k(scores, targets, k) == pytest.approx(naive_recall(scores, targets, k))
    order = rng.permutation(7)
    for metric in METRICS.values():
        assert metric(scores[order], targets[order]) == pytest.approx(metric(scores, targets))


def naive_calibration_error(probabilities, targets, weights, bins=15):
    cells = [[] for _ in range(bins)]
    for row, truth, weight in zip(probabilities, targets, weights, strict=True):
        for p, t in zip(row, truth, strict=True):
            cells[min(int(p * bins), bins - 1)].append((p, t, weight))
    total = sum(weight for cell in cells for *_, weight in cell)
    error = 0.0
    for cell in cells:
        n = sum(weight for *_, weight in cell)
        if n:
            confidence, frequency = sum(p * w for p, _, w in cell) / n, sum(t * w for _, t, w in cell) / n
            error += n / total * abs(frequency - confidence)
    return error


@pytest.mark.parametrize("ties", [False, True])
def test_calibration_error_equals_naive_implementation(ties: bool) -> None:
    p, t, w, *_ = synthetic(7, ties=ties, empty_rows=True)
    assert expected_calibration_error(p, t) == pytest.approx(naive_calibration_error(p, t, np.ones(len(t))))
    assert weighted("expected_calibration_error", w, p, t) == pytest.approx(naive_calibration_error(p, t, w))


def test_perfect_and_inverted_predictions() -> None:
    targets = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]])
    perfect = evaluate(targets.astype(float), targets, "abc")
    for name in ("top1_accuracy", "mean_average_precision", "label_ranking_average_precision", "micro_f1", "macro_f1"):
        assert perfect[name] == 1.0
    assert perfect["ndcg_at_5"] == pytest.approx(1.0)
    assert perfect["hamming_loss"] == perfect["expected_calibration_error"] == 0.0
    assert perfect["coverage_error"] == pytest.approx(5 / 3)
    assert mean_average_precision(1.0 - targets, targets) < 0.7


def test_bce_equals_scikit_learn_log_loss() -> None:
    p, t = np.array([0.2, 0.9, 0.6]), np.array([0, 1, 0])
    assert bce(p[None], t[None]) == pytest.approx(sk.log_loss(t, p))
    assert np.isfinite(bce(np.array([[0.0, 1.0]]), np.array([[1, 0]])))


def test_f1_at_thresholds() -> None:
    p, t = np.array([[0.3, 0.3]]), np.array([[1, 0]])
    assert micro_f1(p, t) == 0.0
    assert micro_f1(p, t, 0.3) == pytest.approx(2 / 3)
    assert macro_f1(p, t, np.array([0.3, 0.4])) == 0.5
    assert hamming_loss(p, t) == 0.5
    two, which = np.array([[0.3], [0.6]]), np.array([[1], [0]])
    assert micro_f1(two, which, np.array([0.2, 0.7])) == 1.0
    assert micro_f1(two, which, np.array([0.7, 0.2])) == 0.0


def test_few_emotions_reduce_k() -> None:
    scores, targets = np.array([[0.6, 0.4]]), np.array([[0, 1]])
    assert METRICS["top3_accuracy"](scores, targets) == METRICS["recall_at_5"](scores, targets) == 1.0
    assert evaluate(scores, targets, "ab")["ndcg_at_5"] == pytest.approx(1 / np.log2(3))
    assert ndcg_at_k(np.array([[0.6, 0.4]]), np.array([[1, 1]]), 1) == 1.0


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_k_is_the_one_in_the_name(k: int) -> None:
    p, t, *_ = synthetic(3)
    named = {
        f"top{k}_accuracy": top_k_accuracy,
        f"recall_at_{k}": recall_at_k,
        f"pooled_recall_at_{k}": pooled_recall_at_k,
        f"precision_at_{k}": precision_at_k,
        f"ndcg_at_{k}": ndcg_at_k,
    }
    for name in named.keys() & METRICS.keys():
        assert METRICS[name](p, t) == named[name](p, t, k), name


def test_ranking_metrics_skip_rows_without_label() -> None:
    scores, targets = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [0, 0]])
    for name in ("top1_accuracy", "recall_at_3", "label_ranking_average_precision", "ndcg_at_5", "coverage_error"):
        assert METRICS[name](scores, targets) == 1.0
    assert METRICS["hamming_loss"](scores, targets) == 0.25


@pytest.mark.parametrize(
    ("scores", "targets", "k", "message"),
    [
        (SCORES, TARGETS, 0, "k is 0"),
        (SCORES, TARGETS, 5, "k is 5"),
        (SCORES, TARGETS[:2], 1, "must be"),
        (SCORES * np.nan, TARGETS, 1, "NaN"),
    ],
)
def test_rejects_invalid_input(scores, targets, k, message: str) -> None:
    for metric in (recall_at_k, pooled_recall_at_k, ndcg_at_k):
        with pytest.raises(ValueError, match=message):
            metric(scores, targets, k)


def test_ranking_metrics_refuse_targets_without_positives() -> None:
    for metric in (recall_at_k, pooled_recall_at_k, ndcg_at_k):
        with pytest.raises(EmocapError, match="none of the 3 pairs has an emotion"):
            metric(SCORES, TARGETS * 0, 1)


def test_evaluate_returns_every_metric_and_emotion() -> None:
    scores_of = evaluate(SCORES, TARGETS, ["a", "b", "c", "d"], threshold=0.4, thresholds=np.full(4, 0.4))
    assert set(scores_of) == {*varying_metrics(4), "per_emotion_average_precision", "n_pairs", "n_ranked"}
    assert (scores_of["n_pairs"], scores_of["n_ranked"]) == (3, 3)
    assert list(scores_of["per_emotion_average_precision"]) == ["a", "b", "c", "d"]
    assert scores_of["micro_f1"] == METRICS["micro_f1"](SCORES, TARGETS, threshold=0.4)
    assert scores_of["macro_f1"] == METRICS["macro_f1"](SCORES, TARGETS, thresholds=0.4)
    lower = ["coverage_error", "hamming_loss", "bce", "brier", "top_ece", "expected_calibration_error"]
    lower.append("adaptive_calibration_error")
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == lower


@pytest.mark.parametrize("n_labels", range(1, 7))
def test_metrics_left_out_cannot_differ_between_models(n_labels: int) -> None:
    rng = np.random.default_rng(n_labels)
    targets = rng.random((30, n_labels)) < 0.4
    targets[0] = True
    models = [rng.random((30, n_labels)) for _ in range(4)]
    for name, metric in METRICS.items():
        is_same = len({round(metric(p, targets), 12) for p in models}) == 1
        assert is_same == (name not in varying_metrics(n_labels)), name


def test_f1_at_half_and_per_emotion_equal_scikit_learn() -> None:
    p, t, _, _, cells = synthetic(5)
    expected = {
        "micro_f1_at_half": sk.f1_score(t, p >= 0.5, average="micro"),
        "macro_f1_at_half": sk.f1_score(t, p >= 0.5, average="macro", zero_division=0),
        "micro_f1_per_label": sk.f1_score(t, p >= cells, average="micro"),
        "macro_f1": sk.f1_score(t, p >= cells, average="macro", zero_division=0),
        "brier": np.mean([sk.brier_score_loss(t[:, e], p[:, e]) for e in range(t.shape[1])]),
    }
    scores = evaluate(p, t, "abcdef", threshold=0.2, thresholds=cells)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_adaptive_calibration_error_by_hand() -> None:
    """Thirty cells have three bins of ten, in which .1, .4 and .8 are predicted and .2, .3 and 1 are true."""
    p = np.repeat([0.1, 0.4, 0.8], 10).reshape(15, 2)
    t = np.concatenate([np.arange(10) < 2, np.arange(10) < 3, np.ones(10)]).reshape(15, 2)
    assert METRICS["adaptive_calibration_error"](p, t) == pytest.approx((0.1 + 0.1 + 0.2) / 3)
    order = np.random.default_rng(0).permutation(15)
    assert METRICS["adaptive_calibration_error"](p[order], t[order]) == pytest.approx(0.4 / 3)


def test_top_calibration_error_by_hand() -> None:
    confidence = np.repeat([0.4, 0.6, 0.9], [10, 10, 10])
    p = np.stack([confidence, np.full(30, 0.1)], axis=1)
    correct = np.zeros(30)
    correct[[0, 1, 10, 11, 12, *range(20, 30)]] = 1  # 2, 3 and 10 of 10, in three bins
    t = np.stack([correct, 1 - correct], axis=1)
    assert METRICS["top_ece"](p, t) == pytest.approx((0.2 + 0.3 + 0.1) / 3)
    few = [0, 10, 20]  # fewer than twice ten pairs are one bin
    assert METRICS["top_ece"](p[few], t[few]) == pytest.approx(abs(3 - 1.9) / 3)


@pytest.mark.parametrize("seed", range(3))
def test_random_order_equals_mean_over_all_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, 3, (6, 1)).astype(float), (rng.random((6, 1)) < 0.5).astype(int)
    truth[0] = 1
    orders = [scores[:, 0] * 100 + np.array(order) for order in permutations(range(6))]
    expected = np.mean([sk.average_precision_score(truth[:, 0], order) for order in orders])
    assert average_precisions_in_random_order(scores, truth) == pytest.approx([expected])
    untied = rng.random((6, 1))
    assert average_precisions_in_random_order(untied, truth) == pytest.approx(average_precisions(untied, truth))


def test_bounded_metrics_stay_between_0_and_1() -> None:
    assert [name for name, metric in METRICS.items() if not metric.bounded] == ["coverage_error", "bce"]
    for seed in range(4):
        p, t, *_ = synthetic(seed, ties=seed % 2 == 1)
        for metric in METRICS.values():
            assert metric(p, t) >= 0
            assert metric(p, t) <= 1 or not metric.bounded, metric.name


def test_metrics_read_the_stated_form_of_input() -> None:
    p, t, *_ = synthetic(5)
    p[0], t[0] = (
        np.where(np.arange(t.shape[1]) == 0, 0.9, 0.1),
        np.arange(t.shape[1]) == 0,
    )  # a pair that is all correct
    squeezed = 0.5 + 0.5 * p  # the same order, other probabilities, every decision positive
    for metric in METRICS.values():
        assert (metric(squeezed, t) == pytest.approx(metric(p, t))) == (metric.input == "ranking"), metric.name
        nearer = np.where(p >= 0.5, 0.5 + 0.1 * p, 0.5 - 0.1 * (1 - p))  # the same decisions at 0.5
        if metric.input == "decisions":
            assert metric(nearer, t) == metric(p, t), metric.name


def test_names_are_unique() -> None:
    for names in ([m.display_name for m in METRICS.values()], [m.short_name for m in METRICS.values()]):
        assert len(set(names)) == len(METRICS)
    assert METRICS["ndcg_at_5"].display_name == "nDCG@5"
    assert METRICS["mean_average_precision"].short_name == "mAP"
    assert list(METRICS) == [metric.name for metric in METRICS.values()]
