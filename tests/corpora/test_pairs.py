"""The table of pairs: what is taken in, what is set aside, and targets."""

from pathlib import Path

import pytest

from emocap.corpora.pairs import PairsBuilder
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError


@pytest.fixture
def builder() -> PairsBuilder:
    return PairsBuilder(Path("here.csv"))


def test_rows_become_a_table_in_their_order(builder) -> None:
    builder.add("line 2", "p", "a.jpg", " A dog. ", ["sad", "happy", "sad"])
    builder.add("line 3", "q", None, "A cat.", [])
    pairs = builder.build(Path("images"))
    assert pairs.table.to_pylist() == [
        {"pair_id": "p", "image": "a.jpg", "caption": "A dog.", "emotions": ["happy", "sad"], "annotations": None},
        {"pair_id": "q", "image": "", "caption": "A cat.", "emotions": [], "annotations": None},
    ]
    assert (len(pairs), pairs.is_labelled, pairs.distinct_images()) == (2, True, ["a.jpg"])
    assert pairs.select([1, 0]).pair_ids == ["q", "p"]


@pytest.mark.parametrize(
    ("pair_id", "image", "caption", "emotions", "reason"),
    [
        ("p", "a.jpg", None, None, "caption is NoneType, expected text"),
        ("p", "a.jpg", " \n", None, "caption is empty"),
        ("p", "a.jpg", "x" * 10_001, None, "caption has 10,001 characters"),
        ("p", "a.jpg", "a\0b", None, "caption holds a NUL"),
        ("p", "a.jpg", "\ud800", None, "half of a surrogate pair"),
        ("p", 7, "x", None, "image is int"),
        ("p", "a\0.jpg", "x", None, "holds a NUL"),
        ("p", "/a.jpg", "x", None, "points outside"),
        ("p", "a/../../b.jpg", "x", None, "points outside"),
        ("", "a.jpg", "x", None, "pair id '' is empty"),
        ("p", "a.jpg", "x", ["\udfff"], "an emotion is not Unicode"),
        ("fine", "a.jpg", "x", None, "pair id 'fine' occurs twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_set_aside(builder, pair_id, image, caption, emotions, reason) -> None:
    builder.add("line 2", "fine", "a..b.jpg", "x")
    builder.add("line 3", pair_id, image, caption, emotions)
    pairs = builder.build()
    assert (len(pairs), len(pairs.rejected)) == (1, 1)
    assert pairs.rejected[0].where == "here.csv: line 3"
    assert reason in pairs.rejected[0].reason


def test_one_image_has_one_spelling(builder) -> None:
    for number, image in enumerate(["a/b.jpg", "./a/b.jpg", "a//b.jpg", "a/./b.jpg"]):
        builder.add("x", str(number), image, "x")
    assert builder.build().distinct_images() == ["a/b.jpg"]


def test_no_usable_row_is_one_line_that_names_the_first_fault(builder) -> None:
    builder.add("line 2", "p", "a.jpg", "")
    with pytest.raises(EmocapError, match=r"here\.csv: holds no usable pair; the first of 1 faults: caption is empty"):
        builder.build()


def test_targets_of_a_closed_set_know_every_label(builder) -> None:
    builder.add("x", "p", "", "x", ["happy", "odd"])
    assert builder.build(open_vocabulary=True).targets(Vocabulary(("sad", "happy"))).tolist() == [[0.0, 1.0]]
    with pytest.raises(EmocapError, match="emotions 'odd' are not in the vocabulary"):
        builder.build().targets(Vocabulary(("sad", "happy")))
    builder.add("x", "q", "", "x")
    with pytest.raises(EmocapError, match="pair q: no emotions; labelled pairs are needed"):
        builder.build().targets(Vocabulary(("happy", "odd")))
