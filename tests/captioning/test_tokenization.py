"""Tokenization of captions: cases worked by hand and idempotence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emocap.captioning.tokenization import tokenize


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A man, a plan -- (a canal): Panama!?", "a man a plan a canal panama"),
        ("Don't! It's the dogs' and I'm sure they’ll win", "do n't it 's the dogs and i 'm sure they 'll win"),
        ("You cannot, shouldn't've; gonna 'quote' “me”…", "you can not should n't 've gon na quote me"),
        ("black-and-white cat and/or 1,000 fish at 10:30", "black-and-white cat and/or 1,000 fish at 10:30"),
        ("black & white, 50% off $5.50,now", "black & white 50 % off $ 5.50 now"),
        ("rock- -roll o'clock 80's U.S. Mr. Smith", "rock roll o'clock 80 's u.s mr smith"),
        ("Cafe\u0301 ÉLAN на́ море 日本語 हिन्दी", "café élan на́ море 日本語 हिन्दी"),
        ("so\u00adft 😀 ❤\ufe0f :) <3 #tag @home x_y", "soft 3 tag home x y"),
        (" \n\t ", ""),
    ],
)
def test_tokenize_by_hand(caption: str, tokens: str) -> None:
    assert tokenize(caption) == tokens.split()


@given(st.text(alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab'’-.,:/&%1 nt"))))
def test_tokenize_is_idempotent(caption: str) -> None:
    tokens = tokenize(caption)
    assert all(tokens)
    assert tokenize(" ".join(tokens)) == tokens
    assert tokenize(f"\t{caption} !\n") == tokens
