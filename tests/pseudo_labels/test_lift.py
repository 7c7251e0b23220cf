"""Lift: values by hand, properties, and the edges: no spread, one pair, probabilities of 0 and 1."""

import json
from pathlib import Path

import numpy as np
import pytest

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.pseudo_labels.lift import LiftScale, condition_targets, lift
from emocap.pseudo_labels.select import select, student_targets, top_p_emotions

# logits 2 and 0 and -2 of "a"; -4, -4 and -1 of "b"
CORPUS = 1 / (1 + np.exp(-np.array([[2.0, -4.0], [0.0, -4.0], [-2.0, -1.0]])))
RANDOM = 1 / (1 + np.exp(-np.random.default_rng(0).normal(-2, 1, (200, 6))))


def test_lift_by_hand() -> None:
    scale = LiftScale.of(CORPUS)
    assert scale.mean == pytest.approx([0, -3])
    assert scale.sd == pytest.approx([np.sqrt(8 / 3), np.sqrt(2)])
    by_hand = [[np.sqrt(1.5), -1 / np.sqrt(2)], [0, -1 / np.sqrt(2)], [-np.sqrt(1.5), np.sqrt(2)]]
    assert lift(CORPUS, scale) == pytest.approx(np.array(by_hand))


def test_lifts_have_mean_0_and_deviation_1() -> None:
    lifts = lift(RANDOM, LiftScale.of(RANDOM))
    assert lifts.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-9)
    assert lifts.std(axis=0) == pytest.approx(np.ones(6))


def test_order_of_pairs_changes_no_lift() -> None:
    order = np.random.default_rng(1).permutation(len(RANDOM))
    shuffled = RANDOM[order]
    assert lift(shuffled, LiftScale.of(shuffled)) == pytest.approx(lift(RANDOM, LiftScale.of(RANDOM))[order])


def test_shift_of_an_emotions_logits_changes_nothing() -> None:
    odds = RANDOM / (1 - RANDOM) * np.exp([3, -1, 0, 0, 0, 0])
    shifted = odds / (1 + odds)
    assert lift(shifted, LiftScale.of(shifted)) == pytest.approx(lift(RANDOM, LiftScale.of(RANDOM)))
    assert (top_p_emotions(shifted, 2) != top_p_emotions(RANDOM, 2)).any()


def test_lift_keeps_an_emotions_order_of_pairs() -> None:
    lifts = lift(RANDOM, LiftScale.of(RANDOM))
    assert (np.argsort(lifts, axis=0) == np.argsort(RANDOM, axis=0)).all()


def test_emotion_without_spread_has_lift_0() -> None:
    corpus = np.column_stack([CORPUS, np.full(3, 0.1, dtype=np.float32)])
    scale = LiftScale.of(corpus)
    assert scale.sd[2] == 0
    assert lift(np.array([[0.5, 0.5, 0.99]]), scale)[0, 2] == 0


@pytest.mark.parametrize("n", [1, 4])
def test_without_any_spread_probabilities_decide(n: int) -> None:
    same = np.tile([0.1, 0.9, 0.5], (n, 1))
    lifts = lift(same, LiftScale.of(same))
    assert (top_p_emotions(same, 2, lifts) == top_p_emotions(same, 2)).all()
    assert condition_targets(same, 2, LiftScale.of(same)).tolist() == np.zeros((n, 3)).tolist()


