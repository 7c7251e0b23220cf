"""The vocabulary: cleaning, threshold, order, hash."""

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
def test_cleans_emotion_words(text: str | None, word: str | None) -> None:
    assert clean_emotion(text) == word


def test_labels_are_sorted_by_count_then_alphabetically() -> None:
    emotions = [["sad", "sad", "happy"], ["happy"], ["calm"], ["calm"], ["awe"], None]
    assert build_vocabulary(emotions, 1).labels == ("calm", "happy", "awe", "sad")
    assert build_vocabulary(emotions, 2).labels == ("calm", "happy")
    with pytest.raises(EmocapError, match="none of 4 emotions is named for at least 3 pairs"):
        build_vocabulary(emotions, 3)


def test_hash_depends_on_labels_and_order() -> None:
    vocabulary = Vocabulary(("a", "b"))
    assert vocabulary.hash == Vocabulary(("a", "b")).hash
    assert len({vocabulary.hash, Vocabulary(("b", "a")).hash, Vocabulary(("a", "b", "c")).hash}) == 3
    vocabulary.require_same(["a", "b"], "here")


@pytest.mark.parametrize(
    ("labels", "difference"),
    [
        (["b", "a"], "the order differs"),
        (["a"], "lacks b"),
        (["a", "b", "c"], "adds c"),
        (["a", "c"], "lacks b; adds c"),
    ],
)
def test_rejects_another_vocabulary_and_names_the_difference(labels: list[str], difference: str) -> None:
    with pytest.raises(EmocapError, match=f"model/x: emotion vocabulary .*{difference}"):
        Vocabulary(("a", "b")).require_same(labels, "model/x")


@pytest.mark.parametrize("labels", [("a", "a"), ("a", " "), ("a", 3)])
def test_rejects_invalid_labels(labels: tuple) -> None:
    with pytest.raises(EmocapError, match="vocabulary: "):
        Vocabulary(labels)
