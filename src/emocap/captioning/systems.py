"""The systems whose captions are compared: the captioner in four settings, the nearest training image, and humans."""

from collections.abc import Sequence

import numpy as np

from emocap.captioning.candidates import CandidateGenerator
from emocap.captioning.checkpoint import GenerationConfig
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.system_names import GUIDED, HUMAN, NEAREST, NOT_GUIDED, RERANKED, WITHOUT_EMOTION
from emocap.corpora.pairs import Pairs
from emocap.regions.store.reader import FeatureStore


def caption_systems(
    generator: CandidateGenerator,
    eval_set: EvalSet,
    labels: Sequence[str],
    config: GenerationConfig,
    training_pairs: Pairs,
    store: FeatureStore | None,
) -> dict[str, list[str]]:
    """For each system one caption per image.

    Args:
        labels: E emotions.
        training_pairs, store: captions and region features of the captioner's training images.
    """
    features = eval_set.features
    requested = [[emotion] for emotion in eval_set.emotions]
    guided = generator.generate(features, requested, config.guidance)
    probabilities = generator.probabilities(features, guided)
    return {
        WITHOUT_EMOTION: most_faithful(generator, features, [[] for _ in requested]),
        NOT_GUIDED: most_faithful(generator, features, requested),
        GUIDED: [candidates.most_faithful for candidates in guided],
        RERANKED: [
            candidates.best(p, labels, emotion, config.strength).caption
            for candidates, p, emotion in zip(guided, probabilities, eval_set.emotions, strict=True)
        ],
        NEAREST: nearest_captions(features, training_pairs, store),
        HUMAN: eval_set.human,
    }


def most_faithful(
    generator: CandidateGenerator, features: Sequence[np.ndarray | None], emotions: Sequence[Sequence[int]]
) -> list[str]:
    """For each image the most faithful candidate, generated without guidance."""
    return [candidates.most_faithful for candidates in generator.generate(features, emotions)]


def nearest_captions(
    features: Sequence[np.ndarray | None], training_pairs: Pairs, store: FeatureStore | None
) -> list[str]:
    """For each image the first caption of the most similar training image, by cosine similarity of mean regions."""
    first_captions: dict[str, str] = {}
    for image, caption in zip(training_pairs.images, training_pairs.captions, strict=True):
        if store is not None and image in store:
            first_captions.setdefault(image, caption)
    if not first_captions:
        return [training_pairs.captions[0]] * len(features)
    assert store is not None, "its images were found in it"
    known = np.stack([_unit_mean(store[image][0]) for image in first_captions])
    captions = list(first_captions.values())
    return [
        captions[int(np.argmax(known @ _unit_mean(regions)))] if regions is not None else captions[0]
        for regions in features
    ]


def _unit_mean(features: np.ndarray) -> np.ndarray:
    mean = features.astype(np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
