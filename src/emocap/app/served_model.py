"""What is served: a model folder or a run, what its classifier was measured to be worth, and pairs to try it on."""

import io
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from emocap.api.captioner import EmotionCaptioner
from emocap.api.predictor import EmotionPredictor
from emocap.captioning.checkpoint import find_captioner
from emocap.demo.drawing import draw_scene
from emocap.demo.scene import Scene
from emocap.demo.wording import read_caption, write_caption
from emocap.errors import EmocapError
from emocap.files import read_json

DEMOS = ("runs/demo-captions", "runs/demo")
EXAMPLES = 4
MEASURED = ("top1_accuracy", "top3_accuracy", "recall_at_3", "mean_average_precision")
# Drawn where the model comes with no pictures of its own.
SCENES = (
    (
        Scene("dog", "beach", "sunset", "warm", "none", "plain", False),
        "The old dog lost its home, and nobody knows why.",
    ),
    (Scene("child", "meadow", "day", "vivid", "balloons", "plain", False), "A child runs home to celebrate at last."),
    (Scene("boat", "harbour", "storm", "cold", "flood", "plain", False), "The boat is safe, and everyone is thankful."),
)


@dataclass(frozen=True)
class Measured:
    """A classifier's scores on held-out pairs of its study, beside the constant answer.

    Attributes:
        pairs: number of test pairs.
        scores, prior: metric to value, of the classifier and of the label frequencies.
        intervals: metric to the 95% interval of the classifier's.
        made_up: whether the pairs were drawn and worded by emocap itself.
    """

    pairs: int
    scores: dict[str, float]
    prior: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    made_up: bool


@dataclass(frozen=True)
class Example:
    """A pair to try: JPEG bytes or None, captions, and an emotion to order them by."""

    image: bytes | None
    captions: list[str]
    emotion: str


@dataclass
class Served:
    """The models, and what to say of them.

    Attributes:
        folder: of the classifier.
        frequencies: (E,) share of the training pairs that name each emotion, or None.
    """

    predictor: EmotionPredictor
    captioner: EmotionCaptioner | None
    name: str
    folder: Path
    measured: Measured | None
    frequencies: np.ndarray | None
    examples: list[Example]


def load_served(folder: Path | None, *, allow_other_features: bool = False) -> Served:
    """Load a run with a captioner, a run, or a model folder; without one the demo's.

    Raises:
        EmocapError: there is none, or a broken one.
    """
    if folder is None:
        folder = next((Path(place) for place in DEMOS if (Path(place) / "results.json").is_file()), None)
        if folder is None:
            raise EmocapError(f"serve: no demo here ({' or '.join(DEMOS)}); run emocap demo, or give --model DIR")
    place = find_captioner(folder)
    captioner = None
    if place is not None:
        captioner = EmotionCaptioner.from_pretrained(place, allow_other_features=allow_other_features)
        predictor = captioner.ranker
    else:
        predictor = EmotionPredictor.from_pretrained(_classifier(folder), allow_other_features=allow_other_features)
    run = _run_of(predictor.folder)
    examples = _examples(run, predictor)
    # So that the first question finds all loaded.
    predictor.predict(examples[0].image, examples[0].captions[0])
    predictor.caption_warnings(examples[0].captions[0])
    frequencies = predictor.frequencies
    return Served(
        predictor=predictor,
        captioner=captioner,
        name=predictor.name,
        folder=predictor.folder,
        measured=None if run is None else _measured(run, predictor.name),
        frequencies=None if frequencies is None else np.array(frequencies),
        examples=examples,
    )


def _classifier(folder: Path) -> Path:
    """The folder itself, or the fine-tuned student of a run, or its teacher where there is no student."""
    for name in ("AnB+", "teacher"):
        if (folder / "results.json").is_file() and (folder / name / "model" / "emocap.json").is_file():
            return folder / name
    return folder


def _run_of(folder: Path) -> Path | None:
    """The run directory that a model folder lies in."""
    return next((place for place in list(folder.resolve().parents)[:3] if (place / "results.json").is_file()), None)


def _measured(run: Path, name: str) -> Measured | None:
    try:
        results = read_json(run / "results.json")
        scores, prior = results["models"][name], results["models"]["prior"]
        intervals = results["intervals"][name]
        return Measured(
            int(results["n_test_pairs"]),
            {metric: float(scores[metric]) for metric in MEASURED},
            {metric: float(prior[metric]) for metric in MEASURED},
            {metric: (float(intervals[metric][0]), float(intervals[metric][1])) for metric in MEASURED},
            read_json(run / "manifest.json")["config"]["target"].get("oracle") is not None,
        )
    except (EmocapError, AttributeError, KeyError, TypeError, ValueError):
        return None  # a model is served without its study's results too


def _examples(run: Path | None, predictor: EmotionPredictor) -> list[Example]:
    """Pairs of the run's gallery, those it ranked best and worst in turn, else drawn scenes."""
    emotions = predictor.labels
    found = _from_gallery(run, emotions) if run is not None and predictor.sees_pictures else []
    if found:
        return found
    generator = np.random.default_rng(0)
    wanted = next((emotion for emotion in ("hopeful", "happy") if emotion in emotions), emotions[0])
    for scene, caption in SCENES:
        image = None
        if predictor.sees_pictures:
            buffer = io.BytesIO()
            draw_scene(generator, scene.picture).save(buffer, format="JPEG")
            image = buffer.getvalue()
        found.append(Example(image, [caption, *(other for _, other in SCENES if other != caption)], wanted))
    return found


def _from_gallery(run: Path, emotions: tuple[str, ...]) -> list[Example]:
    path = run / "gallery.json"
    if not path.is_file():
        return []
    try:
        return _shown(run, read_json(path), emotions)
    except (EmocapError, AttributeError, KeyError, OSError, TypeError):
        return []  # a damaged gallery is no reason not to serve


def _retold(generator: np.random.Generator, caption: str) -> list[str]:
    """A made-up caption's subject told in two other tones; nothing of a caption that is not made up."""
    subject, tone = read_caption(caption)
    if subject is None or tone is None:
        return []
    scene = Scene(subject, "beach", "day", "natural", "none", tone, names_setting=False)
    tones = [other for other in ("hopeful", "mournful", "funny") if other != tone]
    return [write_caption(generator, replace(scene, tone=other)) for other in tones[:2]]


def _shown(run: Path, gallery: Any, emotions: tuple[str, ...]) -> list[Example]:
    pairs = zip_longest(gallery.get("best", []), gallery.get("worst", []))
    entries: list[dict[str, Any]] = [entry for entry in chain(*pairs) if entry is not None]
    shown = [entry for entry in entries if entry.get("image") and (run / entry["image"]).is_file()][:EXAMPLES]
    generator = np.random.default_rng(0)
    return [
        Example(
            (run / entry["image"]).read_bytes(),
            [entry["caption"], *_retold(generator, entry["caption"])],
            next((label for label in entry["true"] if label in emotions), emotions[0]),
        )
        for entry in shown
    ]
