"""Captions in numbers: which are the same text, and how long they are."""

import pytest

from emocap.corpora.captions import numbered_captions, summarise_captions
from emocap.corpora.duplicates import normalised_caption
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder


def captioned(*captions: str) -> Pairs:
    builder = PairsBuilder("synthetic")
    for row, caption in enumerate(captions):
        builder.add(f"row {row}", str(row), None, caption)
    return builder.build()


@pytest.mark.parametrize(
    "same",
    [
        ("A  dog", "a dog", "A DOG"),
        ("Straße am Meer", "STRASSE AM MEER"),
        ("Cafe\u0301 at night", "caf\u00e9 at night"),
        ("\uff21 dog\u3000runs", "a dog runs"),
        ("the \ufb01sh", "The fish"),
    ],
)
def test_same_captions_have_one_number(same) -> None:
    pairs = captioned(*same, "a lake")
    numbered = numbered_captions(pairs)
    assert numbered.indices.to_pylist() == [0] * len(same) + [1]
    assert numbered.to_pylist() == [normalised_caption(caption) for caption in pairs.captions]
    summary = summarise_captions(pairs, numbered)
    assert (summary.repeated, summary.most_repeated) == (len(same), (same[0], len(same)))


def test_counts_words_between_spaces() -> None:
    pairs = captioned("one", " one  two\tthree ", "one two")
    summary = summarise_captions(pairs, numbered_captions(pairs))
    assert (summary.min_words, summary.median_words, summary.max_words) == (1, 2, 3)
    assert (summary.repeated, summary.most_repeated) == (0, None)
