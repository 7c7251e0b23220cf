"""Human agreement: annotators against the others, models on the same targets, and split halves."""

import itertools

import numpy as np
import pytest
from scipy import stats

from emocap.errors import EmocapError
from emocap.evaluation.human_agreement import HUMAN_METRICS, human_ceiling, ranking_scores
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import micro_f1
from emocap.evaluation.ranking_metrics import recall_at_k

LABELS = ("happy", "sad", "awe", "fear")
PRIOR = np.array([0.5, 0.3, 0.2, 0.1])
HALVES = list(itertools.combinations(range(6), 3))


def predictions(rows, probabilities, threshold: float = 0.5) -> ModelPredictions:
    p = np.asarray(probabilities, dtype=np.float32)
    n = len(p)
    return ModelPredictions(np.array(rows), p, p, np.full(n, threshold, np.float32), np.full(p.shape, 0.5, np.float32))


def test_annotators_against_the_others_by_hand() -> None:
    named = [[[0, 1], [0], [2]]]
    result = human_ceiling(named, {}, LABELS, PRIOR)
    # happy sad | happy awe: correct; happy | happy sad awe: correct; awe | happy sad: wrong
    assert result["one_against_others"]["top1_accuracy"] == pytest.approx(2 / 3)
    # top 3: happy sad awe of {happy, awe}; happy sad awe of 3; awe happy sad of {happy, sad}
    assert result["one_against_others"]["recall_at_3"] == pytest.approx(1.0)
    # predicted: 1 of 2 correct with 2 true; 1 of 1 with 3 true; 0 of 1 with 2 true: 2 * 2 / (4 + 7)
    assert result["one_against_others"]["micro_f1"] == pytest.approx(4 / 11)
    assert (result["n_pairs"], result["left_out"]) == (1, {})
    assert result["annotators"] == {"least": 3, "median": 3.0, "most": 3}
    assert set(result["one_against_others"]) == set(HUMAN_METRICS)


def test_models_get_the_same_targets() -> None:
    named = [[[0, 1], [0], [2]], [[3], [3]], [[1]]]
    p = [[0.1, 0.8, 0.6, 0.2], [0.9, 0.1, 0.2, 0.3], [0.5, 0.5, 0.5, 0.5]]
    targets = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    rows = [0, 0, 0, 1, 1]
    by_model = {"model": [predictions([2, 0, 1], [p[2], p[0], p[1]], 0.25)]}
    result = human_ceiling(named, by_model, LABELS, PRIOR)
    model, own = result["models"]["model"], result["one_against_others"]
    assert model["recall_at_3"] == pytest.approx(recall_at_k(np.array(p)[rows], targets, 3))
    assert model["micro_f1"] == pytest.approx(micro_f1(np.array(p)[rows], targets, 0.25))
    assert result["shares"]["model"]["recall_at_3"] == pytest.approx(model["recall_at_3"] / own["recall_at_3"])
    assert result["left_out"] == {"pairs with one annotator": 1}


def test_repeats_are_averaged() -> None:
    named = [[[0], [0]]]
    right, wrong = predictions([0], [[0.9, 0.1, 0.1, 0.1]]), predictions([0], [[0.1, 0.9, 0.1, 0.1]])
    result = human_ceiling(named, {"model": [right, wrong]}, LABELS, PRIOR)
    assert result["models"]["model"]["top1_accuracy"] == 0.5
    assert result["shares"]["model"]["top1_accuracy"] == 0.5


def test_uses_only_predicted_pairs() -> None:
    named = [[[0], [1]], [[0], [0]], [[2], [3], [2]]]
    result = human_ceiling(named, {"model": [predictions([1], [[0.9, 0.1, 0.1, 0.1]])]}, LABELS, PRIOR)
    assert (result["n_pairs"], result["one_against_others"]["top1_accuracy"]) == (1, 1.0)
    assert result["annotators"]["most"] == 2


def test_counts_what_is_left_out() -> None:
    named = [[[0], [1], None], [[0]], [], [None, None], [None, [2]]]
    result = human_ceiling(named, {}, LABELS, PRIOR)
    assert result["n_pairs"] == 1
    assert result["left_out"] == {
        "annotators without a known emotion": 4,
        "pairs with one annotator": 2,
        "pairs with no annotator": 1,
        "pairs with no known emotion": 1,
    }
    assert human_ceiling(named[1:], {}, LABELS, PRIOR) is None
    assert human_ceiling([], {}, LABELS, PRIOR) is None


