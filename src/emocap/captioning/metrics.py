"""Metrics of generated captions: CIDEr-D, BLEU, ROUGE-L, diversity and length.

Sources: Vedantam et al., "CIDEr" (2015); Papineni et al., "BLEU" (2002); Lin, "ROUGE" (2004); Li et al., "A
Diversity-Promoting Objective Function" (2016), with the constants of the COCO caption evaluation (Chen et al., 2015).
Left out: METEOR and SPICE, which need Java and lexical databases.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from emocap.captioning.tokenization import tokenize_all

Tokens: TypeAlias = list[str]
Grams: TypeAlias = Counter[tuple[str, ...]]
Weights: TypeAlias = dict[tuple[str, ...], float]


def cider_d(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    document_references: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """CIDEr-D of each caption, 0 to 10 (n-grams of 1 to 4 words, sigma 6); the corpus's is the mean. Higher is better.

    The weight of an n-gram falls with the number of images whose references contain it; with a single image all
    weights, and therefore all scores, are 0. Scores are comparable only under the same document references.

    Args:
        candidates: N captions; a caption without words scores 0.
        references: for each of the N images one or more captions.
        document_references: for each of D images one or more captions, in which the document frequencies of n-grams
            are counted; None takes `references`.

    Returns:
        (N,) float64.

    Raises:
        ValueError: no candidate, different lengths, or an image without references.

    >>> scores = cider_d(["a red dog runs", "birds"], [["A red dog runs."], ["Two small birds sit."]])
    >>> scores.round(4).tolist()  # the second: 10 / 4 orders * 1 / (1 * 2) * exp(-(3 ** 2) / 72)
    [10.0, 1.1031]
    """
    tokens, images = _tokenize_pairs(candidates, references)
    documents = images if document_references is None else _tokenize_references(document_references)
    grams_by_image = ({gram for r in image for n in range(4) for gram in _grams(r, n + 1)} for image in documents)
    frequency = Counter(gram for grams in grams_by_image for gram in grams)

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
    """BLEU-1 to BLEU-n of the corpus, 0 to 1, with the closest reference length. Higher is better.

    Arguments and exceptions as for `cider_d`; also a ValueError for n below 1. Of two equally close reference lengths
    the shorter counts. The constants 1e-15 and 1e-9, which avoid a division by zero, are those of COCO.

    >>> [round(score, 4) for score in bleu(["a dog runs"], [["A dog sleeps."]], n=2)]  # 2/3 and sqrt(2/3 * 1/2)
    [0.6667, 0.5774]
    """
    _check_n(n)
    tokens, images = _tokenize_pairs(candidates, references)
    matched, total = np.zeros(n), np.zeros(n)
    length = closest = 0
    for candidate, image in zip(tokens, images, strict=True):
        length += len(candidate)
        closest += min((abs(len(reference) - len(candidate)), len(reference)) for reference in image)[1]
        for order in range(n):
            grams, allowed = _grams(candidate, order + 1), Grams()
            for reference in image:
                allowed |= _grams(reference, order + 1)
            matched[order] += (grams & allowed).total()
            total[order] += grams.total()
    scores = np.cumprod((matched + 1e-15) / (total + 1e-9)) ** (1 / np.arange(1, n + 1))
    ratio = (length + 1e-15) / (closest + 1e-9)
    return (scores * math.exp(min(0, 1 - 1 / ratio))).tolist()


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L of each caption, 0 to 1: F score (beta 1.2) of its best precision and best recall. Higher is better.

    Precision is the length of the longest common subsequence divided by that of the caption, recall the same divided by
    that of a reference. Arguments, result and exceptions as for `cider_d`, without document references.

    >>> rouge_l(["a dog runs fast"], [["A dog runs."]]).round(4).tolist()  # 2.44 * 3/4 / (1 + 1.44 * 3/4)
    [0.8798]
    """
    tokens, images = _tokenize_pairs(candidates, references)
    scores = np.zeros(len(tokens))
    for row, (candidate, image) in enumerate(zip(tokens, images, strict=True)):
        common = [_longest_common(candidate, reference) for reference in image]
        if any(common):
            precision = max(common) / len(candidate)
            recall = max(c / len(reference) for c, reference in zip(common, image, strict=True) if c)
            scores[row] = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    return scores


def _longest_common(first: Tokens, second: Tokens) -> int:
    previous = [0] * (len(second) + 1)
    for word in first:
        row = [0]
        for column, other in enumerate(second):
            row.append(previous[column] + 1 if word == other else max(previous[column + 1], row[column]))
        previous = row
    return previous[-1]


def distinct_n(captions: Sequence[str], n: int) -> float:
    """Distinct n-grams of N captions divided by all their n-grams, 0 if no caption has n words; falls with N.

    Raises:
        ValueError: no caption, or n below 1.

    >>> distinct_n(["a dog", "a cat"], n=1)
    0.75
    """
    _check_n(n)
    grams = [gram for tokens in tokenize_all(captions) for gram in _grams(tokens, n).elements()]
    return len(set(grams)) / max(len(grams), 1)


def distinct_caption_rate(captions: Sequence[str]) -> float:
    """Share of distinct captions, compared by their words.

    Raises:
        ValueError: no caption.

    >>> distinct_caption_rate(["A dog.", "a dog", "a cat", "a cow"])
    0.75
    """
    tokens = tokenize_all(captions)
    return len(set(map(tuple, tokens))) / len(tokens)


def word_counts(captions: Sequence[str]) -> np.ndarray:
    """(N,) int64: the number of words of each of N captions.

    Raises:
        ValueError: no caption.

    >>> word_counts(["A dog runs.", ""]).tolist()
    [3, 0]
    """
    return np.array([len(tokens) for tokens in tokenize_all(captions)], dtype=np.int64)


def _grams(tokens: Tokens, n: int) -> Grams:
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def _check_n(n: int) -> None:
    if n < 1:
        raise ValueError(f"n is {n}, expected 1 or more words")


def _tokenize_references(references: Sequence[Sequence[str]]) -> list[list[Tokens]]:
    if len(references) == 0:
        raise ValueError("no image with references, expected one or more")
    return [tokenize_all(image, f"references of image {row}") for row, image in enumerate(references)]


def _tokenize_pairs(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[Tokens], list[list[Tokens]]]:
    tokens = tokenize_all(candidates, "candidates")
    if len(tokens) != len(references):
        raise ValueError(f"{len(tokens)} candidates but {len(references)} images with references, expected one each")
    return tokens, _tokenize_references(references)
