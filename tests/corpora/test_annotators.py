"""Separate annotators: words in the order written, and the share of annotators per emotion."""

import numpy as np
import pytest

from emocap.corpora.annotators import annotator_emotions, vote_shares
from emocap.corpora.formats.socratis import read_socratis_json
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

VOCABULARY = Vocabulary(("happy", "sad", "awe"))


def one_pair(*people: list[str]) -> dict:
    return {"P1": [["a.jpg", "Text.", list(words), [], {}] for words in people]}


def test_words_are_cleaned_in_order_without_repeats(socratis) -> None:
    people = [["'Awe'", "HAPPY", "awe", "very sad", "seasick"], ["None", ""], ["sad"]]
    pairs = read_socratis_json(socratis(one_pair(*people)))
    assert annotator_emotions(pairs, VOCABULARY) == [[[2, 0], None, [1]]]


def test_naming_nothing_differs_from_unknown_words() -> None:
    builder = PairsBuilder("synthetic")
    for annotator, words in (("a", []), ("b", ["seasick"]), ("c", ["seasick", "sad"])):
        builder.add_rating("x", "1", None, "text", words, annotator)
    builder.add("x", "2", None, "text", [], [{"annotator": "d", "emotions": None}])
    pairs = builder.build()
    assert annotator_emotions(pairs, VOCABULARY) == [[[], None, [1]], [None]]
    assert vote_shares(pairs, VOCABULARY)[0].tolist() == pytest.approx([0, 1 / 3, 0])


def test_pair_without_annotations_has_no_annotators() -> None:
    builder = PairsBuilder("synthetic")
    builder.add("x", "1", "a.jpg", "text", ["happy"])
    builder.add("x", "2", "b.jpg", "text", ["sad"], [{"emotions": ["Sad"]}])
    assert annotator_emotions(builder.build(), VOCABULARY) == [[], [[1]]]


def test_vote_shares_count_all_annotators(socratis) -> None:
    pairs = read_socratis_json(socratis(one_pair(["happy", "sad"], ["Happy", "happy"], ["none"], ["happy"])))
    shares = vote_shares(pairs, VOCABULARY)
    assert shares.dtype == np.float32
    assert shares.tolist() == [[0.75, 0.25, 0.0]]
    assert ((shares > 0) == (pairs.targets(VOCABULARY) > 0)).all()


def test_vote_shares_need_separate_annotators() -> None:
    builder = PairsBuilder("synthetic")
    builder.add("x", "P7", "a.jpg", "text", ["happy"])
    with pytest.raises(
        EmocapError, match="pair P7: .*label_aggregation: votes needs a corpus that keeps annotators separate"
    ):
        vote_shares(builder.build(), VOCABULARY)
