"""Pairs without any emotion: what every metric, interval, baseline, calibration and person makes of rows of zeros."""

import numpy as np
import pytest
from sklearn import metrics as sk

from emocap.errors import EmocapError
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.calibration import calibrate
from emocap.evaluation.human_agreement import human_ceiling
from emocap.evaluation.metrics import METRICS, evaluate, varying_metrics
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import bce, expected_calibration_error, hamming_loss
from emocap.evaluation.reliability import reliability_curve
from emocap.evaluation.significance import compare_models

LABELS = ("happy", "sad", "awe", "fear")
RANKED = {
    "top1_accuracy",
    "top2_accuracy",
    "top3_accuracy",
    "top5_accuracy",
    "recall_at_3",
    "recall_at_5",
    "precision_at_3",
    "label_ranking_average_precision",
    "ndcg_at_5",
    "coverage_error",
}  # means over the pairs that have an emotion
INDIFFERENT = RANKED | {"pooled_recall_at_3"}  # what a pair without an emotion cannot change


def half_negative(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and targets of which about half of the rows, the first among them, are zeros."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((n, 4)) < 0.4) & (rng.random((n, 1)) < 0.5)
    targets[0], targets[1] = False, [True, False, True, False]
    return 0.7 * rng.random((n, 4)) + 0.3 * targets, targets.astype(float)


def predictions(p: np.ndarray) -> ModelPredictions:
    p = p.astype(np.float32)
    return ModelPredictions(
        np.arange(len(p)), p, p, np.full(len(p), 0.5, np.float32), np.full(p.shape, 0.5, np.float32)
    )


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn_with_rows_of_zeros(seed: int) -> None:
    p, t = half_negative(seed)
    ranked = t.any(axis=1)
    scores = evaluate(p, t, LABELS)
    expected = {
        "mean_average_precision": sk.average_precision_score(t, p, average="macro"),
        "micro_f1": sk.f1_score(t, p >= 0.5, average="micro"),
        "macro_f1": sk.f1_score(t, p >= 0.5, average="macro", zero_division=0),
        "hamming_loss": sk.hamming_loss(t, p >= 0.5),
        "bce": np.mean([sk.log_loss(t[:, e], np.clip(p[:, e], 1e-7, 1 - 1e-7)) for e in range(4)]),
        "label_ranking_average_precision": sk.label_ranking_average_precision_score(t[ranked], p[ranked]),
        "coverage_error": sk.coverage_error(t[ranked], p[ranked]),
        "ndcg_at_5": sk.ndcg_score(t[ranked], p[ranked], k=5),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert (scores["n_pairs"], scores["n_ranked"]) == (60, ranked.sum())


def test_each_metric_counts_the_pairs_it_should() -> None:
    p, t = half_negative(0)
    for name, metric in METRICS.items():
        without = metric(p[t.any(axis=1)], t[t.any(axis=1)])
        assert (metric(p, t) == pytest.approx(without)) == (name in INDIFFERENT), name


def test_negatives_are_wrong_where_predicted() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.7], [0.1, 0.2]])
    t = np.array([[1, 0], [0, 0], [0, 0]])
    scores = evaluate(p, t, "ab")
    assert scores["hamming_loss"] == pytest.approx(2 / 6)
    assert scores["micro_f1"] == pytest.approx(2 / 4)  # one true positive, two false ones
    assert scores["top1_accuracy"] == scores["label_ranking_average_precision"] == 1.0
    assert scores["per_emotion_average_precision"] == {"a": 1.0, "b": None}


def test_intervals_and_differences_stay_defined() -> None:
    (p, t), (other, _) = half_negative(3), half_negative(4)
    images = [f"image {row}" for row in range(len(t))]
    models = {"a": [predictions(p)], "b": [predictions(other)]}
    result = compare_models(models, t, images, LABELS, references=["a"], n_bootstrap=200)
    for name in varying_metrics(4):
        metric = METRICS[name]
        low, high = result["intervals"]["b"][name]
        assert low <= result["models"]["b"][name] <= high, name
        deciding = result["differences"]["a"]["b"][name]["deciding_images"]
        assert deciding is None or metric.input != "ranking" or deciding <= t.any(axis=1).sum(), name
    assert result["differences"]["a"]["b"]["bce"]["deciding_images"] == len(t)


