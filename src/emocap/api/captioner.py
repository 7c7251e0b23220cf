"""The public way to have captions written for an emotion, and to have anybody's captions ordered by one."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from emocap.api.predictor import EmotionPredictor, Picture
from emocap.api.requested_emotions import choose_emotions
from emocap.captioning.checkpoint import RANKER, SavedCaptioner, check_strengths, load_captioner
from emocap.captioning.generation import in_batches
from emocap.captioning.rerank import UNFIT, Ranked, rerank
from emocap.corpora.pairs import is_text
from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.regions.extract import Prepared
from emocap.regions.extractors.base import Regions
from emocap.regions.images import open_image, upright_rgb

logger = logging.getLogger("emocap")
MOST_CANDIDATES = 1000
BATCH = 32
SMALL = (32, 32)
LEAST_CONTRAST = 4  # of 255, in every channel
PLAIN = "the picture is of one colour; what is written of it is invented"
LEAST_LIKELY = 1.0  # nats a token below the most faithful candidate
LEAST_SIMILAR = 3.0  # log-odds below it


class Similarity(Protocol):
    """How well texts fit a picture, by a model such as CLIP."""

    def __call__(self, image: Image.Image, captions: Sequence[str]) -> np.ndarray:
        """(N,) log-odds of each text to be this picture's, up to one number for all."""


