"""The synthetic demo corpora: a Socratis-like target and a COCO-like source, written in the official formats.

Scenes, captions, images and emotions are sampled from the generative model in `scene`, `wording`, `drawing` and
`feelings`; its exact probabilities, which no model can beat, are written next to the target.
"""

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.demo.drawing import draw_scene
from emocap.demo.feelings import (
    ANNOTATORS,
    LABELS,
    THOUGHTS,
    bayes_probabilities,
    main_reason,
    thought_probabilities,
)
from emocap.demo.pen import HEIGHT, WIDTH
from emocap.demo.scene import Scene, sample_scene
from emocap.demo.wording import write_caption
from emocap.errors import EmocapError
from emocap.files import atomic_folder, write_json
from emocap.progress import track

CAPTIONS_PER_IMAGE = 5
JPEG_QUALITY = 88
_ABSENT = ("", "none", "None", "not entered")
_AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
_GENDERS = ("female", "male", "non-binary")
_EDUCATIONS = ("high school", "some college", "bachelors", "masters", "doctorate")
_ETHNICITIES = ("Asian", "Black", "Hispanic", "White")
_EXPLANATIONS = (
    "I think they would be {emotion} because of {reason}.",
    "They may feel {emotion}; {reason} does that to people.",
    "It is {reason} that would make somebody feel {emotion}.",
)


def write_demo_corpora(folder: Path, *, n_target: int = 1200, n_source_images: int = 1200, seed: int = 0) -> None:
    """Write both corpora below `folder`, whole or not at all; equal arguments give equal bytes.

    Written are `socratis/imCaptionEmotionExplanation_formatted.json`, `socratis/images/*.jpg`,
    `socratis/oracle.parquet` (`pair_id`; `probabilities`: 29 float32, the probability that the pair's annotators name
    the emotion, given image and caption; metadata `labels`: their order as JSON),
    `coco/annotations/captions_train2017.json` with five captions per image, and `coco/train2017/*.jpg`. Images are
    JPEG files of 192x144 pixels.

    Args:
        folder: created, or replaced as a whole.
        n_target: pairs of the target, one caption per image.
        n_source_images: images of the source.
        seed: of all random choices.

    Raises:
        EmocapError: a number is not positive, the seed is negative, or the folder cannot be written.
    """
    for name, value, least in (("n_target", n_target, 1), ("n_source_images", n_source_images, 1), ("seed", seed, 0)):
        if value < least:
            raise EmocapError(f"demo corpora: {name} is {value}, expected at least {least}")
    with atomic_folder(Path(folder)) as temporary:
        _write_target(temporary / "socratis", n_target, seed)
        _write_source(temporary / "coco", n_source_images, seed)


def _write_target(folder: Path, n_pairs: int, seed: int) -> None:
    rng, drawing = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    scenes = [sample_scene(rng) for _ in range(n_pairs)]
    thoughts = thought_probabilities([(*scene.visible, scene.tone) for scene in scenes])
    images = folder / "images"
    images.mkdir(parents=True)
    entries: dict[str, list[Any]] = {}
    for number, (scene, thought) in enumerate(
        track(zip(scenes, thoughts, strict=True), "target scenes", n_pairs, "pairs"), 1
    ):
        file_name = f"demo__scenes_{number // 1000:04d}_{number % 1000:03d}.jpg"
        draw_scene(drawing, scene.visible).save(images / file_name, quality=JPEG_QUALITY)
        caption = write_caption(rng, scene)
        pair_id = _pair_id(rng)
        while pair_id in entries:
            pair_id = _pair_id(rng)
        entries[pair_id] = [
            [file_name, caption, *_annotate(rng, scene, thought)] for _ in range(int(rng.choice(ANNOTATORS)))
        ]
    write_json(folder / "imCaptionEmotionExplanation_formatted.json", entries)
    oracle = bayes_probabilities(scenes).astype(np.float32)
    table = pa.table(
        {
            "pair_id": pa.array(list(entries), pa.string()),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(oracle.ravel()), len(LABELS)),
        }
    )
    pq.write_table(table.replace_schema_metadata({"labels": json.dumps(LABELS)}), folder / "oracle.parquet")


def _write_source(folder: Path, n_images: int, seed: int) -> None:
    rng, drawing = np.random.default_rng([seed, 3]), np.random.default_rng([seed, 4])
    image_folder = folder / "train2017"
    image_folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id in track(range(1, n_images + 1), "source scenes", n_images, "images"):
        file_name = f"{image_id:012d}.jpg"
        first = sample_scene(rng, source=True)
        draw_scene(drawing, first.visible).save(image_folder / file_name, quality=JPEG_QUALITY)
        images.append({"license": 1, "file_name": file_name, "height": HEIGHT, "width": WIDTH, "id": image_id})
        captions: set[str] = set()
        while len(captions) < CAPTIONS_PER_IMAGE:
            other = sample_scene(rng, source=True)
            caption = write_caption(rng, Scene(*first.visible, other.tone, other.names_setting))
            if caption in captions:
                continue
            captions.add(caption)
            annotations.append({"image_id": image_id, "id": len(annotations) + 1, "caption": caption})
    (folder / "annotations").mkdir()
    write_json(
        folder / "annotations" / "captions_train2017.json",
        {
            "info": {"description": "Synthetic scenes of emocap in the format of COCO captions", "version": "1.0"},
            "licenses": [{"url": "https://www.apache.org/licenses/LICENSE-2.0", "id": 1, "name": "Apache License 2.0"}],
            "images": images,
            "annotations": annotations,
        },
    )


def _pair_id(rng: np.random.Generator) -> str:
    alphabet = np.array(list(string.ascii_uppercase + string.digits))
    return "3" + "".join(rng.choice(alphabet, 29))


def _annotate(
    rng: np.random.Generator, scene: Scene, thought: np.ndarray
) -> tuple[list[str], list[str | None], dict[str, Any]]:
    """One annotator's emotions as typed, explanations (some None) and demographics."""
    n_thoughts = int(rng.choice(list(THOUGHTS), p=list(THOUGHTS.values())))
    drawn = rng.choice(len(LABELS), n_thoughts, p=thought)
    emotions, explanations = [], []
    for label in dict.fromkeys(LABELS[k] for k in drawn):
        reason = main_reason(scene, label)
        explanation = str(rng.choice(_EXPLANATIONS)).format(emotion=label, reason=reason)
        emotions.append(_as_typed(rng, label))
        explanations.append(explanation[0].upper() + explanation[1:] if rng.random() < 0.7 else None)
    if not emotions or (len(emotions) < 3 and rng.random() < 0.15):
        emotions.append(str(rng.choice(_ABSENT)))
        explanations.append(None)
    return emotions, explanations, _demographics(rng)


def _as_typed(rng: np.random.Generator, label: str) -> str:
    form = rng.random()
    if form < 0.72:
        return label
    if form < 0.90:
        return label.capitalize()
    if form < 0.94:
        return label.upper()
    return f'"{label}"' if form < 0.97 else f"{label} "


def _demographics(rng: np.random.Generator) -> dict[str, Any]:
    disclosed = rng.random() < 0.9
    return {
        "age": str(rng.choice(_AGES)) if disclosed else "none",
        "gender": str(rng.choice(_GENDERS, p=(0.48, 0.48, 0.04))) if disclosed else "not entered",
        "education": str(rng.choice(_EDUCATIONS)) if disclosed else "not entered",
        "ethnicity": [[str(rng.choice(_ETHNICITIES)), "true"]] if disclosed else [],
    }
