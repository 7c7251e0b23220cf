"""Explanation of a predicted emotion or rating: the effects of words and regions, and those of other wordings.

Effects of a neural network are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of an emotion's
log-odds, by captum, over the word embeddings and the regions. The baseline is a caption of masked words with regions of
zeros; the effects sum to the difference from it. Those of other models are what deletion of a word or region takes away
from the log-odds. A rating is explained like an emotion, by its place from 0 to 1 on its scale. Left out: attention as
an explanation (Jain and Wallace 2019, arXiv 1902.10186).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from emocap.api.attribution import effects, tokenize_words
from emocap.api.deletion import delete_each, in_passes, log_odds
from emocap.api.rewording import MAX_WORDS, reword
from emocap.classifiers.base import Classifier
from emocap.html_templates import percent, signed
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
    """The caption with one word removed or replaced, and its effect on every emotion and rating.

    Attributes:
        caption: the whole new caption.
        word, start, end: the word in the original caption.
        replacement: empty if the word is removed.
        probability_changes: of each emotion.
        rating_changes: of each rating, in its own units.
    """

    caption: str
    word: str
    start: int
    end: int
    replacement: str
    probability_changes: dict[str, float]
    rating_changes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """The effects on one emotion or rating of one pair.

    Attributes:
        emotion, probability: the emotion and its calibrated probability; or a rating and its value from 0 to 1.
        rating, scale: of a rating its value and the ends of its scale, in its own units; None for an emotion.
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
    rating: float | None = None
    scale: tuple[float, float] | None = None

    @property
    def shown(self) -> str:
        """The probability in percent, or the rating with its scale, as text."""
        if self.rating is None or self.scale is None:
            return percent(self.probability)
        return f"{self.rating:.2f} ({self.scale[0]:g} to {self.scale[1]:g})"

    def change_shown(self, rewording: Rewording) -> str:
        """The effect of a rewording on the emotion in points of percent, or on the rating in its units, as text."""
        if self.rating is not None:
            return signed(rewording.rating_changes[self.emotion], 2)
        return signed(100 * rewording.probability_changes[self.emotion], 1)

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
    """Explain one emotion or rating of an image with a caption.

    Args:
        regions: of the image; None to use only the caption.
        emotion: column of the emotion or rating among the outputs; None takes the most probable emotion, or the first
            rating where there are no emotions.
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
    outputs = in_passes(classifier, [features] * len(texts), texts, between)
    index = _default_target(classifier, outputs[0]) if emotion is None else emotion
    by_word, by_region, of_pair, of_baseline = effects(saved, ids, positions, features, index, between=between)
    n_words = len(spans)
    return Explanation(
        **_target(classifier, index, outputs[0]),
        log_odds=of_pair,
        baseline_log_odds=of_baseline,
        words=word_effects(caption, spans, by_word),
        regions=[] if regions is None else region_effects(regions, by_region),
        rewordings=_rewordings(classifier, index, caption, candidates, outputs),
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
    index = _default_target(classifier, found.probabilities) if emotion is None else emotion
    of_pair = log_odds(found.probabilities[index])
    by_region = of_pair - log_odds(found.without_region[:, index])
    pairs = zip(found.spans, found.captions, strict=True)
    has_words = [any(map(str.isalnum, text)) for text in found.captions]
    candidates = [(*span, "", text) for (span, text), has_word in zip(pairs, has_words, strict=True) if has_word]
    outputs = np.concatenate([found.probabilities[None], found.without_word[np.array(has_words, dtype=bool)]])
    return Explanation(
        **_target(classifier, index, found.probabilities),
        log_odds=float(of_pair),
        baseline_log_odds=float(log_odds(found.without_all[index])),
        words=word_effects(caption, found.spans, of_pair - log_odds(found.without_word[:, index])),
        regions=[] if regions is None else region_effects(regions, by_region),
        rewordings=_rewordings(classifier, index, caption, candidates, outputs),
        method="deletion",
        remarks=found.remarks,
    )


def word_effects(caption: str, spans: Sequence[tuple[int, int]], effect: np.ndarray) -> list[WordEffect]:
    """Words with their effects."""
    return [
        WordEffect(caption[start:end], start, end, float(value))
        for (start, end), value in zip(spans, effect, strict=True)
    ]


def _default_target(classifier: Classifier, outputs: np.ndarray) -> int:
    """The column of the most probable emotion; without emotions that of the first rating."""
    n_emotions = len(classifier.vocabulary)
    return int(outputs[:n_emotions].argmax()) if n_emotions else 0


def _target(classifier: Classifier, index: int, outputs: np.ndarray) -> dict[str, Any]:
    """What is explained: an emotion with its probability, or a rating with its value and scale."""
    n_emotions, value = len(classifier.vocabulary), float(outputs[index])
    if index < n_emotions:
        return {"emotion": classifier.vocabulary.labels[index], "probability": value}
    rating = classifier.ratings[index - n_emotions]
    scale = (rating.low, rating.high)
    in_units = rating.low + rating.span * value
    return {"emotion": rating.name, "probability": value, "rating": in_units, "scale": scale}


def _rewordings(
    classifier: Classifier,
    index: int,
    caption: str,
    candidates: Sequence[tuple[int, int, str, str]],
    outputs: np.ndarray,
) -> list[Rewording]:
    """Rewordings as (start, end, replacement, new caption) with what they change, that of largest effect first.

    Args:
        index: column of what is explained.
        outputs: (1 + n, E + R) of the caption and of the n rewordings.
    """
    labels, ratings = classifier.vocabulary.labels, classifier.ratings
    changes = (outputs[1:] - outputs[0]).astype(float)
    emotions, units = changes[:, : len(labels)], changes[:, len(labels) :] * ratings.spans
    found = [
        Rewording(
            text,
            caption[start:end],
            start,
            end,
            replacement,
            dict(zip(labels, of_emotions, strict=True)),
            dict(zip(ratings.names, of_ratings, strict=True)),
        )
        for (start, end, replacement, text), of_emotions, of_ratings in zip(
            candidates, emotions.tolist(), units.tolist(), strict=True
        )
    ]
    order = np.argsort(-np.abs(changes[:, index]), kind="stable")
    return [found[place] for place in order]
