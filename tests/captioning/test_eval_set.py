"""The held-out images with their references and requests."""

from types import SimpleNamespace

import numpy as np
import pytest

from emocap.captioning.eval_set import EvalSet
from emocap.errors import EmocapError

ROWS = [
    ("a", "first", None), ("a", "second", None), ("a", "my love", "romantic"), ("a", "another love", "romantic"),
    ("b", "plain", None), ("b", "bones", "humorous"),
    ("c", "one", None), ("c", "two", None), ("c", "three", None),
]  # fmt: skip
SOURCE = SimpleNamespace(
    images=[row[0] for row in ROWS], captions=[row[1] for row in ROWS], styles=[row[2] for row in ROWS]
)


def eval_set(images, counts=(5, 3, 0, 2), seed=0):
    return EvalSet.of(list(images), SOURCE, None, np.array(counts), np.random.default_rng(seed))


def test_styled_captions_are_no_references():
    held_out = eval_set("ac")
    assert held_out.human == ["first", "one"]
    assert held_out.references == [["second"], ["two", "three"]]
    assert held_out.all_references == [["first", "second"], ["one", "two", "three"]]
    assert held_out.styled == [{"romantic": "my love"}, {}]


def test_counts_images_without_two_plain_captions(caplog):
    assert eval_set("abc").images == ["a", "c"]
    assert "1 of 3 held-out images have fewer than two captions without a style" in caplog.text


def test_refuses_images_with_styled_captions_only():
    with pytest.raises(EmocapError, match="none of 1 held-out images has two captions without a style"):
        eval_set("b")


def test_second_emotion_differs_and_follows_frequencies():
    held_out = eval_set("a" * 3000)
    emotions, others = np.array(held_out.emotions), np.array(held_out.other_emotions)
    assert (emotions != others).all()
    assert not (others == 2).any()
    after_first = others[emotions == 0]
    assert np.mean(after_first == 1) == pytest.approx(3 / 5, abs=0.05)


def test_single_emotion_has_no_other():
    assert eval_set("ac", counts=(0, 4, 0, 0)).other_emotions is None
