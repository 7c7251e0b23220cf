"""EmotionCaptioner: captions of an image for requested emotions and a style, and ranking of given captions by them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emocap.api.images import UNIFORM_IMAGE, ImageInput, is_uniform, load_image, read_once
from emocap.api.predictor import EmotionPredictor
from emocap.api.ranking import (
    MAX_CANDIDATES,
    MAX_LIKELIHOOD_GAP,
    MAX_SIMILARITY_GAP,
    RankingRequest,
    Similarity,
    check_candidates,
    top_captions,
    with_remarks,
)
from emocap.captioning.checkpoint import RANKER, SavedCaptioner, check_strengths, load_captioner
from emocap.captioning.generation import batch_slices
from emocap.captioning.rerank import UNFAITHFUL, RankedCaption
from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.pseudo_labels.lift import LiftScale
from emocap.regions.describe import Prepared
from emocap.regions.extractors.base import Regions

logger = logging.getLogger("emocap")
BATCH_SIZE = 32
SCALE = "lift.json"


class EmotionCaptioner:
    """Generates captions that are meant to evoke requested emotions, and ranks captions by them.

    `from_pretrained` loads one from the run directory of a study with a captioner.

    >>> captioner = EmotionCaptioner.from_pretrained(captioner_folder)
    >>> captioner.caption(image_path, emotions=["sad"], n=1)[0].caption
    'The dog waits alone at night'
    """

    def __init__(self, saved: SavedCaptioner, ranker: EmotionPredictor, scale: LiftScale | None = None) -> None:
        self._saved, self._ranker, self._scale = saved, ranker, scale
        self._generator = saved.generator(best_device())

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, allow_other_features: bool = False) -> "EmotionCaptioner":
        """Load the captioner of a run directory, or its own folder `RUN/captioner/model`.

        Args:
            allow_other_features: only warn if the extractor's weights differ from those of the training.

        Raises:
            EmocapError: there is none, or it is damaged.

        >>> EmotionCaptioner.from_pretrained(captioner_folder).labels
        ('happy', 'sad', 'awe')
        """
        saved = load_captioner(Path(folder))
        if not (saved.folder / RANKER).is_dir():
            raise EmocapError(f"{saved.folder}: its captions are not judged yet; let the study run to its end")
        ranker = EmotionPredictor.from_pretrained(saved.folder / RANKER, allow_other_features=allow_other_features)
        saved.vocabulary.require_same(ranker.labels, str(saved.folder / RANKER))
        if saved.card.features is not None:
            ranker.require_features(saved.card.features["fingerprint"], saved.card.features["dim"])
        logger.info("%s: uses %s, the model that ranks its captioner's captions", folder, ranker.name)
        by_lift = saved.generation_config.rerank == "lift"
        return cls(saved, ranker, LiftScale.load(saved.folder / SCALE, saved.vocabulary) if by_lift else None)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that can be requested, in their fixed order.

        >>> EmotionCaptioner.from_pretrained(captioner_folder).labels
        ('happy', 'sad', 'awe')
        """
        return self._saved.vocabulary.labels

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that can be requested; empty if the captioner was trained without.

        >>> EmotionCaptioner.from_pretrained(captioner_folder).styles
        ()
        """
        return tuple(self._saved.card.styles)

    @property
    def ranker(self) -> EmotionPredictor:
        """The classifier that ranks the candidates.

        >>> captioner = EmotionCaptioner.from_pretrained(captioner_folder)
        >>> captioner.ranker.predict(image_path, "the child is lost in the storm")[0].emotion
        'sad'
        """
        return self._ranker

    @property
    def strength(self) -> float:
        """The default weight of the emotions against faithfulness in ranking, as the study chose it.

        >>> EmotionCaptioner.from_pretrained(captioner_folder).strength
        1.0
        """
        return self._saved.generation_config.strength

    def caption(
        self,
        image: ImageInput,
        emotions: Sequence[str] = (),
        n: int = 5,
        *,
        style: str | None = None,
        guidance: float | None = None,
        strength: float | None = None,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        seed: int = 0,
        similarity: Similarity | None = None,
    ) -> list[RankedCaption]:
        """Generate captions for the requested emotions, best first; none is too long or evokes an emotion to avoid.

        Without an emotion, captions of beam search are in its order, the most likely in the requested style first.

        Args:
            image: as for `EmotionPredictor.predict`, but not None.
            emotions: some of `labels`; none requests an ordinary caption.
            style: one of `styles`; None requests none.
            n: maximum number of captions; fewer are returned if the model generates fewer distinct ones.
            guidance: scale of classifier-free guidance; 1 is the trained model, None the study's choice.
            strength: weight of the emotions against faithfulness in ranking; None takes the study's choice.
            avoid: emotions that must not be among the strongest.
            max_chars: maximum length, such as 125 for alt text.
            seed: of the sampling; the same seed gives the same captions. Beam search, if the study chose it, has none.
            similarity: scores faithfulness to the image in place of the captioner's own likelihood.

        Raises:
            EmocapError: no image, an unknown or contradictory emotion, an unknown style, or no caption is left.

        >>> captioner = EmotionCaptioner.from_pretrained(captioner_folder)
        >>> for candidate in captioner.caption(image_path, emotions=["sad"], n=2):
        ...     print(candidate.caption, round(candidate.probability, 1))
        The dog waits alone at night 0.9
        The child is lost in the storm 0.7
        """
        config = self._saved.generation_config
        guidance = config.guidance if guidance is None else guidance
        check_strengths(guidance, config.strength)
        request = self._request(emotions, avoid, strength, max_chars)
        if n < 1 or n > MAX_CANDIDATES:
            raise EmocapError(f"caption: n is {n}, expected 1 to {MAX_CANDIDATES}")
        if not 0 <= seed < 2**31:
            raise EmocapError(f"caption: seed is {seed}, expected 0 to {2**31 - 1}")
        image = read_once(image)
        features = self._features(image)
        n_candidates = max(self._saved.card.candidates, 3 * n)
        generated: list[str] = []
        decoding = config.decoding()
        for number, rows in enumerate(batch_slices(n_candidates, BATCH_SIZE)):
            (captions,) = self._generator.generate(
                [features],
                [request.target_emotions],
                [style],
                n=min(rows.stop, n_candidates) - rows.start,
                guidance=guidance,
                seed=seed + number,
                **decoding,
            )
            generated += captions
            decoding["beams"] = None  # wider beams take too much memory, so further candidates are sampled
        candidates = [caption for caption in dict.fromkeys(generated) if caption]
        ranked = self._rank(request, image, features, candidates, similarity)
        if not request.target_emotions and config.beams is not None and similarity is None:
            # In the order of the search, as the study judges such captions: the likelihood knows no style.
            ranked.sort(key=lambda candidate: (bool({*candidate.remarks} - {UNFAITHFUL}), candidate.number))
        return top_captions(ranked, n)

    def rank(
        self,
        image: ImageInput,
        captions: Sequence[str],
        emotions: Sequence[str],
        *,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        strength: float | None = None,
        similarity: Similarity | None = None,
    ) -> list[RankedCaption]:
        """Rank given captions by the requested emotions; none is changed or left out.

        Args:
            image: as for `caption`.
            captions: N texts.
            emotions: one or more of `labels`.
            avoid: captions that evoke these emotions are ranked below the others.
            max_chars: longer captions are ranked below the others.
            strength: weight of the emotions against faithfulness; None takes the study's choice.
            similarity: scores faithfulness to the image in place of the captioner's own likelihood.

        Raises:
            EmocapError: no caption, an empty one, an unknown or contradictory emotion.

        >>> captioner = EmotionCaptioner.from_pretrained(captioner_folder)
        >>> captions = ["the child celebrates in the sun", "the dog waits alone at night"]
        >>> for candidate in captioner.rank(image_path, captions, emotions=["sad"]):
        ...     print(candidate.caption, round(candidate.probability, 1), candidate.remarks)
        the dog waits alone at night 0.9 []
        the child celebrates in the sun 0.1 []
        """
        request = self._request(emotions, avoid, strength, max_chars)
        check_candidates(captions, request)
        image = read_once(image)
        ranked = self._rank(request, image, self._features(image), list(captions), similarity)
        return with_remarks(ranked, [self._ranker.caption_warnings(caption) for caption in captions])

    def faithfulness(self, features: np.ndarray | None, captions: Sequence[str]) -> np.ndarray:
        """(N,) mean log-probability in nats of each caption's tokens for an image, without an emotion.

        Args:
            features: (R, D) of the image, by `EmotionPredictor.features`.
            captions: N texts.

        >>> captioner = EmotionCaptioner.from_pretrained(captioner_folder)
        >>> (features,) = captioner.ranker.features([image_path])
        >>> captions = ["the cat sits in the sun", "sun the in sits cat the"]
        >>> fluent, scrambled = captioner.faithfulness(features, captions)
        >>> bool(fluent > scrambled)
        True
        """
        rows = batch_slices(len(captions), BATCH_SIZE)
        return np.concatenate([self._generator.mean_log_likelihood([features], captions[part]) for part in rows])

    def _request(
        self, emotions: Sequence[str], avoid: Sequence[str], strength: float | None, max_chars: int | None
    ) -> RankingRequest:
        strength = self.strength if strength is None else strength
        return RankingRequest.of(
            self.labels, emotions, avoid, strength=strength, max_chars=max_chars, scale=self._scale
        )

    def _features(self, image: ImageInput) -> np.ndarray | None:
        if image is None:
            raise EmocapError("caption: needs an image; to rank texts alone use a model of captions only")
        if self._saved.card.features is None:
            raise EmocapError(
                f"{self._saved.folder}: was trained without images; train a captioner on a source with images"
            )
        (features,) = self._ranker.features([image])
        if not isinstance(image, Prepared | Regions) and is_uniform(load_image(image)):
            logger.warning(UNIFORM_IMAGE)
        return features

    def _rank(
        self,
        request: RankingRequest,
        image: ImageInput,
        features: np.ndarray | None,
        captions: list[str],
        similarity: Similarity | None,
    ) -> list[RankedCaption]:
        if not captions:
            return []
        if similarity is None:
            faithfulness, max_gap = self.faithfulness(features, captions), MAX_LIKELIHOOD_GAP
        else:
            faithfulness, max_gap = similarity(load_image(image), captions), MAX_SIMILARITY_GAP
        return request.rank(captions, self._ranker.probabilities_for(features, captions), faithfulness, max_gap)
