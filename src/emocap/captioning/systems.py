"""The systems whose captions are compared: the captioner in several settings, its controls, retrieval, and humans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.captioning.candidates import CandidateGenerator, Candidates
from emocap.captioning.checkpoint import GenerationConfig
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.retrieval import CaptionRetrieval
from emocap.captioning.system_names import (
    BLANKED,
    CONSENSUS,
    GUIDED,
    HUMAN,
    NEAREST,
    NOT_GUIDED,
    OTHER_EMOTION,
    RANDOM,
    RERANKED,
    SHUFFLED,
    SHUFFLED_RERANKED,
    WITHOUT_EMOTION,
)
from emocap.pseudo_labels.lift import LiftScale

Features = Sequence[np.ndarray | None]


@dataclass(frozen=True)
class EmotionRanker:
    """How the candidates for an emotion are ranked.

    Attributes:
        labels: E emotions.
        strength: weight of the emotion against faithfulness.
        scale: of the ranker's logits, to rank by lift; None ranks by log-probability.
    """

    labels: Sequence[str]
    strength: float
    scale: LiftScale | None = None

    def best(
        self, candidates: Sequence[Candidates], probabilities: Sequence[np.ndarray], emotions: Sequence[int]
    ) -> list[int]:
        """For each image the index of its best candidate.

        Args:
            candidates: of N images.
            probabilities: N times (n, E), by the ranker.
            emotions: N requested emotions.
        """
        return [
            own.best(p, self.labels, emotion, self.strength, self.scale).number
            for own, p, emotion in zip(candidates, probabilities, emotions, strict=True)
        ]

    def captions(
        self,
        generator: CandidateGenerator,
        features: Features,
        candidates: Sequence[Candidates],
        emotions: Sequence[int],
    ) -> list[str]:
        """For each image its best candidate; arguments as for `best`."""
        numbers = self.best(candidates, generator.probabilities(features, candidates), emotions)
        return [own.captions[number] for own, number in zip(candidates, numbers, strict=True)]


def caption_systems(
    generator: CandidateGenerator,
    eval_set: EvalSet,
    config: GenerationConfig,
    ranker: EmotionRanker,
    retrieval: CaptionRetrieval,
    seed: int,
) -> dict[str, list[str]]:
    """For each system one caption per image; retrieval is left out where no training image has features.

    Args:
        config: with the chosen guidance.
        ranker: with the chosen strength.
        seed: of the random captions.
    """
    features, emotions = eval_set.features, eval_set.emotions
    requested = [[emotion] for emotion in emotions]
    guided = generator.generate(features, requested, config.guidance)
    systems = {
        WITHOUT_EMOTION: generator.captions(features, [[] for _ in requested]),
        NOT_GUIDED: generator.captions(features, requested),
        GUIDED: generator.captions(features, requested, config.guidance),
        RERANKED: ranker.captions(generator, features, guided, emotions),
    }
    if retrieval:
        systems |= {
            RANDOM: retrieval.random(len(features), seed),
            NEAREST: retrieval.nearest(features),
            CONSENSUS: retrieval.consensus(features),
        }
    return systems | {HUMAN: eval_set.human}


def control_systems(
    generator: CandidateGenerator,
    shuffled: CandidateGenerator | None,
    eval_set: EvalSet,
    config: GenerationConfig,
    ranker: EmotionRanker,
    blank: np.ndarray | None,
) -> dict[str, list[str]]:
    """Captions with a wrong input each: another emotion, another image, or emotions learnt for other captions.

    Args:
        shuffled: the captioner trained on shuffled emotions, where there is one.
        blank: (D,) the region that replaces all regions of an image, or None without images.
    """
    features, requested = eval_set.features, [[emotion] for emotion in eval_set.emotions]
    others = eval_set.other_emotions
    systems = {}
    if others is not None:
        candidates = generator.generate(features, [[emotion] for emotion in others], config.guidance)
        systems[OTHER_EMOTION] = ranker.captions(generator, features, candidates, others)
    if blank is not None:
        blanked = [None if regions is None else np.tile(blank, (len(regions), 1)) for regions in features]
        candidates = generator.generate(blanked, requested, config.guidance)
        systems[BLANKED] = ranker.captions(generator, blanked, candidates, eval_set.emotions)
    if shuffled is not None:
        candidates = shuffled.generate(features, requested, config.guidance)
        systems[SHUFFLED] = shuffled.chosen(candidates)
        systems[SHUFFLED_RERANKED] = ranker.captions(shuffled, features, candidates, eval_set.emotions)
    return systems


def styled_captions(generator: CandidateGenerator, features: Features, styles: Sequence[str]) -> dict[str, list[str]]:
    """For each style one caption per image, without an emotion."""
    n = len(features)
    return {style: generator.captions(features, [[] for _ in range(n)], styles=[style] * n) for style in styles}
