"""The held-out images on which captions are tuned and judged, with an emotion requested for each."""

import logging
from dataclasses import dataclass, field

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.regions.store.reader import FeatureStore

logger = logging.getLogger("emocap")


@dataclass
class EvalSet:
    """N held-out images with human captions, and the emotion requested for each.

    Attributes:
        images: N keys.
        human: N captions, the first factual one of each image; they are scored like a system and are not references.
        references: N lists of the other factual captions.
        features: N times (R, D), or None.
        emotions: N emotion indices.
        other_emotions: N indices of a second emotion that differs from the first; None where there is only one.
        styled: N dictionaries of a style to the first human caption in it.
    """

    images: list[str]
    human: list[str]
    references: list[list[str]]
    features: list[np.ndarray | None]
    emotions: list[int]
    other_emotions: list[int] | None = None
    styled: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        images: list[str],
        source: Pairs,
        store: FeatureStore | None,
        emotion_counts: np.ndarray,
        rng: np.random.Generator,
    ) -> "EvalSet":
        """The captions and features of images, each with an emotion sampled by its frequency.

        Captions are factual where they have no style. Images with fewer than two of them are left out with a warning.

        Args:
            images: keys.
            source: pairs that contain the images.
            store: region features, or None without images.
            emotion_counts: (E,) of the emotions in the target's training pairs.

        Raises:
            EmocapError: no image has two captions without a style.
        """
        captions: dict[str, list[str]] = {image: [] for image in images}
        styled: dict[str, dict[str, str]] = {image: {} for image in images}
        for image, caption, style in zip(source.images, source.captions, source.styles, strict=True):
            if image in captions and style is None:
                captions[image].append(caption)
            elif image in captions and style is not None:
                styled[image].setdefault(style, caption)
        kept = [image for image in images if len(captions[image]) > 1]
        if not kept:
            raise EmocapError(
                f"captions: none of {len(images)} held-out images has two captions without a style, which are the "
                "references; add plain captions to the source"
            )
        if len(kept) < len(images):
            logger.warning(
                "captions: %d of %d held-out images have fewer than two captions without a style and are not judged",
                len(images) - len(kept),
                len(images),
            )
        counts = emotion_counts.astype(np.float64)
        emotions = rng.choice(len(counts), len(kept), p=counts / counts.sum())
        return cls(
            images=kept,
            human=[captions[image][0] for image in kept],
            references=[captions[image][1:] for image in kept],
            features=[store[image][0] if store is not None and image in store else None for image in kept],
            emotions=emotions.tolist(),
            other_emotions=_others(emotions, counts, rng) if (counts > 0).sum() > 1 else None,
            styled=[styled[image] for image in kept],
        )

    @property
    def all_references(self) -> list[list[str]]:
        """N lists of all factual captions."""
        return [[human, *others] for human, others in zip(self.human, self.references, strict=True)]


def _others(emotions: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> list[int]:
    """For each emotion another one, sampled by its frequency among the others."""
    remaining = np.tile(counts, (len(emotions), 1))
    remaining[np.arange(len(emotions)), emotions] = 0
    cumulative = np.cumsum(remaining, axis=1)
    draws = rng.random(len(emotions)) * cumulative[:, -1]
    return (cumulative > draws[:, None]).argmax(axis=1).tolist()
