"""Photographs with captions for several emotions and styles side by side, drawn by the seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emocap.captioning.candidates import CandidateGenerator
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.systems import EmotionRanker
from emocap.study.gallery import thumbnail

N_IMAGES = 12
N_EMOTIONS = 4


def caption_gallery(
    generator: CandidateGenerator,
    guidance: float,
    ranker: EmotionRanker,
    eval_set: EvalSet,
    without_emotion: Sequence[str],
    styled: Mapping[str, Sequence[str]],
    emotion_counts: np.ndarray,
    root: Path | None,
    folder: Path,
    seed: int,
) -> list[dict[str, Any]]:
    """A few judged images, each with captions for emotions from the target's most to its least frequent one.

    Args:
        without_emotion: N captions without an emotion.
        styled: for each style N captions.
        emotion_counts: (E,) of the emotions in the target's training pairs.
        root: folder of the images; None where they are not known.
        folder: where thumbnails are written.
        seed: of the drawn images.
    """
    by_frequency = np.argsort(-emotion_counts, kind="stable")
    places = np.linspace(0, len(by_frequency) - 1, N_EMOTIONS).round().astype(int)
    emotions = list(dict.fromkeys(int(by_frequency[place]) for place in places))
    with_features = [row for row, features in enumerate(eval_set.features) if features is not None] or [0]
    rows = np.random.default_rng([seed, 11]).permutation(with_features)[:N_IMAGES].tolist()
    features = [eval_set.features[row] for row in rows for _ in emotions]
    requested = [emotion for _ in rows for emotion in emotions]
    candidates = generator.generate(features, [[emotion] for emotion in requested], guidance)
    probabilities = generator.probabilities(features, candidates)
    best = ranker.best(candidates, probabilities, requested)
    captions = [
        {
            "emotion": ranker.labels[emotion],
            "caption": own.captions[number],
            "probability": float(p[number, emotion]),
        }
        for own, p, number, emotion in zip(candidates, probabilities, best, requested, strict=True)
    ]
    entries = []
    for number, row in enumerate(rows, 1):
        name = f"{number:02d}.jpg"
        has_thumbnail = thumbnail(root, eval_set.images[row], folder / name)
        entries.append(
            {
                "image": f"captioner/gallery/{name}" if has_thumbnail else None,
                "human": eval_set.human[row],
                "without_emotion": without_emotion[row],
                "captions": captions[(number - 1) * len(emotions) : number * len(emotions)],
                "styles": [{"style": style, "caption": own[row]} for style, own in styled.items()],
            }
        )
    return entries
