"""Re-ranking: emotions against faithfulness, and what is ranked below the others."""

import numpy as np
import pytest

from emocap.captioning.rerank import UNFAITHFUL, rerank

LABELS = ["happy", "sad", "awe"]
P = np.array([[0.2, 0.5, 0.1], [0.6, 0.2, 0.1], [0.4, 0.3, 0.9]])


def order(**options):
    return [candidate.number for candidate in rerank(["a", "bb", "ccc"], P, LABELS, [0], **options)]


def test_ranks_by_target_emotion() -> None:
    assert order() == [1, 2, 0]


def test_strength_weighs_emotion_against_faithfulness() -> None:
    faithfulness = np.array([-1.0, -1.9, -1.2])
    assert order(faithfulness=faithfulness, strength=0.0) == [0, 2, 1]
    assert order(faithfulness=faithfulness, strength=10.0) == [1, 2, 0]
    (best, *_) = rerank(["a", "bb", "ccc"], P, LABELS, [0], faithfulness=faithfulness, strength=2.0)
    assert best.score == pytest.approx(max(2 * np.log(P[:, 0]) + faithfulness))


def test_probabilities_of_several_target_emotions_multiply() -> None:
    ranked = rerank(["a", "bb", "ccc"], P, LABELS, [0, 2])
    assert [candidate.number for candidate in ranked] == [2, 1, 0]
    assert ranked[0].probability == pytest.approx(0.36)


def test_unfaithful_long_or_avoided_captions_rank_last() -> None:
    ranked = rerank(
        ["a", "bb", "ccc"], P, LABELS, [0], avoid=[1], faithfulness=np.array([-1.0, -2.5, -1.0]), max_chars=2
    )
    assert {candidate.number: candidate.remarks for candidate in ranked} == {
        0: ["evokes sad"],
        1: [UNFAITHFUL],
        2: ["1 characters too long"],
    }
    assert order(faithfulness=np.array([-9.0, -1.0, -9.0])) == [1, 2, 0]
    assert order(faithfulness=np.array([-1.0, -9.0, -1.0])) == [2, 0, 1], (
        "the best emotion does not outweigh low faithfulness"
    )


def test_ties_keep_order_without_target_faithfulness_decides() -> None:
    same = np.full((3, 3), 0.5)
    assert [candidate.number for candidate in rerank(["a", "b", "c"], same, LABELS, [0])] == [0, 1, 2]
    ranked = rerank(["a", "b", "c"], same, LABELS, [], faithfulness=np.array([-3.0, -2.5, -2.6]))
    assert [candidate.number for candidate in ranked] == [1, 2, 0]


def test_rejects_different_lengths() -> None:
    with pytest.raises(ValueError, match="2 captions"):
        rerank(["a", "b"], P, LABELS, [0])


def test_top_three_of_many_emotions_are_evoked() -> None:
    labels = [f"e{i}" for i in range(12)]
    probabilities = np.array([np.linspace(0.9, 0.1, 12)])
    for emotion, evoked in ((0, True), (2, True), (3, False)):
        (candidate,) = rerank(["a"], probabilities, labels, [5], avoid=[emotion])
        assert bool(candidate.remarks) == evoked
