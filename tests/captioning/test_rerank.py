"""The order of candidates: emotions against faithfulness, what stands behind and why."""

import numpy as np
import pytest

from emocap.captioning.rerank import UNFIT, rerank

LABELS = ["happy", "sad", "awe"]
P = np.array([[0.2, 0.5, 0.1], [0.6, 0.2, 0.1], [0.4, 0.3, 0.9]])


def order(**how):
    return [one.number for one in rerank(["a", "bb", "ccc"], P, LABELS, [0], **how)]


def test_the_wanted_emotion_decides_alone() -> None:
    assert order() == [1, 2, 0]


def test_strength_weighs_it_against_faithfulness() -> None:
    faithfulness = np.array([-1.0, -1.9, -1.2])
    assert order(faithfulness=faithfulness, strength=0.0) == [0, 2, 1]
    assert order(faithfulness=faithfulness, strength=10.0) == [1, 2, 0]
    (best, *_) = rerank(["a", "bb", "ccc"], P, LABELS, [0], faithfulness=faithfulness, strength=2.0)
    assert best.score == pytest.approx(max(2 * np.log(P[:, 0]) + faithfulness))


def test_several_emotions_are_wanted_together() -> None:
    found = rerank(["a", "bb", "ccc"], P, LABELS, [0, 2])
    assert [one.number for one in found] == [2, 1, 0]
    assert found[0].probability == pytest.approx(0.36)


def test_what_falls_below_the_floor_is_too_long_or_evokes_the_avoided_stands_behind() -> None:
    found = rerank(
        ["a", "bb", "ccc"], P, LABELS, [0], avoid=[1], faithfulness=np.array([-1.0, -2.5, -1.0]), max_chars=2
    )
    assert {one.number: one.remarks for one in found} == {
        0: ["evokes sad"],
        1: [UNFIT],
        2: ["1 characters too long"],
    }
    assert order(faithfulness=np.array([-9.0, -1.0, -9.0])) == [1, 2, 0]
    assert order(faithfulness=np.array([-1.0, -9.0, -1.0])) == [2, 0, 1], "not even the best emotion beats the floor"


def test_equals_keep_their_order_and_no_wish_leaves_faithfulness() -> None:
    same = np.full((3, 3), 0.5)
    assert [one.number for one in rerank(["a", "b", "c"], same, LABELS, [0])] == [0, 1, 2]
    found = rerank(["a", "b", "c"], same, LABELS, [], faithfulness=np.array([-3.0, -2.5, -2.6]))
    assert [one.number for one in found] == [1, 2, 0]


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="2 captions"):
        rerank(["a", "b"], P, LABELS, [0])


def test_of_many_emotions_the_three_strongest_are_evoked() -> None:
    labels = [f"e{i}" for i in range(12)]
    probabilities = np.array([np.linspace(0.9, 0.1, 12)])
    for emotion, evoked in ((0, True), (2, True), (3, False)):
        (one,) = rerank(["a"], probabilities, labels, [5], avoid=[emotion])
        assert bool(one.remarks) == evoked
