"""Effects by deletion: what a model predicts without each word of a caption and without each region of an image.

For models of any kind, since it needs predictions alone (leave-one-out, Li et al. 2016, arXiv 1612.08220).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from emocap.classifiers.base import Classifier

PASS_TOKENS = 1024  # tokens and regions of one forward pass, after which other work may run
MAX_WORDS = 64
MAX_REGIONS = 64
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class Deletions:
    """What a classifier predicts for a pair without each of its words and regions.

    Attributes:
        spans: W words as (start, end) in the caption, at most `MAX_WORDS`.
        captions: W times the caption without the word.
        probabilities: (E,) outputs of the pair itself, ratings after the emotions.
        without_word: (W, E).
        without_region: (R, E), at most `MAX_REGIONS`.
        without_all: (E,) of an empty caption without an image.
        remarks: what was left out.
    """

    spans: list[tuple[int, int]]
    captions: list[str]
    probabilities: np.ndarray
    without_word: np.ndarray
    without_region: np.ndarray
    without_all: np.ndarray
    remarks: list[str]


def delete_each(
    classifier: Classifier,
    features: np.ndarray | None,
    caption: str,
    between: Callable[[], None] | None = None,
) -> Deletions:
    """Predict a pair without each of its words and regions.

    Args:
        features: (R, D) of the image, or None.
        between: called between forward passes.
    """
    words = [match.span() for match in _WORD.finditer(caption)]
    spans, remarks = words[:MAX_WORDS], []
    if len(words) > len(spans):
        remarks.append(f"only the first {len(spans)} of {len(words)} words are explained")
    shorter = [" ".join((caption[:start] + caption[end:]).split()) for start, end in spans]
    n_regions = 0 if features is None else min(len(features), MAX_REGIONS)
    rows: list[tuple[np.ndarray | None, str]] = [(features, caption), (None, "")]
    rows += [(features, text) for text in shorter]
    if features is not None:
        if n_regions < len(features):
            remarks.append(f"only the first {n_regions} of {len(features)} regions are explained")
        rows += [(np.delete(features, region, axis=0), caption) for region in range(n_regions)]
    found = in_passes(classifier, [row for row, _ in rows], [text for _, text in rows], between)
    n_words = len(spans)
    return Deletions(spans, shorter, found[0], found[2 : 2 + n_words], found[2 + n_words :], found[1], remarks)


def in_passes(
    classifier: Classifier,
    features: Sequence[np.ndarray | None],
    captions: Sequence[str],
    between: Callable[[], None] | None,
) -> np.ndarray:
    """(N, E) calibrated probabilities of N pairs, in short forward passes with a call between them."""
    n_regions = max(0 if array is None else len(array) for array in features)
    longest = max(map(len, captions)) // 4 + 2
    size = pairs_per_pass(min(longest, classifier.card.max_length or longest) + n_regions, classifier.n_networks)
    results = []
    for start in range(0, len(captions), size):
        if start and between is not None:
            between()
        part = slice(start, start + size)
        results.append(classifier.probabilities(features[part], captions[part]))
    return np.concatenate(results)


def pairs_per_pass(n_tokens: int, cost: int) -> int:
    """How many pairs of so many tokens and regions make one pass.

    Args:
        n_tokens: of a pair.
        cost: of a pair, in forward passes of one network.

    >>> pairs_per_pass(64, 1), pairs_per_pass(64, 5), pairs_per_pass(5000, 1)
    (16, 3, 1)
    """
    return max(1, PASS_TOKENS // (n_tokens * max(1, cost)))


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The logits of float32 probabilities, which are kept away from 0 and 1 by their rounding error."""
    return logit(np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7))
