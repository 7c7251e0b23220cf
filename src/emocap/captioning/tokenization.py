"""Tokenization of captions for their metrics, nearly as the COCO caption evaluation does it (Chen et al. 2015)."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_CLITIC = r"'(?:s|m|d|re|ve|ll)(?!\w)"
_WORD = r"[^\W_][^\s\-'.,:/&$%]*"
_TOKEN = re.compile(rf"{_CLITIC}|[&$%]|{_WORD}(?:(?:[-'./]|(?<=\d)[,:](?=\d)){_WORD})*")
_SPLIT = re.compile(
    rf"(?<=\w)(?={_CLITIC}|n't(?!\w))"
    r"|(?<=\bcan)(?=not\b)|(?<=\b(?:gon|wan))(?=na\b)|(?<=\bgot)(?=ta\b)|(?<=\b(?:gim|lem))(?=me\b)"
)


def tokenize(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation, nearly as in the COCO caption evaluation.

    Clitics become words ("do n't", "dog 's", "can not"). Hyphens, periods, slashes and apostrophes within a word are
    kept, as are commas and colons between digits and the words "&", "$" and "%". Accents are composed (NFC). The result
    differs from the Penn Treebank tokenizer with COCO's removal of punctuation on 17 of 14,695 captions of Flickr8k,
    COCO and Socratis: brackets ("-lrb-"), "!!", smileys, "+" and "#" are removed, and abbreviations lose their last
    period ("mr", "u.s").

    >>> tokenize("A man's black-and-white dog doesn't sleep!")
    ['a', 'man', "'s", 'black-and-white', 'dog', 'does', "n't", 'sleep']
    """
    text = "".join(map(_normalised, unicodedata.normalize("NFC", caption.lower())))
    return _TOKEN.findall(_SPLIT.sub(" ", text))


@lru_cache(maxsize=4096)
def _normalised(character: str) -> str:
    if character in "‘’ʼ":
        return "'"
    category = unicodedata.category(character)
    if category == "Cf":
        return ""  # soft hyphens and joiners occur within words
    return character if category[0] in "LMN" or character in "-'.,:/&$%" else " "


def tokenize_all(captions: Sequence[str], what: str = "captions") -> list[list[str]]:
    """Each caption's words.

    Raises:
        ValueError: no caption, or a single text instead of a list.
    """
    if isinstance(captions, str) or len(captions) == 0:
        raise ValueError(f"{what}: found {captions!r}, expected a list of one or more captions")
    return [tokenize(caption) for caption in captions]