def test_naming_nothing_is_an_answer() -> None:
    """Three annotators: happy, happy and nothing; a model that predicts happy for both pairs."""
    named = [[[0], [0], []], [[], []]]
    model = predictions([0, 1], [[0.9, 0.1, 0.1, 0.1], [0.8, 0.1, 0.1, 0.1]])
    result = human_ceiling(named, {"model": [model]}, LABELS, PRIOR)
    # happy | happy, happy | happy, nothing | happy, nothing | nothing twice: 2 true positives, 1 false negative
    assert result["one_against_others"]["micro_f1"] == pytest.approx(4 / 5)
    # the model: 3 true positives of the first pair, 2 false ones of the second
    assert result["models"]["model"]["micro_f1"] == pytest.approx(6 / 8)
    assert (result["n_pairs"], result["annotators"]["least"], result["annotators"]["most"]) == (2, 2, 3)
    assert result["left_out"] == {"answers of no emotion, by the metrics of rankings only": 3}


def test_rankings_leave_out_empty_answers() -> None:
    prior = np.array([0.1, 0.3, 0.2, 0.5])  # ranks fear first, which nobody named
    wrong = [0.1, 0.1, 0.1, 0.9]
    model = predictions([0, 1, 2], [[0.9, 0.1, 0.1, 0.1], wrong, wrong])
    result = human_ceiling([[[0], [0], []], [[], []], [[1], []]], {"model": [model]}, LABELS, prior)
    for scores in (result["one_against_others"], result["models"]["model"]):
        assert scores["top1_accuracy"] == scores["recall_at_3"] == 1


def test_split_half_counts_empty_answers() -> None:
    people = [[[0], []], [[], [0]], [[1], [1]]]  # each half is one annotator
    halves = human_ceiling(people, {}, LABELS, PRIOR, n_splits=400)["split_half"]
    first, second = np.eye(4)[[0, 0, 1]] * [[1], [0], [1]], np.eye(4)[[0, 0, 1]] * [[0], [1], [1]]
    same, mixed = np.eye(4)[[0, 0, 1]], np.eye(4)[[0, 0, 1]] * [[0], [0], [1]]
    pearson = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in ((first, second), (same, mixed))]
    assert halves["correlation"] == pytest.approx(np.mean(pearson), abs=0.02)
    assert halves["metrics"]["top1_accuracy"] == 1


def test_needs_two_who_named_an_emotion() -> None:
    assert human_ceiling([[[0], []], [[], []]], {}, LABELS, PRIOR) is None
    unlucky = human_ceiling(
        [[[0], [0], [], []]], {}, LABELS, PRIOR, n_splits=1, seed=1
    )  # both who named it in one half
    assert unlucky["split_half"]["metrics"]["top1_accuracy"] is None
    assert unlucky["split_half"]["metrics"]["micro_f1"] == 0


def test_full_agreement_gives_perfect_scores() -> None:
    named = [[[0], [0], [0]], [[1], [1]], [[2], [2]], [[3], [3]]]
    result = human_ceiling(named, {"model": [predictions(range(4), np.eye(4) * 0.8 + 0.1)]}, LABELS, PRIOR)
    assert set(result["shares"]["model"]) == {"top1_accuracy", "recall_at_3", "micro_f1"}
    for metric in HUMAN_METRICS:
        assert result["one_against_others"][metric] == pytest.approx(1)
        assert result["shares"]["model"][metric] == pytest.approx(1)
        assert result["split_half"]["metrics"][metric] == pytest.approx(1)
    assert result["split_half"]["correlation"] == pytest.approx(1)
    assert result["split_half"]["spearman_brown"] == pytest.approx(1)


def test_share_of_zero_is_null() -> None:
    result = human_ceiling([[[0], [1]]], {"model": [predictions([0], [[0.9, 0.8, 0.1, 0.1]])]}, LABELS, PRIOR)
    assert result["one_against_others"]["top1_accuracy"] == 0
    assert result["shares"]["model"]["top1_accuracy"] is None


def test_constant_halves_have_no_correlation() -> None:
    result = human_ceiling([[[0, 1, 2, 3], [3, 2, 1, 0]]], {}, LABELS, PRIOR)
    assert result["split_half"]["correlation"] is None
    assert result["split_half"]["spearman_brown"] is None


def test_split_half_correlation_equals_naive_implementation() -> None:
    named = [[[0, 1], [0]], [[2], [2, 3]], [[1], [0]]]  # with two annotators the halves are the annotators
    halves = np.array([[[1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]], [[1, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]]])
    expected = []
    for swaps in np.ndindex(2, 2, 2):
        first = np.stack([halves[swap, row] for row, swap in enumerate(swaps)])
        second = np.stack([halves[1 - swap, row] for row, swap in enumerate(swaps)])
        expected.append(np.corrcoef(first.ravel(), second.ravel())[0, 1])
    result = human_ceiling(named, {}, LABELS, PRIOR, n_splits=2000)["split_half"]
    assert result["correlation"] == pytest.approx(np.mean(expected), abs=0.015)
    assert result["spearman_brown"] == pytest.approx(2 * result["correlation"] / (1 + result["correlation"]))
    assert result["n_splits"] == 2000


