"""The held-out images on which captions are tuned and judged, with an emotion requested for each."""

from dataclasses import dataclass

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.regions.store.reader import FeatureStore


@dataclass
class EvalSet:
    """N held-out images with human captions, and the emotion requested for each.

    Attributes:
        images: N keys.
        human: N captions, the first of each image; they are scored like a system and are not references.
        references: N lists of the other human captions.
        features: N times (R, D), or None.
        emotions: N emotion indices.
    """

    images: list[str]
    human: list[str]
    references: list[list[str]]
    features: list[np.ndarray | None]
    emotions: list[int]

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

        Args:
            images: N keys.
            source: pairs that contain at least two captions of each image.
            store: region features, or None without images.
            emotion_counts: (E,) of the emotions in the target's training pairs.
        """
        captions: dict[str, list[str]] = {image: [] for image in images}
        for image, caption in zip(source.images, source.captions, strict=True):
            if image in captions:
                captions[image].append(caption)
        counts = emotion_counts.astype(np.float64)
        return cls(
            images=images,
            human=[captions[image][0] for image in images],
            references=[captions[image][1:] for image in images],
            features=[store[image][0] if store is not None and image in store else None for image in images],
            emotions=rng.choice(len(counts), len(images), p=counts / counts.sum()).tolist(),
        )
