"""Examples for the page: pairs of a run's gallery, or drawn scenes."""

import io
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from emocap.api.predictor import EmotionPredictor
from emocap.demo.drawing import draw_scene
from emocap.demo.scene import Scene
from emocap.demo.wording import read_caption, write_caption
from emocap.errors import EmocapError
from emocap.files import read_json

MAX_EXAMPLES = 4


# Drawn for models whose run has no gallery.
SCENES = (
    (
        Scene("dog", "beach", "sunset", "warm", "none", "plain", False),
        "The old dog lost its home, and nobody knows why.",
    ),
    (Scene("child", "meadow", "day", "vivid", "balloons", "plain", False), "A child runs home to celebrate at last."),
    (Scene("boat", "harbour", "storm", "cold", "flood", "plain", False), "The boat is safe, and everyone is thankful."),
)


@dataclass(frozen=True)
class Example:
    """An example for the page: JPEG bytes or None, captions, and a target emotion if the model has any."""

    image: bytes | None
    captions: list[str]
    emotion: str | None


def load_examples(run: Path | None, predictor: EmotionPredictor) -> list[Example]:
    """Pairs of the run's gallery, its best and worst in turn; without a gallery, drawn scenes."""
    emotions = predictor.labels
    examples = _from_gallery(run, emotions) if run is not None and predictor.uses_images else []
    if examples:
        return examples
    generator = np.random.default_rng(0)
    preferred = [emotion for emotion in ("hopeful", "happy") if emotion in emotions]
    target = next(iter([*preferred, *emotions]), None)
    for scene, caption in SCENES:
        image = None
        if predictor.uses_images:
            buffer = io.BytesIO()
            draw_scene(generator, scene.visible).save(buffer, format="JPEG")
            image = buffer.getvalue()
        examples.append(Example(image, [caption, *(other for _, other in SCENES if other != caption)], target))
    return examples


def _from_gallery(run: Path, emotions: tuple[str, ...]) -> list[Example]:
    path = run / "gallery.json"
    if not path.is_file():
        return []
    try:
        return _gallery_examples(run, read_json(path), emotions)
    except (EmocapError, AttributeError, KeyError, OSError, TypeError):
        return []  # a damaged gallery does not prevent serving


def _other_tones(generator: np.random.Generator, caption: str) -> list[str]:
    """A synthetic caption's subject in two other tones; nothing for any other caption."""
    subject, tone = read_caption(caption)
    if subject is None or tone is None:
        return []
    scene = Scene(subject, "beach", "day", "natural", "none", tone, names_setting=False)
    tones = [other for other in ("hopeful", "mournful", "funny") if other != tone]
    return [write_caption(generator, replace(scene, tone=other)) for other in tones[:2]]


def _gallery_examples(run: Path, gallery: Any, emotions: tuple[str, ...]) -> list[Example]:
    pairs = zip_longest(gallery.get("best", []), gallery.get("worst", []))
    entries: list[dict[str, Any]] = [entry for entry in chain(*pairs) if entry is not None]
    shown = [entry for entry in entries if entry.get("image") and (run / entry["image"]).is_file()][:MAX_EXAMPLES]
    generator = np.random.default_rng(0)
    return [
        Example(
            (run / entry["image"]).read_bytes(),
            [entry["caption"], *_other_tones(generator, entry["caption"])],
            next(iter([*(label for label in entry["true"] if label in emotions), *emotions]), None),
        )
        for entry in shown
    ]