def test_probabilities_of_0_and_1_are_finite() -> None:
    corpus = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    assert lift(corpus, LiftScale.of(corpus)) == pytest.approx(
        np.array([[-np.sqrt(1.5), np.sqrt(1.5)], [np.sqrt(1.5), -np.sqrt(1.5)], [0, 0]])
    )


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (CORPUS[:0], "the corpus has no pairs"),
        (CORPUS + 1, "not within 0 to 1"),
        (CORPUS * np.nan, "not within 0 to 1"),
    ],
)
def test_rejects_what_has_no_scale(corpus: np.ndarray, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        LiftScale.of(corpus)


def test_one_pair_is_ranked_on_a_corpus_scale() -> None:
    assert lift(CORPUS[2:], LiftScale.of(CORPUS)) == pytest.approx(lift(CORPUS, LiftScale.of(CORPUS))[2:])


def test_selection_by_lift_changes_emotions_alone() -> None:
    lifts = lift(CORPUS, LiftScale.of(CORPUS))
    chosen = select(CORPUS, p=1, fraction=1.0, lifts=lifts)
    assert select(CORPUS, p=1, fraction=1.0).kept.tolist() == [[True, False], [True, False], [False, True]]
    assert chosen.kept.tolist() == [[True, False], [True, False], [False, True]]
    frequent = np.array([[0.9, 0.1], [0.8, 0.4], [0.7, 0.3]])  # "a" is always the most probable
    chosen = select(frequent, p=1, fraction=1.0, lifts=lift(frequent, LiftScale.of(frequent)))
    assert chosen.kept.tolist() == [[True, False], [False, True], [False, True]]
    targets = student_targets(frequent, chosen, "soft")
    assert targets == pytest.approx(np.array([[0.9, 0], [0, 0.4], [0, 0.3]]))


def test_votes_count_the_top_by_lift() -> None:
    frequent = np.array([[0.9, 0.1], [0.8, 0.4], [0.7, 0.3]])
    lifts = lift(frequent, LiftScale.of(frequent))
    images = ["a", "a", "a"]
    chosen = select(frequent, p=1, fraction=1.0, images=images, min_agreement=0.5, lifts=lifts)
    assert chosen.rows.tolist() == [1, 2]
    votes = student_targets(frequent, chosen, "votes", p=1, images=images, lifts=lifts)
    assert votes == pytest.approx(np.array([[0, 2 / 3], [0, 2 / 3]]))


def test_conditions_sum_to_1_over_positive_lifts() -> None:
    scale = LiftScale.of(RANDOM)
    lifts, weights = lift(RANDOM, scale), condition_targets(RANDOM, 3, scale)
    assert weights.dtype == np.float32
    assert ((weights > 0) <= (lifts > 0)).all()
    assert (weights > 0).sum(axis=1).max() == 3
    assert weights.sum(axis=1) == pytest.approx((lifts > 0).any(axis=1).astype(float), abs=1e-6)
    assert (weights.argmax(axis=1) == lifts.argmax(axis=1))[(lifts > 0).any(axis=1)].all()


def test_saved_scale_is_read_for_its_vocabulary(tmp_path: Path) -> None:
    path, scale = tmp_path / "lift.json", LiftScale.of(CORPUS)
    scale.save(path, Vocabulary(("a", "b")))
    loaded = LiftScale.load(path, Vocabulary(("a", "b")))
    assert loaded.mean.tolist() == scale.mean.tolist()
    assert loaded.sd.tolist() == scale.sd.tolist()
    with pytest.raises(EmocapError, match="lift.json: vocabulary .* delete it and run again"):
        LiftScale.load(path, Vocabulary(("b", "a")))


@pytest.mark.parametrize("values", [["x", 1], [[1], [2, 3]], [1], None, [float("nan"), 1], [-1, 1]])
def test_damaged_scale_is_refused(values, tmp_path):
    path, vocabulary = tmp_path / "lift.json", Vocabulary(("a", "b"))
    path.write_text(json.dumps({"vocabulary": vocabulary.hash, "mean": [0, 0], "sd": values}))
    with pytest.raises(EmocapError, match="lift.json: expected 2 values of 'mean' and 'sd'"):
        LiftScale.load(path, vocabulary)
    path.write_text("[]")
    with pytest.raises(EmocapError, match="lift.json: vocabulary None, expected"):
        LiftScale.load(path, vocabulary)
