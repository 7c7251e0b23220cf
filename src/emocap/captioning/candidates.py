"""Candidate captions of several images: generation, faithfulness, emotions by the ranker, and the best candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emocap.captioning.checkpoint import GenerationConfig
from emocap.captioning.generation import CaptionGenerator, batch_slices
from emocap.captioning.rerank import RankedCaption, rerank
from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import predict_captions

BATCH_SIZE = 16


@dataclass(frozen=True)
class Candidates:
    """The distinct candidate captions of one image.

    Attributes:
        captions: n captions; of beam search the most likely first.
        faithfulness: (n,) mean log-likelihood of their tokens without an emotion and a style.
    """

    captions: list[str]
    faithfulness: np.ndarray

    @property
    def most_faithful(self) -> str:
        """The candidate of highest faithfulness, whatever emotions it evokes."""
        return self.captions[int(np.argmax(self.faithfulness))]

    def best(
        self,
        probabilities: np.ndarray,
        labels: Sequence[str],
        emotion: int,
        strength: float,
        scale: LiftScale | None = None,
    ) -> RankedCaption:
        """The best candidate after re-ranking.

        Args:
            probabilities: (n, E) by the ranker.
            labels: E emotions.
            emotion: index of the target emotion.
            strength: weight of the emotion against faithfulness.
            scale: of the ranker, to re-rank by lift; None re-ranks by log-probability.
        """
        ranked = rerank(
            self.captions,
            probabilities,
            labels,
            [emotion],
            faithfulness=self.faithfulness,
            strength=strength,
            lift=None if scale is None else lift(probabilities, scale),
        )
        return ranked[0]


@dataclass(frozen=True)
class CandidateGenerator:
    """A captioner that generates `n` candidates per image, and the classifier that ranks them.

    Attributes:
        config: of the generation; its guidance and strength are not used here.
    """

    generator: CaptionGenerator
    ranker: SavedModel
    n: int
    config: GenerationConfig = field(default_factory=GenerationConfig)

    def generate(
        self,
        features: Sequence[np.ndarray | None],
        emotions: Sequence[Sequence[int]],
        guidance: float = 1.0,
        styles: Sequence[str | None] | None = None,
    ) -> list[Candidates]:
        """Candidates for each of N images: the n best of beam search where the configuration has beams, else samples.

        Args:
            features: N times (R, D), or None.
            emotions: N lists of emotion indices; an empty list requests none.
            guidance: scale of classifier-free guidance of the emotions.
            styles: N names of styles, or None where none is requested; None requests none at all.

        Raises:
            EmocapError: a style that the captioner does not know.
        """
        candidates = []
        for number, rows in enumerate(batch_slices(len(emotions), BATCH_SIZE)):
            generated = self.generator.generate(
                features[rows],
                emotions[rows],
                None if styles is None else styles[rows],
                n=self.n,
                guidance=guidance,
                seed=number,
                **self.config.decoding(),
            )
            distinct = [[text for text in dict.fromkeys(own) if text] or own[:1] for own in generated]
            counts = [len(own) for own in distinct]
            texts = [caption for own in distinct for caption in own]
            faithfulness = self.generator.mean_log_likelihood(features[rows], texts, counts)
            scores = np.split(faithfulness, np.cumsum(counts)[:-1])
            candidates += [Candidates(*own) for own in zip(distinct, scores, strict=True)]
        return candidates

    def captions(
        self, features: Sequence[np.ndarray | None], emotions: Sequence[Sequence[int]], guidance: float = 1.0,
        styles: Sequence[str | None] | None = None,
    ) -> list[str]:  # fmt: skip
        """For each of N images one caption without re-ranking: the most likely of beam search, else as by `chosen`.

        Arguments and exceptions as for `generate`.
        """
        if self.config.beams is None:
            return self.chosen(self.generate(features, emotions, guidance, styles))
        captions = []
        for number, rows in enumerate(batch_slices(len(emotions), BATCH_SIZE * 4)):
            generated = self.generator.generate(
                features[rows],
                emotions[rows],
                None if styles is None else styles[rows],
                guidance=guidance,
                seed=number,
                **self.config.decoding(),
            )
            captions += [caption for (caption,) in generated]
        return captions

    def chosen(self, candidates: Sequence[Candidates]) -> list[str]:
        """For each of N images the caption without re-ranking: the most likely of beam search, else the most faithful.

        Args:
            candidates: of N images.
        """
        if self.config.beams is None:
            return [own.most_faithful for own in candidates]
        return [own.captions[0] for own in candidates]

    def probabilities(
        self, features: Sequence[np.ndarray | None], candidates: Sequence[Candidates]
    ) -> list[np.ndarray]:
        """N times (n, E): what the ranker predicts for each of N images with each of its candidates."""
        captions = [caption for own in candidates for caption in own.captions]
        repeated = [features[row] for row, own in enumerate(candidates) for _ in own.captions]
        probabilities = predict_captions(self.ranker, repeated, captions, 64, "captions: re-ranking")
        ends = np.cumsum([len(own.captions) for own in candidates])
        return np.split(probabilities, ends[:-1])
