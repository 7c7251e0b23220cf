"""Candidate captions of several images: generation, faithfulness, emotions by the ranker, and the best candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.captioning.generation import CaptionGenerator, batch_slices
from emocap.captioning.rerank import RankedCaption, rerank
from emocap.training.checkpoint import SavedModel
from emocap.training.predict import predict_captions

BATCH_SIZE = 16


@dataclass(frozen=True)
class Candidates:
    """The distinct candidate captions of one image.

    Attributes:
        captions: n captions.
        faithfulness: (n,) mean log-likelihood of their tokens without an emotion.
    """

    captions: list[str]
    faithfulness: np.ndarray

    @property
    def most_faithful(self) -> str:
        """The candidate of highest faithfulness, whatever emotions it evokes."""
        return self.captions[int(np.argmax(self.faithfulness))]

    def best(self, probabilities: np.ndarray, labels: Sequence[str], emotion: int, strength: float) -> RankedCaption:
        """The best candidate after re-ranking.

        Args:
            probabilities: (n, E) by the ranker.
            labels: E emotions.
            emotion: index of the target emotion.
            strength: weight of the emotion against faithfulness.
        """
        ranked = rerank(
            self.captions, probabilities, labels, [emotion], faithfulness=self.faithfulness, strength=strength
        )
        return ranked[0]


@dataclass(frozen=True)
class CandidateGenerator:
    """A captioner that generates `n` candidates per image, and the classifier that ranks them."""

    generator: CaptionGenerator
    ranker: SavedModel
    n: int

    def generate(
        self, features: Sequence[np.ndarray | None], emotions: Sequence[Sequence[int]], guidance: float = 1.0
    ) -> list[Candidates]:
        """Candidates for each of N images.

        Args:
            features: N times (R, D), or None.
            emotions: N lists of emotion indices; an empty list requests none.
            guidance: scale of classifier-free guidance.
        """
        candidates = []
        for number, rows in enumerate(batch_slices(len(emotions), BATCH_SIZE)):
            generated = self.generator.generate(
                features[rows], emotions[rows], n=self.n, guidance=guidance, seed=number
            )
            for image_features, captions in zip(features[rows], generated, strict=True):
                distinct = [caption for caption in dict.fromkeys(captions) if caption] or captions[:1]
                faithfulness = self.generator.mean_log_likelihood([image_features], distinct)
                candidates.append(Candidates(distinct, faithfulness))
        return candidates

    def probabilities(
        self, features: Sequence[np.ndarray | None], candidates: Sequence[Candidates]
    ) -> list[np.ndarray]:
        """N times (n, E): what the ranker predicts for each of N images with each of its candidates."""
        captions = [caption for own in candidates for caption in own.captions]
        repeated = [features[row] for row, own in enumerate(candidates) for _ in own.captions]
        probabilities = predict_captions(self.ranker, repeated, captions, 64, "captions: re-ranking")
        ends = np.cumsum([len(own.captions) for own in candidates])
        return np.split(probabilities, ends[:-1])