class EmotionCaptioner:
    """Captions that are meant to make people feel something, from a captioner's folder.

    >>> captioner = EmotionCaptioner.from_pretrained("runs/demo-captions")  # doctest: +SKIP
    >>> captioner.caption("dog.jpg", emotions=["sad"], n=1)[0].caption  # doctest: +SKIP
    'The small dog was left alone after the funeral'
    """

    def __init__(self, saved: SavedCaptioner, ranker: EmotionPredictor) -> None:
        self._saved, self._ranker = saved, ranker
        self._writer = saved.writer(best_device())

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, allow_other_features: bool = False) -> "EmotionCaptioner":
        """Load the captioner of a run directory, or its own folder `RUN/captioner/model`.

        Raises:
            EmocapError: there is none, or a broken one.
        """
        saved = load_captioner(Path(folder))
        if not (saved.folder / RANKER).is_dir():
            raise EmocapError(f"{saved.folder}: its captions were not judged yet; let the study go on to its end")
        ranker = EmotionPredictor.from_pretrained(saved.folder / RANKER, allow_other_features=allow_other_features)
        saved.vocabulary.require_same(ranker.labels, str(saved.folder / RANKER))
        if saved.card.features is not None:
            ranker.require_features(saved.card.features["kind"], saved.card.features["dim"])
        return cls(saved, ranker)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that can be asked for, in their fixed order."""
        return self._saved.vocabulary.labels

    @property
    def ranker(self) -> EmotionPredictor:
        """The classifier that orders the candidates."""
        return self._ranker

    def caption(
        self,
        image: Picture,
        emotions: Sequence[str] = (),
        n: int = 5,
        *,
        guidance: float | None = None,
        strength: float | None = None,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        seed: int = 0,
        similarity: Similarity | None = None,
    ) -> list[Ranked]:
        """Captions of a picture for the emotions that are wanted, best first; none that is too long or evokes `avoid`.

        Args:
            image: a file, its bytes, or a Pillow image.
            emotions: of `labels`; none asks for what people would write.
            n: at most so many; fewer where the model does not find so many different ones.
            guidance: strength of the emotions while writing; 1 is what was learnt, None what the study found best.
            strength: of the emotions in ordering, against likelihood for the picture; None what the study found best.
            avoid: emotions that must not be among the strongest.
            max_chars: of a caption, such as 125 for alt text.
            seed: of the draws; the same gives the same captions.
            similarity: judges how well a text fits the picture, in place of the captioner's own likelihood.

        Raises:
            EmocapError: no picture, an unknown or contradictory emotion, or nothing left to give.
        """
        choice = self._saved.choice
        guidance = choice.guidance if guidance is None else guidance
        strength = choice.strength if strength is None else strength
        check_strengths(guidance, strength)
        wanted, shunned = choose_emotions(self.labels, emotions, avoid)
        if n < 1 or n > MOST_CANDIDATES:
            raise EmocapError(f"caption: n is {n}, expected 1 to {MOST_CANDIDATES}")
        if not 0 <= seed < 2**31:
            raise EmocapError(f"caption: seed is {seed}, expected 0 to {2**31 - 1}")
        features = self._features(image)
        found: list[str] = []
        most = max(self._saved.card.candidates, 3 * n)
        for number, rows in enumerate(in_batches(most, BATCH)):
            (written,) = self._writer.write(
                [features], [wanted], n=min(rows.stop, most) - rows.start, guidance=guidance, seed=seed + number
            )
            found += written
        candidates = [caption for caption in dict.fromkeys(found) if caption]
        return best_of(self._ordered(image, features, candidates, wanted, shunned, max_chars, strength, similarity), n)

    def rank(
        self,
        image: Picture,
        captions: Sequence[str],
        emotions: Sequence[str],
        *,
        avoid: Sequence[str] = (),
        max_chars: int | None = None,
        strength: float | None = None,
        similarity: Similarity | None = None,
    ) -> list[Ranked]:
        """Anybody's captions ordered by the emotions that are wanted, commented, never changed; none is left out.

        Args:
            similarity: judges how well a text fits the picture, in place of the captioner's own likelihood.

        Raises:
            EmocapError: no caption, an empty one, an unknown or contradictory emotion.
        """
        strength = self._saved.choice.strength if strength is None else strength
        check_strengths(self._saved.choice.guidance, strength)
        wanted, shunned = choose_emotions(self.labels, emotions, avoid)
        check_candidates(captions, wanted)
        features = self._features(image)
        ranked = self._ordered(image, features, list(captions), wanted, shunned, max_chars, strength, similarity)
        return [replace(one, remarks=[*one.remarks, *self._ranker.caption_warnings(one.caption)]) for one in ranked]

    def faithfulness(self, features: np.ndarray | None, captions: Sequence[str]) -> np.ndarray:
        """(N,) mean log-probability in nats of each of N captions' tokens for a picture, whatever the emotion.

        Args:
            features: (R, D) of the picture.
        """
        rows = in_batches(len(captions), BATCH)
        return np.concatenate([self._writer.likelihood([features], captions[part]) for part in rows])

    @property
    def strength(self) -> float:
        """Of the emotions in ordering, as the study found it best."""
        return self._saved.choice.strength

    def _features(self, image: Picture) -> np.ndarray | None:
        if image is None:
            raise EmocapError("caption: needs a picture; to order texts alone give rank a model of captions alone")
        if self._saved.card.features is None:
            raise EmocapError(f"{self._saved.folder}: never saw a picture; train a captioner on a source with images")
        (features,) = self._ranker.features([image])
        if not isinstance(image, Prepared | Regions) and is_plain(picture_of(image)):
            logger.warning(PLAIN)
        return features

    def _ordered(
        self,
        image: Picture,
        features: np.ndarray | None,
        captions: list[str],
        wanted: list[int],
        shunned: list[int],
        max_chars: int | None,
        strength: float,
        similarity: Similarity | None,
    ) -> list[Ranked]:
        if not captions:
            return []
        if similarity is None:
            faithfulness, floor = self.faithfulness(features, captions), LEAST_LIKELY
        else:
            faithfulness, floor = similarity(picture_of(image), captions), LEAST_SIMILAR
        return rerank(
            captions,
            self._ranker.probabilities_for(features, captions),
            self.labels,
            wanted,
            avoid=shunned,
            faithfulness=faithfulness,
            floor=floor,
            strength=strength,
            max_chars=max_chars,
        )


def order_captions(
    predictor: EmotionPredictor,
    image: Picture,
    captions: Sequence[str],
    emotions: Sequence[str],
    *,
    avoid: Sequence[str] = (),
    max_chars: int | None = None,
    strength: float = 1.0,
    similarity: Similarity | None = None,
) -> list[Ranked]:
    """`EmotionCaptioner.rank` by a classifier alone: faithfulness is judged only where `similarity` is given.

    Raises:
        EmocapError: as there.
    """
    check_strengths(1.0, strength)
    wanted, shunned = choose_emotions(predictor.labels, emotions, avoid)
    check_candidates(captions, wanted)
    features = predictor.features([image])[0] if predictor.sees_pictures else None
    if features is None and image is not None and similarity is None:
        logger.warning("rank: the model learnt from captions alone, so the picture is not looked at")
    faithfulness = None
    if similarity is not None:
        if image is None:
            raise EmocapError("rank: a similarity to the picture needs a picture; give one")
        faithfulness = similarity(picture_of(image), captions)
    ranked = rerank(
        captions,
        predictor.probabilities_for(features, captions),
        predictor.labels,
        wanted,
        avoid=shunned,
        faithfulness=faithfulness,
        floor=LEAST_SIMILAR,
        strength=strength,
        max_chars=max_chars,
    )
    return [replace(one, remarks=[*one.remarks, *predictor.caption_warnings(one.caption)]) for one in ranked]


def best_of(ranked: Sequence[Ranked], n: int) -> list[Ranked]:
    """The n best of what was written, without what is too long or evokes what is to be avoided.

    Raises:
        EmocapError: nothing is left.
    """
    kept = [one for one in ranked if not one.remarks or one.remarks == [UNFIT]][:n]
    if not kept:
        remarks = list(dict.fromkeys(remark for one in ranked for remark in one.remarks)) or ["nothing written"]
        reasons = "; ".join(remarks[:3] + ["..."] * (len(remarks) > 3))
        raise EmocapError(f"caption: none of {len(ranked)} candidates is left ({reasons}); ask for less")
    return kept


def check_candidates(captions: Sequence[str], wanted: Sequence[int]) -> None:
    """Refuse candidates that cannot be ordered.

    Raises:
        EmocapError: none, too many, or one that is empty or no Unicode text; or no emotion to order them by.
    """
    if not wanted:
        raise EmocapError("rank: no emotion to order by; name one")
    if isinstance(captions, str):
        raise EmocapError("rank: the candidates are one text; give a list of captions")
    if not len(captions):
        raise EmocapError("rank: no candidates; give one caption a line")
    if len(captions) > MOST_CANDIDATES:
        raise EmocapError(f"rank: {len(captions)} candidates, expected at most {MOST_CANDIDATES}")
    for number, caption in enumerate(captions, 1):
        if not isinstance(caption, str) or not caption.strip():
            raise EmocapError(f"rank: candidate {number} is empty; give some text")
        if not is_text(caption):
            raise EmocapError(f"rank: candidate {number} is not Unicode text; give it in UTF-8")


def is_plain(image: Image.Image) -> bool:
    """Whether an RGB picture is of one colour, so that it shows nothing."""
    return bool(np.ptp(np.asarray(image.resize(SMALL)), axis=(0, 1)).max() < LEAST_CONTRAST)


def picture_of(image: Picture) -> Image.Image:
    """A picture as RGB.

    Raises:
        EmocapError: it cannot be read, or only its regions are there.
    """
    if image is None or isinstance(image, Prepared | Regions):
        raise EmocapError("a similarity needs the picture itself; give its file")
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    return open_image(Path(image) if isinstance(image, str) else image)
