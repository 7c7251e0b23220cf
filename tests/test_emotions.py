"""The vocabulary: cleaning, cut, order, hash."""

import pytest

from emocap.emotions import Vocabulary, build_vocabulary, clean_emotion
from emocap.errors import EmocapError


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Happy", "happy"),
        (" sad\n", "sad"),
        ('"Angry"', "angry"),
        ("['awe']", "awe"),
        ("“calm”", "calm"),
        ("None", None),
        ("not entered", None),
        ("Not Entered", None),
        ("", None),
        (None, None),
        ("very sad", None),
        ("a", None),
        ("happy, sad", None),
        ("123", None),
    ],
)
def test_cleaning(text: str | None, word: str | None) -> None:
    assert clean_emotion(text) == word


def test_order_is_by_count_then_alphabet_and_a_pair_counts_once() -> None:
    named = [["sad", "sad", "happy"], ["happy"], ["calm"], ["calm"], ["awe"], None]
    assert build_vocabulary(named, 1).labels == ("calm", "happy", "awe", "sad")
    assert build_vocabulary(named, 2).labels == ("calm", "happy")
    with pytest.raises(EmocapError, match="none of 4 emotions is named for at least 3 pairs"):
        build_vocabulary(named, 3)


def test_the_hash_knows_labels_and_order() -> None:
    one = Vocabulary(("a", "b"))
    assert one.hash == Vocabulary(("a", "b")).hash
    assert len({one.hash, Vocabulary(("b", "a")).hash, Vocabulary(("a", "b", "c")).hash}) == 3
    one.require_same(["a", "b"], "here")


@pytest.mark.parametrize(
    ("labels", "difference"),
    [
        (["b", "a"], "the order differs"),
        (["a"], "lacks b"),
        (["a", "b", "c"], "adds c"),
        (["a", "c"], "lacks b; adds c"),
    ],
)
def test_another_vocabulary_is_refused_by_name(labels: list[str], difference: str) -> None:
    with pytest.raises(EmocapError, match=f"model/x: emotion vocabulary .*{difference}"):
        Vocabulary(("a", "b")).require_same(labels, "model/x")


@pytest.mark.parametrize("labels", [(), ("a", "a"), ("a", " "), ("a", 3)])
def test_a_vocabulary_that_makes_no_sense_is_refused(labels: tuple) -> None:
    with pytest.raises(EmocapError, match="vocabulary: "):
        Vocabulary(labels)
