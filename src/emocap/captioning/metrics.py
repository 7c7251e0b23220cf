"""Metrics of generated captions: CIDEr-D, BLEU, ROUGE-L, and how varied, apt and long they are.

Sources: Vedantam et al., "CIDEr" (2015); Papineni et al., "BLEU" (2002); Lin, "ROUGE" (2004); Li et al., "A
Diversity-Promoting Objective Function" (2016), with the constants of the COCO caption evaluation (Chen et al., 2015).
Left out: METEOR and SPICE, which need Java and lexical databases.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np

_CLITIC = r"'(?:s|m|d|re|ve|ll)(?!\w)"
_WORD = r"[^\W_][^\s\-'.,:/&$%]*"
_TOKEN = re.compile(rf"{_CLITIC}|[&$%]|{_WORD}(?:(?:[-'./]|(?<=\d)[,:](?=\d)){_WORD})*")
_SPLIT = re.compile(
    rf"(?<=\w)(?={_CLITIC}|n't(?!\w))"
    r"|(?<=\bcan)(?=not\b)|(?<=\b(?:gon|wan))(?=na\b)|(?<=\bgot)(?=ta\b)|(?<=\b(?:gim|lem))(?=me\b)"
)
_SHORT = re.compile("[^aeiou]*[aeiou][^aeiouwxy]")
_SUFFIXES = ("", "s", "ed", "edly", "ing", "ingly", "er", "est", "ly", "ness", "ful", "fully", "ment")
_IRREGULAR = {
    "anger": "angry angrily angrier angriest",
    "angry": "anger angers angered angering",
    "annoyed": "annoyance annoyances",
    "awe": "awesome awestruck",
    "bored": "boredom",
    "confused": "confusion",
    "curious": "curiosity",
    "impressed": "impressive impressively",
    "inspired": "inspiration inspirational",
    "joy": "joyous joyously",
    "neutral": "neutrality",
    "nostalgic": "nostalgia",
    "proud": "pride",
    "sad": "sadden saddens saddened saddening",
    "scared": "scary scarier scariest",
    "upset": "upsetting upsettingly",
    "worried": "worrisome",
}

Tokens: TypeAlias = list[str]
Grams: TypeAlias = Counter[tuple[str, ...]]
Weights: TypeAlias = dict[tuple[str, ...], float]


def tokenize(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation, nearly as the COCO caption evaluation has them.

    Clitics become words ("do n't", "dog 's", "can not"); hyphens, periods, slashes and apostrophes within a word stay,
    as do commas and colons between digits and the words "&", "$" and "%". Accents are composed (NFC). It differs from
    the Penn Treebank tokenizer with COCO's removal of punctuation (on 17 of 14,695 captions of Flickr8k, COCO and
    Socratis) where that leaves some: brackets ("-lrb-"), "!!", smileys, "+" and "#" go, and abbreviations lose their
    last period ("mr", "u.s").

    >>> tokenize("A man's black-and-white dog doesn't sleep!")
    ['a', 'man', "'s", 'black-and-white', 'dog', 'does', "n't", 'sleep']
    """
    text = "".join(map(_kept, unicodedata.normalize("NFC", caption.lower())))
    return _TOKEN.findall(_SPLIT.sub(" ", text))


@lru_cache(maxsize=4096)
def _kept(character: str) -> str:
    if character in "‘’ʼ":
        return "'"
    category = unicodedata.category(character)
    if category == "Cf":
        return ""  # soft hyphens and joiners stand within words
    return character if category[0] in "LMN" or character in "-'.,:/&$%" else " "


