"""Explanation of a predicted emotion: the effects of words and regions, and those of other wordings.

Effects of a neural network are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of an emotion's
log-odds, by captum, over the word embeddings and the regions. The baseline is a caption of masked words with regions of
zeros; the effects sum to the difference from it. Those of other models are what deletion of a word or region takes away
from the log-odds. Left out: attention as an explanation (Jain and Wallace 2019, arXiv 1902.10186).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from emocap.api.attribution import effects, tokenize_words
from emocap.api.deletion import delete_each, in_passes, log_odds
from emocap.api.rewording import MAX_WORDS, reword
from emocap.classifiers.base import Classifier
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
        log_odds, baseline_log_odds: of the pair, and of masked words with empty regions; by gradients the effects sum
            to the difference, up to the error of the numerical integration. By deletion the second one is that of an
            empty caption without an image, and the effects have no given sum.
        words: in the caption's order, as far as the model reads.
        regions: in the extractor's order; none without an image.
        rewordings: the one of largest effect on the emotion first.
        method: how the effects were found.
        remarks: what was left out of a long explanation.
    """

    emotion: str
    probability: float
    log_odds: float
    baseline_log_odds: float
    words: list[WordEffect]
    regions: list[RegionEffect]
    rewordings: list[Rewording]
    method: Literal["gradients", "deletion"] = "gradients"
    remarks: list[str] = field(default_factory=list)

    @property
    def rest(self) -> float:
        """The log-odds minus the baseline's and the effects, each rounded to two decimals, as they are shown."""
        regions = [sum(region.effect for region in self.regions)]
        effects = [*(word.effect for word in self.words), *regions]
        return round(self.log_odds, 2) - round(self.baseline_log_odds, 2) - sum(round(effect, 2) for effect in effects)


def region_effects(regions: Regions, effect: np.ndarray) -> list[RegionEffect]:
    """Regions with their effects, as many as there are effects."""
    return [
        RegionEffect((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(value))
        for box, value in zip(regions.boxes_xyxy[: len(effect)], effect, strict=True)
    ]


def explain_pair(
    classifier: Classifier,
    regions: Regions | None,
    caption: str,
    emotion: int | None,
    between: Callable[[], None] | None = None,
) -> Explanation:
    """Explain one emotion of an image with a caption.

    Args:
        regions: of the image; None to use only the caption.
        emotion: index of the emotion; None takes the most probable.
        between: called between forward passes.
    """
    if classifier.network is None:
        return _by_deletion(classifier, regions, caption, emotion, between)
    return _by_gradients(classifier, classifier.network, regions, caption, emotion, between)


def _by_gradients(
    classifier: Classifier,
    saved: SavedModel,
    regions: Regions | None,
    caption: str,
    emotion: int | None,
    between: Callable[[], None] | None,
) -> Explanation:
    features = None if regions is None else regions.features.astype(np.float16)
    ids, spans, positions = tokenize_words(saved.tokenizer, caption, saved.card.max_length)
    candidates = reword(saved, caption, spans)
    texts = [caption, *(text for *_, text in candidates)]
    probabilities = in_passes(classifier, [features] * len(texts), texts, between)
    index = int(probabilities[0].argmax()) if emotion is None else emotion
    by_word, by_region, of_pair, of_baseline = effects(saved, ids, positions, features, index, between=between)
    labels = saved.vocabulary.labels
    n_words = len(spans)
    return Explanation(
        emotion=labels[index],
        probability=float(probabilities[0, index]),
        log_odds=of_pair,
        baseline_log_odds=of_baseline,
        words=word_effects(caption, spans, by_word),
        regions=[] if regions is None else region_effects(regions, by_region),
        rewordings=_rewordings(labels, index, caption, candidates, probabilities),
        remarks=[f"only the first {MAX_WORDS} of {n_words} words are reworded"] if n_words > MAX_WORDS else [],
    )


def _by_deletion(
    classifier: Classifier,
    regions: Regions | None,
    caption: str,
    emotion: int | None,
    between: Callable[[], None] | None,
) -> Explanation:
    features = None if regions is None else regions.features.astype(np.float16)
    found = delete_each(classifier, features, caption, between)
    index = int(found.probabilities.argmax()) if emotion is None else emotion
    of_pair = log_odds(found.probabilities[index])
    by_region = of_pair - log_odds(found.without_region[:, index])
    pairs = zip(found.spans, found.captions, strict=True)
    has_words = [any(map(str.isalnum, text)) for text in found.captions]
    candidates = [(*span, "", text) for (span, text), has_word in zip(pairs, has_words, strict=True) if has_word]
    probabilities = np.concatenate([found.probabilities[None], found.without_word[np.array(has_words, dtype=bool)]])
    return Explanation(
        emotion=classifier.vocabulary.labels[index],
        probability=float(found.probabilities[index]),
        log_odds=float(of_pair),
        baseline_log_odds=float(log_odds(found.without_all[index])),
        words=word_effects(caption, found.spans, of_pair - log_odds(found.without_word[:, index])),
        regions=[] if regions is None else region_effects(regions, by_region),
        rewordings=_rewordings(classifier.vocabulary.labels, index, caption, candidates, probabilities),
        method="deletion",
        remarks=found.remarks,
    )


def word_effects(caption: str, spans: Sequence[tuple[int, int]], effect: np.ndarray) -> list[WordEffect]:
    """Words with their effects."""
    return [
        WordEffect(caption[start:end], start, end, float(value))
        for (start, end), value in zip(spans, effect, strict=True)
    ]


def _rewordings(
    labels: Sequence[str],
    emotion: int,
    caption: str,
    candidates: Sequence[tuple[int, int, str, str]],
    probabilities: np.ndarray,
) -> list[Rewording]:
    """Rewordings as (start, end, replacement, new caption) with what they change.

    Args:
        probabilities: (1 + n, E) of the caption and of the n rewordings.
    """
    found = [
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
    return sorted(found, key=lambda rewording: -abs(rewording.probability_changes[labels[emotion]]))
