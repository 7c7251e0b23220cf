"""Noun faithfulness: how many of a caption's nouns occur in what people wrote about the image.

Nouns and lemmas are those of HanTa (Wartena 2019, a hidden Markov model of morphemes), whose package contains its
English model. It is an optional dependency. Synonyms do not count: "guy" is no "man" here. Left out: objects,
attributes and relations as in SPICE, which no maintained library computes without Java or a downloaded parser.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from emocap.captioning.tokenization import tokenize

MODEL = "morphmodel_en.pgz"
Tagger: TypeAlias = Callable[[Sequence[str]], list[tuple[str, str, str]]]  # words to (word, lemma, part of speech)


def noun_tagger() -> Tagger | None:
    """HanTa's tagger of English; None where the package is not installed."""
    try:
        from HanTa.HanoverTagger import HanoverTagger
    except ImportError:
        return None
    return _loaded(HanoverTagger)


@lru_cache(maxsize=1)
def _loaded(tagger: Any) -> Tagger:
    loaded: Tagger = tagger(MODEL).tag_sent
    return loaded


def noun_faithfulness(captions: Sequence[str], references: Sequence[Sequence[str]], tagger: Tagger) -> np.ndarray:
    """(N,) share of a caption's distinct nouns whose lemma occurs in one of the image's references; NaN without nouns.

    Args:
        captions: N captions.
        references: N lists of human captions; any of their words may match, whatever its part of speech.
        tagger: as by `noun_tagger`.

    Raises:
        ValueError: different lengths.

    >>> def tag(words): return [(word, word.removesuffix("s"), "NN" if word != "run" else "VB") for word in words]
    >>> noun_faithfulness(["Dogs run", "run"], [["A dog."], ["A cat."]], tag).tolist()
    [1.0, nan]
    """
    shares = np.full(len(captions), np.nan)
    for row, (caption, image) in enumerate(zip(captions, references, strict=True)):
        nouns = {lemma.lower() for _, lemma, tag in _tagged(caption, tagger) if tag.startswith("NN")}
        known = {form.lower() for text in image for word, lemma, _ in _tagged(text, tagger) for form in (word, lemma)}
        if nouns:
            shares[row] = len(nouns & known) / len(nouns)
    return shares


def noun_scores(
    captions: Sequence[str], references: Sequence[Sequence[str]], tagger: Tagger | None
) -> dict[str, np.ndarray]:
    """{"noun_faithfulness": (N,)}, empty without a tagger or where no caption has a noun; arguments as there."""
    shares = np.full(1, np.nan) if tagger is None else noun_faithfulness(captions, references, tagger)
    return {} if np.isnan(shares).all() else {"noun_faithfulness": shares}


@lru_cache(maxsize=50_000)  # the references are the same for every system
def _tagged(caption: str, tagger: Tagger) -> list[tuple[str, str, str]]:
    words = tokenize(caption)
    return tagger(words) if words else []
