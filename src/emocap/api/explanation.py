"""Explanation of a predicted emotion: the effects of words and regions, and those of other wordings.

Effects are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of an emotion's log-odds, by captum, over
the word embeddings and the projected regions. The baseline is a caption of masked words with regions of zeros; the
effects sum to the difference from it. Left out: attention as an explanation (Jain and Wallace 2019, arXiv 1902.10186).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from emocap.api.attribution import effects, tokenize_words
from emocap.api.rewording import reword
from emocap.regions.extractors.base import Regions
from emocap.training.checkpoint import SavedModel


@dataclass(frozen=True)
class WordEffect:
    """A word of the caption, `caption[start:end]`, and its effect on the emotion's log-odds."""

    word: str
    start: int
    end: int
    effect: float


@dataclass(frozen=True)
class RegionEffect:
    """A region, its corners (x1, y1, x2, y2) in pixels of the upright image, and its effect on the log-odds."""

    box_xyxy: tuple[float, float, float, float]
    effect: float


@dataclass(frozen=True)
class Rewording:
    """The caption with one word removed or replaced, and its effect on every emotion.

    Attributes:
        caption: the whole new caption.
        word, start, end: the word in the original caption.
        replacement: empty if the word is removed.
        probability_changes: of each emotion.
    """

    caption: str
    word: str
    start: int
    end: int
    replacement: str
    probability_changes: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """The effects on one emotion of one pair.

    Attributes:
        emotion, probability: the emotion and its calibrated probability.
        log_odds, baseline_log_odds: of the pair, and of masked words with empty regions; the effects sum to the
            difference, up to the error of the numerical integration.
        words: in the caption's order, as far as the model reads.
        regions: in the extractor's order; none without an image.
        rewordings: the one of largest effect on the emotion first.
    """

    emotion: str
    probability: float
    log_odds: float
    baseline_log_odds: float
    words: list[WordEffect]
    regions: list[RegionEffect]
    rewordings: list[Rewording]


def region_effects(regions: Regions, effect: np.ndarray) -> list[RegionEffect]:
    """Regions with their effects."""
    return [
        RegionEffect((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(value))
        for box, value in zip(regions.boxes_xyxy, effect, strict=True)
    ]


def explain_pair(
    saved: SavedModel,
    device: torch.device,
    probabilities_for: Callable[[np.ndarray | None, Sequence[str]], np.ndarray],
    regions: Regions | None,
    caption: str,
    emotion: int | None,
) -> Explanation:
    """Explain one emotion of an image with a caption.

    Args:
        probabilities_for: (N, E) calibrated probabilities from region features and N captions.
        regions: of the image; None to use only the caption.
        emotion: index of the emotion; None takes the most probable.
    """
    features = None if regions is None else regions.features.astype(np.float16)
    ids, spans, positions = tokenize_words(saved.tokenizer, caption, saved.card.max_length)
    candidates = reword(saved, caption, spans)
    probabilities = probabilities_for(features, [caption, *(text for *_, text in candidates)])
    index = int(probabilities[0].argmax()) if emotion is None else emotion
    by_word, by_region, log_odds, baseline_log_odds = effects(saved, device, ids, positions, features, index)
    labels = saved.vocabulary.labels
    rewordings = [
        Rewording(
            text,
            caption[start:end],
            start,
            end,
            replacement,
            {label: float(change) for label, change in zip(labels, row - probabilities[0], strict=True)},
        )
        for (start, end, replacement, text), row in zip(candidates, probabilities[1:], strict=True)
    ]
    return Explanation(
        emotion=labels[index],
        probability=float(probabilities[0, index]),
        log_odds=log_odds,
        baseline_log_odds=baseline_log_odds,
        words=[
            WordEffect(caption[start:end], start, end, float(effect))
            for (start, end), effect in zip(spans, by_word, strict=True)
        ],
        regions=[] if regions is None else region_effects(regions, by_region),
        rewordings=sorted(rewordings, key=lambda rewording: -abs(rewording.probability_changes[labels[index]])),
    )