def cider_d(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    document_references: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """CIDEr-D of each caption, 0 to 10 (n-grams of 1 to 4 words, sigma 6); the corpus's is the mean. Higher is better.

    An n-gram weighs the less the more images have it in a reference; with a single image all weigh 0, and so does
    every score. Scores compare only under the same document references.

    Args:
        candidates: N captions; one without a word scores 0.
        references: for each of the N images one or more captions.
        document_references: for each of D images one or more captions, to count n-grams in; None: `references`.

    Returns:
        (N,) float64.

    Raises:
        ValueError: no candidate, different lengths, or an image without references.

    >>> scores = cider_d(["a red dog runs", "birds"], [["A red dog runs."], ["Two small birds sit."]])
    >>> scores.round(4).tolist()  # the second: 10 / 4 orders * 1 / (1 * 2) * exp(-(3 ** 2) / 72)
    [10.0, 1.1031]
    """
    tokens, images = _tokenized(candidates, references)
    documents = images if document_references is None else _documents(document_references)
    held = ({gram for r in image for n in range(4) for gram in _grams(r, n + 1)} for image in documents)
    frequency = Counter(gram for grams in held for gram in grams)

    def weighted(caption: Tokens, n: int) -> Weights:
        counts = _grams(caption, n)
        return {gram: counts[gram] * math.log(len(documents) / max(1, frequency[gram])) for gram in counts}

    scores = np.zeros(len(tokens))
    for row, (candidate, image) in enumerate(zip(tokens, images, strict=True)):
        weights = [weighted(candidate, n + 1) for n in range(4)]
        for reference in image:
            cosines = [_clipped_cosine(weights[n], weighted(reference, n + 1)) for n in range(4)]
            penalty = math.exp(-((len(candidate) - len(reference)) ** 2) / (2 * 6**2))
            scores[row] += 10 * penalty * sum(cosines) / 4 / len(image)
    return scores


def _clipped_cosine(candidate: Weights, reference: Weights) -> float:
    shared = candidate.keys() & reference.keys()
    dot = math.fsum(min(candidate[gram], reference[gram]) * reference[gram] for gram in shared)
    return dot / (math.hypot(*candidate.values()) * math.hypot(*reference.values())) if dot else 0.0


def bleu(candidates: Sequence[str], references: Sequence[Sequence[str]], n: int = 4) -> list[float]:
    """BLEU-1 to BLEU-n of the corpus, 0 to 1; an image's closest reference gives the length. Higher is better.

    Args and raises as `cider_d`; also a ValueError for n below 1. Of two lengths equally close the shorter counts;
    COCO's 1e-15 and 1e-9 in the fractions keep them defined.

    >>> [round(score, 4) for score in bleu(["a dog runs"], [["A dog sleeps."]], n=2)]  # 2/3 and sqrt(2/3 * 1/2)
    [0.6667, 0.5774]
    """
    _check_n(n)
    tokens, images = _tokenized(candidates, references)
    matched, found = np.zeros(n), np.zeros(n)
    length = closest = 0
    for candidate, image in zip(tokens, images, strict=True):
        length += len(candidate)
        closest += min((abs(len(reference) - len(candidate)), len(reference)) for reference in image)[1]
        for order in range(n):
            grams, most = _grams(candidate, order + 1), Grams()
            for reference in image:
                most |= _grams(reference, order + 1)
            matched[order] += (grams & most).total()
            found[order] += grams.total()
    scores = np.cumprod((matched + 1e-15) / (found + 1e-9)) ** (1 / np.arange(1, n + 1))
    ratio = (length + 1e-15) / (closest + 1e-9)
    return (scores * math.exp(min(0, 1 - 1 / ratio))).tolist()


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L of each caption, 0 to 1: F with beta 1.2 of its best precision and its best recall. Higher is better.

    Both are shares of the longest common subsequence: of the caption, of a reference. Args, returns and raises as
    `cider_d`, without document references.

    >>> rouge_l(["a dog runs fast"], [["A dog runs."]]).round(4).tolist()  # 2.44 * 3/4 / (1 + 1.44 * 3/4)
    [0.8798]
    """
    tokens, images = _tokenized(candidates, references)
    scores = np.zeros(len(tokens))
    for row, (candidate, image) in enumerate(zip(tokens, images, strict=True)):
        common = [_longest_common(candidate, reference) for reference in image]
        if any(common):
            precision = max(common) / len(candidate)
            recall = max(c / len(reference) for c, reference in zip(common, image, strict=True) if c)
            scores[row] = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    return scores


def _longest_common(first: Tokens, second: Tokens) -> int:
    above = [0] * (len(second) + 1)
    for word in first:
        row = [0]
        for column, other in enumerate(second):
            row.append(above[column] + 1 if word == other else max(above[column + 1], row[column]))
        above = row
    return above[-1]


def distinct_n(captions: Sequence[str], n: int) -> float:
    """Distinct n-grams of N captions together over all their n-grams, 0 where none has n words; it falls with N.

    Raises:
        ValueError: no caption, or n below 1.

    >>> distinct_n(["a dog", "a cat"], n=1)
    0.75
    """
    _check_n(n)
    grams = [gram for tokens in _all_tokens(captions) for gram in _grams(tokens, n).elements()]
    return len(set(grams)) / max(len(grams), 1)


def share_distinct(captions: Sequence[str]) -> float:
    """Distinct captions, by their words, over captions; a ValueError where there is none.

    >>> share_distinct(["A dog.", "a dog", "a cat", "a cow"])
    0.75
    """
    tokens = _all_tokens(captions)
    return len(set(map(tuple, tokens))) / len(tokens)


def share_naming(
    captions: Sequence[str], emotions: Sequence[str], forms: Mapping[str, Collection[str]] | None = None
) -> float:
    """Share of the captions that hold the word of the emotion they were asked for, or an inflection of it.

    Whole words count, and parts of hyphenated ones ("awe-struck"); a negated one ("not happy") counts as well.

    Args:
        captions: N captions.
        emotions: N emotions, one word each.
        forms: for some emotions the words, in lower case, that name them instead of `inflections`.

    Raises:
        ValueError: no caption, or different lengths.

    >>> share_naming(["a sadly lit room", "an unhappy man"], ["sad", "happy"])
    0.5
    """
    tokens = _all_tokens(captions)
    if len(tokens) != len(emotions):
        raise ValueError(f"{len(tokens)} captions but {len(emotions)} emotions, expected one each")
    naming = {emotion: inflections(emotion) for emotion in emotions} | dict(forms or {})
    held = [{part for word in caption for part in (word, *word.split("-"))} for caption in tokens]
    return sum(not h.isdisjoint(naming[emotion]) for h, emotion in zip(held, emotions, strict=True)) / len(tokens)


def inflections(emotion: str) -> frozenset[str]:
    """The words that name an emotion: itself, its bases with English endings, and irregular ones of Socratis' 29.

    The base of a word in -ed is what stands before it, with and without an e; one in -ful also has what stands before
    that, one in -ic also itself with -al. Endings are those of verbs and adjectives, -ly, -ness, -ful and -ment, never
    -less. Some forms are no words.

    >>> sorted(inflections("sad") & {"sad", "sadder", "sadly", "sadness", "saddened", "saddle"})
    ['sad', 'saddened', 'sadder', 'sadly', 'sadness']
    """
    word = emotion.lower()
    bases = {word}
    if word.endswith("ed"):
        # A short syllable would have doubled its consonant: "scared" comes from "scare", never from "scar".
        bases = {word[:-1]} if _SHORT.fullmatch(word[:-2]) else {word[:-1], re.sub("i$", "y", word[:-2])}
    elif word.endswith("ful"):
        bases |= {re.sub("i$", "y", word[:-3])}
    elif word.endswith("ic"):
        bases |= {word + "al"}
    regular = {_joined(base, suffix) for base in bases for suffix in _SUFFIXES}
    return frozenset({word, *regular, *_IRREGULAR.get(word, "").split()} - {"goods"})


def _joined(base: str, suffix: str) -> str:
    if suffix == "s" and re.search("(?:s|x|z|ch|sh)$", base):
        return base + "es"
    if re.search("[^aeiou]y$", base) and suffix and suffix[0] != "i":
        return base[:-1] + ("ies" if suffix == "s" else "i" + suffix)
    if suffix[:1] in ("e", "i"):
        return (base + base[-1] if _SHORT.fullmatch(base) else base.removesuffix("e")) + suffix
    return base + suffix


def words(captions: Sequence[str]) -> np.ndarray:
    """(N,) int64: how many words each of N captions has; a ValueError where there is no caption.

    >>> words(["A dog runs.", ""]).tolist()
    [3, 0]
    """
    return np.array([len(tokens) for tokens in _all_tokens(captions)], dtype=np.int64)


def _grams(tokens: Tokens, n: int) -> Grams:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _check_n(n: int) -> None:
    if n < 1:
        raise ValueError(f"n is {n}, expected 1 or more words")


def _all_tokens(captions: Sequence[str], what: str = "captions") -> list[Tokens]:
    if isinstance(captions, str) or len(captions) == 0:
        raise ValueError(f"{what}: found {captions!r}, expected a list of one or more captions")
    return [tokenize(caption) for caption in captions]


def _documents(references: Sequence[Sequence[str]]) -> list[list[Tokens]]:
    if len(references) == 0:
        raise ValueError("no image with references, expected one or more")
    return [_all_tokens(image, f"references of image {row}") for row, image in enumerate(references)]


def _tokenized(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[Tokens], list[list[Tokens]]]:
    tokens = _all_tokens(candidates, "candidates")
    if len(tokens) != len(references):
        raise ValueError(f"{len(tokens)} candidates but {len(references)} images with references, expected one each")
    return tokens, _documents(references)