def test_draws_without_an_emotion_are_left_out() -> None:
    """Of two pairs one has an emotion: a quarter of the draws has none, which must not count as 0 or 1."""
    p, t = np.array([[0.9, 0.1, 0.3, 0.2], [0.1, 0.2, 0.3, 0.4]]), np.array([[1, 0, 0, 0], [0, 0, 0, 0]])
    intervals = compare_models({"a": [predictions(p)]}, t, ["x", "y"], LABELS, references=["a"])["intervals"]["a"]
    exact = pytest.approx([0.025**0.5, 1])  # Clopper and Pearson's for 2 of 2
    for name in RANKED & set(varying_metrics(4)) - {"precision_at_3", "coverage_error"}:
        assert intervals[name] == exact, name
    assert intervals["coverage_error"] == [1, 1]
    assert intervals["mean_average_precision"] == exact


def test_calibration_counts_negatives() -> None:
    p, t = np.full((40, 2), 0.9), np.ones((40, 2))
    t[::4] = 0  # 3 of 4 positive: odds of 9 become 3
    positive = t.any(axis=1)
    assert calibrate(p, t).scaling(p[:1])[0, 0] == pytest.approx(0.75, abs=0.02)
    assert calibrate(p[positive], t[positive]).scaling(p[:1])[0, 0] > 0.95  # overconfident without the negatives
    assert reliability_curve(p, t, bins=1) == {"confidence": [pytest.approx(0.9)], "frequency": [0.75], "count": [80]}
    nothing = calibrate(p, t * 0)
    assert (nothing.is_scaled, nothing.threshold, nothing.thresholds.tolist()) == (False, 0.5, [0.5, 0.5])


@pytest.mark.parametrize("name", ["prior", "tfidf", "neighbours"])
def test_baselines_learn_from_negatives(name: str) -> None:
    captions = ["a happy dog", "a grey wall"] * 10
    targets = np.array([[1, 0], [0, 0]] * 10)
    predict = fit_baseline(name, captions, targets, captions, targets)
    p = predict(["a happy dog", "a grey wall"])
    assert ((p >= 0) & (p <= 1)).all()
    assert p[:, 1].max() < 0.1  # nobody named it
    if name == "prior":
        assert p[:, 0].tolist() == [0.5, 0.5]
    else:
        assert p[0, 0] > 0.6 > 0.4 > p[1, 0]


def test_human_agreement_leaves_out_unknown_answers() -> None:
    named = [[[0], [0, 1]], [None, None], [[1], None]]
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    alone, together = (human_ceiling(people, {}, LABELS, prior) for people in (named[:1], named))
    assert together["one_against_others"] == alone["one_against_others"]
    assert together["split_half"] == alone["split_half"]
    assert together["left_out"] == {
        "annotators without a known emotion": 3,
        "pairs with no known emotion": 1,
        "pairs with one annotator": 1,
    }


@pytest.mark.parametrize("target", [np.nan, -1.0, -100.0, 2.0])
def test_rejects_targets_that_mark_cells(target: float) -> None:
    p, t = half_negative(1)
    t[0, 0] = target
    for metric in METRICS.values():
        with pytest.raises(ValueError, match="targets must be within 0 to 1"):
            metric(p, t)


def test_metrics_of_probabilities_reject_logits() -> None:
    _, t = half_negative(2)
    logits = 4 * t - 2
    for metric in (bce, hamming_loss, expected_calibration_error):
        with pytest.raises(ValueError, match="apply the sigmoid"):
            metric(logits, t)
    with pytest.raises(ValueError, match="within 0 to 1"):
        evaluate(logits, t, LABELS)


def test_refuses_pairs_without_any_emotion() -> None:
    with pytest.raises(EmocapError, match="none of the 3 pairs has an emotion"):
        evaluate(np.full((3, 4), 0.2), np.zeros((3, 4)), LABELS)
    assert hamming_loss(np.full((3, 4), 0.2), np.zeros((3, 4))) == 0
    assert bce(np.full((3, 4), 0.5), np.zeros((3, 4))) == pytest.approx(np.log(2))


def test_no_pairs_at_all() -> None:
    nothing = np.empty((0, 4))
    for name, metric in METRICS.items():
        if name in INDIFFERENT:
            with pytest.raises(EmocapError, match="none of the 0 pairs has an emotion"):
                metric(nothing, nothing)
        else:
            assert metric(nothing, nothing) == pytest.approx(0 if "f1" in name else np.nan, nan_ok=True), name
