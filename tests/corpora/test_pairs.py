"""The table of pairs: accepted rows, rejected rows and targets."""

from pathlib import Path

import pytest

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError


@pytest.fixture
def builder() -> PairsBuilder:
    return PairsBuilder(Path("here.csv"), Path("images"))


def test_rows_become_a_table_in_order(builder) -> None:
    builder.add("line 2", "p", "a.jpg", " A dog. ", ["sad", "happy", "sad"])
    builder.add("line 3", "q", None, "A cat.", [])
    pairs = builder.build()
    empty = dict.fromkeys(["annotations", "group", "split", "ratings", "style"])
    assert pairs.table.to_pylist() == [
        {"pair_id": "p", "image": "a.jpg", "caption": "A dog.", "emotions": ["happy", "sad"]} | empty,
        {"pair_id": "q", "image": "", "caption": "A cat.", "emotions": []} | empty,
    ]
    assert (len(pairs), pairs.is_labelled, pairs.distinct_images()) == (2, True, ["a.jpg"])
    assert pairs.select([1, 0]).pair_ids == ["q", "p"]


@pytest.mark.parametrize(
    ("pair_id", "image", "caption", "emotions", "reason"),
    [
        ("p", "a.jpg", None, None, "caption is NoneType, expected text"),
        ("p", "a.jpg", " \n", None, "caption is empty"),
        ("p", "a.jpg", "x" * 10_001, None, "caption has 10,001 characters"),
        ("p", "a.jpg", "a\0b", None, "caption contains a NUL"),
        ("p", "a.jpg", "\ud800", None, "a lone surrogate"),
        ("p", 7, "x", None, "image is int"),
        ("p", "a\0.jpg", "x", None, "contains a NUL"),
        ("p", "/a.jpg", "x", None, "points outside"),
        ("p", "a/../../b.jpg", "x", None, "points outside"),
        ("", "a.jpg", "x", None, "pair id '' is empty"),
        ("p", "a.jpg", "x", ["\udfff"], "an emotion is not Unicode"),
        ("fine", "a.jpg", "x", None, "pair id 'fine' occurs twice"),
    ],
)
def test_unusable_row_is_rejected_with_its_reason(builder, pair_id, image, caption, emotions, reason) -> None:
    builder.add("line 2", "fine", "a..b.jpg", "x")
    builder.add("line 3", pair_id, image, caption, emotions)
    pairs = builder.build()
    assert (len(pairs), len(pairs.rejected)) == (1, 1)
    assert pairs.rejected[0].where == "here.csv: line 3"
    assert reason in pairs.rejected[0].reason


def test_image_paths_are_normalised(builder) -> None:
    for number, image in enumerate(["a/b.jpg", "./a/b.jpg", "a//b.jpg", "a/./b.jpg"]):
        builder.add("x", str(number), image, "x")
    assert builder.build().distinct_images() == ["a/b.jpg"]


def test_no_usable_row_names_first_reason(builder) -> None:
    builder.add("line 2", "p", "a.jpg", "")
    with pytest.raises(
        EmocapError, match=r"here\.csv: contains no usable pair; the first of 1 rejected rows: caption is empty"
    ):
        builder.build()


def test_targets_of_closed_set_reject_unknown_labels(builder) -> None:
    builder.add("x", "p", "", "x", ["happy", "odd"])
    assert builder.build(open_vocabulary=True).targets(Vocabulary(("sad", "happy"))).tolist() == [[0.0, 1.0]]
    with pytest.raises(EmocapError, match="emotions 'odd' are not in the vocabulary"):
        builder.build().targets(Vocabulary(("sad", "happy")))
    builder.add("x", "q", "", "x")
    with pytest.raises(EmocapError, match="pair q: no emotions; labelled pairs are needed"):
        builder.build().targets(Vocabulary(("happy", "odd")))


@pytest.mark.parametrize("column", ["pair_ids", "images", "captions", "emotions"])
def test_column_is_converted_once(builder, column: str) -> None:
    builder.add("x", "p", "a.jpg", "x", ["happy"])
    pairs = builder.build()
    assert getattr(pairs, column) is getattr(pairs, column)
    assert (
        getattr(pairs, column) == pairs.table[column.removesuffix("s") if column != "emotions" else column].to_pylist()
    )
