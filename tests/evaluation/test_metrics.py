"""Metrics against values worked by hand, naive twins and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import (
    HIGHER_IS_BETTER,
    METRICS,
    average_precisions,
    bce,
    evaluate,
    mean_average_precision,
    precision_at_k,
    ranking,
    recall_at_k,
    top_k_accuracy,
)

SCORES = np.array([[0.9, 0.1, 0.8, 0.3], [0.2, 0.7, 0.1, 0.6], [0.5, 0.5, 0.5, 0.5]])
TARGETS = np.array([[0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 0, 1]])


def test_by_hand() -> None:
    assert top_k_accuracy(SCORES, TARGETS, 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(SCORES, TARGETS, 2) == pytest.approx(2 / 3)
    assert recall_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert precision_at_k(SCORES, TARGETS, 2) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert recall_at_k(SCORES, TARGETS, 3) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert precision_at_k(SCORES, TARGETS, 3) == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert average_precisions(SCORES, TARGETS)[0] is None
    assert average_precisions(SCORES, TARGETS)[2] == 1.0


def test_ties_go_to_the_first_label() -> None:
    assert ranking(np.array([[0.5, 0.5, 0.9]])).tolist() == [[2, 0, 1]]
    assert top_k_accuracy(np.array([[0.5, 0.5]]), np.array([[1, 0]]), 1) == 1.0
    assert top_k_accuracy(np.array([[0.5, 0.5]]), np.array([[0, 1]]), 1) == 0.0


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
def test_recall_equals_a_naive_twin_and_ignores_the_order_of_pairs(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores, targets = rng.integers(0, 5, (7, 6)) / 5, rng.integers(0, 2, (7, 6))
    targets[0, 0] = 1
    assert recall_at_k(scores, targets, k) == pytest.approx(naive_recall(scores, targets, k))
    order = rng.permutation(7)
    for metric in METRICS.values():
        assert metric(scores[order], targets[order]) == pytest.approx(metric(scores, targets))


def test_a_perfect_and_an_inverted_answer() -> None:
    targets = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0]])
    assert mean_average_precision(targets.astype(float), targets) == 1.0
    assert mean_average_precision(1.0 - targets, targets) < 0.7


def test_bce_is_sklearns_log_loss() -> None:
    p, t = np.array([0.2, 0.9, 0.6]), np.array([0, 1, 0])
    assert bce(p[None], t[None]) == pytest.approx(log_loss(t, p))
    assert np.isfinite(bce(np.array([[0.0, 1.0]]), np.array([[1, 0]])))


def test_rows_without_a_label_are_left_out_of_the_ranks() -> None:
    assert top_k_accuracy(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[1, 0], [0, 0]]), 1) == 1.0


@pytest.mark.parametrize(
    ("scores", "targets", "k", "message"),
    [
        (SCORES, TARGETS, 0, "k is 0"),
        (SCORES, TARGETS, 5, "k is 5"),
        (SCORES, TARGETS[:2], 1, "must be"),
        (SCORES * np.nan, TARGETS, 1, "NaN"),
        (SCORES, TARGETS * 0, 1, "no row"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores, targets, k, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recall_at_k(scores, targets, k)


def test_evaluate_gives_every_metric_and_each_emotion() -> None:
    found = evaluate(SCORES, TARGETS, ["a", "b", "c", "d"])
    assert set(found) == {*METRICS, "per_emotion_average_precision"}
    assert list(found["per_emotion_average_precision"]) == ["a", "b", "c", "d"]
    assert [name for name, higher in HIGHER_IS_BETTER.items() if not higher] == ["bce"]


def test_prior_is_the_training_frequency() -> None:
    assert prior(np.array([[1, 0], [1, 0], [0, 1], [1, 0]]), 2).tolist() == [[0.75, 0.25]] * 2