def test_half_predicts_all_that_it_named() -> None:
    people = [[0], [1], [2], [0], [1], [2]]
    halves = [({people[i][0] for i in half}, {people[i][0] for i in {*range(6)} - {*half}}) for half in HALVES]
    expected = np.mean([2 * len(first & second) / (len(first) + len(second)) for first, second in halves])
    result = human_ceiling([people], {}, LABELS, PRIOR, n_splits=1000)["split_half"]["metrics"]
    assert result["micro_f1"] == pytest.approx(expected, abs=0.02)


def test_more_annotators_agree_better() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((60, 4))

    def people(n: int) -> list[list[list[int]]]:
        return [[np.flatnonzero(generator.random(4) < p).tolist() or [0] for _ in range(n)] for p in truth]

    few, many = people(2), people(12)
    result = [human_ceiling(named, {}, LABELS, PRIOR)["split_half"]["correlation"] for named in (few, many)]
    assert result[1] > result[0] + 0.1
    assert human_ceiling(many, {}, LABELS, PRIOR) == human_ceiling(many, {}, LABELS, PRIOR)
    assert human_ceiling(many, {}, LABELS, PRIOR, seed=1)["split_half"]["correlation"] != result[1]


def test_ranks_unnamed_emotions_by_the_prior() -> None:
    scores = ranking_scores([3, 1], PRIOR)
    assert np.argsort(-scores).tolist() == [3, 1, 0, 2]
    assert scores[[3, 1]].min() > 0.9
    assert scores[[0, 2]].max() < 0.001


def test_rejects_inconsistent_input() -> None:
    named = [[[0], [1]]]
    wrong = predictions([3], [[0.9, 0.8, 0.1, 0.1]])
    with pytest.raises(EmocapError, match="model predicts other pairs or emotions than the 1 and 4 expected"):
        human_ceiling(named, {"model": [wrong]}, LABELS, PRIOR)
    with pytest.raises(EmocapError, match="model has no predictions"):
        human_ceiling(named, {"model": []}, LABELS, PRIOR)
    with pytest.raises(EmocapError, match=r"prior \(3,\)"):
        human_ceiling(named, {}, LABELS, PRIOR[:3])


def test_accepts_a_prior_per_pair() -> None:
    named = [[[0], [0, 2]], [[0], [0, 2]]]
    first, last = [0.9, 0.2, 0.8, 0.1], [0.9, 0.8, 0.2, 0.7]  # awe comes second, or last
    both = human_ceiling(named, {}, LABELS, np.array([first, last]))["one_against_others"]
    alone = [human_ceiling(named[:1], {}, LABELS, np.array(p))["one_against_others"] for p in (first, last)]
    assert both["recall_at_3"] == pytest.approx(np.mean([scores["recall_at_3"] for scores in alone]))
    assert alone[0]["recall_at_3"] > alone[1]["recall_at_3"]


def test_intervals_of_shares_draw_images() -> None:
    rng, n = np.random.default_rng(0), 60
    named = [[[int(rng.integers(0, 2))] for _ in range(3)] for _ in range(n)]
    images = [str(row // 2) for row in range(n)]
    p = rng.random((n, 4))
    result = human_ceiling(named, {"model": [predictions(range(n), p)]}, LABELS, PRIOR, images=images)
    low, high = result["share_intervals"]["model"]["top1_accuracy"]
    right = np.zeros((2, n))  # number of annotators whose first emotion another one named, and the model's likewise
    for row, people in enumerate(named):
        for number, (word,) in enumerate(people):
            others = {other for at, (other,) in enumerate(people) if at != number}
            right[:, row] += word in others, p[row].argmax() in others
    draws = rng.integers(0, n // 2, (4000, n // 2))
    ratios = [np.divide(*right.reshape(2, -1, 2).sum(axis=2)[::-1][:, draw].sum(axis=1)) for draw in draws]
    half = stats.t.ppf(0.975, n // 2 - 1) * np.std(ratios) * np.sqrt(30 / 29)
    share = result["shares"]["model"]["top1_accuracy"]
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.1 * half)


def test_same_answers_have_a_share_of_one() -> None:
    named = [[[0], [0]], [[1], [2]], [[1], [1]]]
    model = predictions(range(3), np.eye(4)[[0, 3, 1]])
    result = human_ceiling(named, {"model": [model]}, LABELS, PRIOR)
    assert result["share_intervals"]["model"]["top1_accuracy"] == [1, 1]
