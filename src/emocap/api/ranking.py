"""Ranking of captions by requested emotions: the checked request, and ranking with or without a captioner."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image

from emocap.api.images import ImageInput, load_image, read_once
from emocap.api.model_folders import image_refused
from emocap.api.predictor import EmotionPredictor
from emocap.api.requested_emotions import resolve_emotions
from emocap.captioning.checkpoint import check_strengths
from emocap.captioning.rerank import UNFAITHFUL, RankedCaption, rerank
from emocap.corpora.pairs_builder import is_text
from emocap.errors import EmocapError
from emocap.pseudo_labels.lift import LiftScale, lift

MAX_CANDIDATES = 1000
MAX_LIKELIHOOD_GAP = 1.0  # nats per token below the most faithful candidate
MAX_SIMILARITY_GAP = 3.0  # log-odds below the most faithful candidate


class Similarity(Protocol):
    """Similarity of texts and an image, by a model such as CLIP."""

    def __call__(self, image: Image.Image, captions: Sequence[str]) -> np.ndarray:
        """(N,) log-odds of each text for the image, up to a common constant."""


@dataclass(frozen=True)
class RankingRequest:
    """What captions are ranked by.

    Attributes:
        labels: E emotions.
        target_emotions, avoid: indices into `labels`.
        strength: weight of the emotions against faithfulness.
        max_chars: longer captions are ranked below the others; None sets no limit.
        scale: of the classifier's logits, to rank by the lift of the emotions; None ranks by their log-probability.
    """

    labels: Sequence[str]
    target_emotions: list[int]
    avoid: list[int]
    strength: float = 1.0
    max_chars: int | None = None
    scale: LiftScale | None = None

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        emotions: Sequence[str],
        avoid: Sequence[str] = (),
        *,
        strength: float = 1.0,
        max_chars: int | None = None,
        scale: LiftScale | None = None,
    ) -> "RankingRequest":
        """Check a request in terms of emotion names.

        Raises:
            EmocapError: an unknown or contradictory emotion, or a strength out of range.
        """
        check_strengths(1.0, strength)
        target_emotions, avoided = resolve_emotions(labels, emotions, avoid)
        return cls(labels, target_emotions, avoided, strength, max_chars, scale)

    def rank(
        self,
        captions: Sequence[str],
        probabilities: np.ndarray,
        faithfulness: np.ndarray | None = None,
        max_gap: float = MAX_LIKELIHOOD_GAP,
    ) -> list[RankedCaption]:
        """Captions of one image, best first.

        Args:
            captions: N texts.
            probabilities: (N, E) of the emotions.
            faithfulness: (N,), or None to rank by the emotions alone.
            max_gap: captions that are further below the most faithful one are ranked below the others.
        """
        return rerank(
            captions,
            probabilities,
            self.labels,
            self.target_emotions,
            avoid=self.avoid,
            faithfulness=faithfulness,
            max_gap=max_gap,
            strength=self.strength,
            max_chars=self.max_chars,
            lift=None if self.scale is None else lift(probabilities, self.scale),
        )


def with_remarks(ranked: Sequence[RankedCaption], remarks: Sequence[Sequence[str]]) -> list[RankedCaption]:
    """The same order, with further remarks on each candidate.

    Args:
        remarks: N lists, in the order of the candidates.
    """
    return [replace(candidate, remarks=[*candidate.remarks, *remarks[candidate.number]]) for candidate in ranked]


def rank_captions(
    predictor: EmotionPredictor,
    image: ImageInput,
    captions: Sequence[str],
    emotions: Sequence[str],
    *,
    avoid: Sequence[str] = (),
    max_chars: int | None = None,
    strength: float = 1.0,
    similarity: Similarity | None = None,
) -> list[RankedCaption]:
    """`EmotionCaptioner.rank` with only a classifier: faithfulness is scored only if `similarity` is given.

    Raises:
        EmocapError: as there.
    """
    request = RankingRequest.of(predictor.labels, emotions, avoid, strength=strength, max_chars=max_chars)
    check_candidates(captions, request)
    image = read_once(image)
    if image is not None and similarity is None and not predictor.uses_images:
        raise EmocapError(image_refused(predictor.folder))
    features = predictor.features([image])[0] if predictor.uses_images else None
    faithfulness = None
    if similarity is not None:
        if image is None:
            raise EmocapError("rank: a similarity to the image needs an image; give one")
        faithfulness = similarity(load_image(image), captions)
    probabilities = predictor.probabilities_for(features, captions)
    ranked = request.rank(captions, probabilities, faithfulness, MAX_SIMILARITY_GAP)
    return with_remarks(ranked, [predictor.caption_warnings(caption) for caption in captions])


def top_captions(ranked: Sequence[RankedCaption], n: int) -> list[RankedCaption]:
    """The n best captions, without those that are too long or evoke an emotion to avoid.

    Raises:
        EmocapError: none is left.
    """
    top = [candidate for candidate in ranked if not candidate.remarks or candidate.remarks == [UNFAITHFUL]][:n]
    if not top:
        remarks = list(dict.fromkeys(remark for candidate in ranked for remark in candidate.remarks))
        reasons = "; ".join([*remarks[:3], *(["..."] if len(remarks) > 3 else [])]) or "nothing generated"
        raise EmocapError(f"caption: none of {len(ranked)} candidates is left ({reasons}); relax the request")
    return top


def check_candidates(captions: Sequence[str], request: RankingRequest) -> None:
    """Refuse candidates that cannot be ranked.

    Raises:
        EmocapError: none, too many, or one that is empty or not Unicode text; or no target emotion.
    """
    if not request.target_emotions:
        raise EmocapError("rank: no emotion to rank by; name one")
    if isinstance(captions, str):
        raise EmocapError("rank: the candidates are a single text; give a list of captions")
    if not len(captions):
        raise EmocapError("rank: no candidates; give one caption per line")
    if len(captions) > MAX_CANDIDATES:
        raise EmocapError(f"rank: {len(captions)} candidates, expected at most {MAX_CANDIDATES}")
    for number, caption in enumerate(captions, 1):
        if not isinstance(caption, str) or not caption.strip():
            raise EmocapError(f"rank: candidate {number} is empty; give some text")
        if not is_text(caption):
            raise EmocapError(f"rank: candidate {number} is not Unicode text; give it in UTF-8")
