"""What a model folder says of itself, read without its weights: nothing heavy is imported."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emocap.classifiers.places import find_model, run_directory
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.ratings import Ratings
from emocap.training.card_file import CARD, REMEDY


@dataclass(frozen=True)
class ModelSummary:
    """A model folder, its emotions and ratings in order, and whether it was trained on images and on captions."""

    folder: Path
    labels: tuple[str, ...]
    uses_images: bool
    uses_captions: bool
    ratings: Ratings

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all that it predicts: emotions, then ratings."""
        return (*self.labels, *self.ratings.names)


def model_summary(path: Path) -> ModelSummary:
    """What the card of the model says that a path names (`find_model`), before its weights are loaded.

    Raises:
        EmocapError: there is no model, or its card is damaged.
    """
    return _summary(find_model(path))


def _summary(folder: Path) -> ModelSummary:
    values: Any = read_json(folder / CARD, REMEDY)
    labels = values.get("labels") if isinstance(values, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise EmocapError(f"{folder / CARD}: names no emotions; train the model again")
    ratings = Ratings.of(values.get("ratings") or {})
    if not labels and not ratings:
        raise EmocapError(f"{folder / CARD}: names no emotions and no ratings; train the model again")
    uses_images, uses_captions = values.get("features") is not None, values.get("uses_captions", True) is not False
    return ModelSummary(folder, tuple(labels), uses_images, uses_captions, ratings)


def image_refused(folder: Path) -> str:
    """Why a model of captions only refuses an image, and which model of its run uses images, if there is one."""
    advice = _other_model(folder, lambda found: found.uses_images)
    return f"{folder}: was trained on captions only and cannot use an image; leave it out{advice}"


def caption_refused(folder: Path) -> str:
    """Why a model of images alone refuses a caption without one, and which model of its run reads captions, if any."""
    advice = _other_model(folder, lambda found: found.uses_captions)
    return f"{folder}: was trained on images alone and cannot predict from a caption; give an image{advice}"


def _other_model(folder: Path, is_usable: Callable[[ModelSummary], bool]) -> str:
    """Advice to use a model of the same run and emotions, the ensemble or the first by name; empty without one."""
    run = run_directory(folder)
    if run is None:
        return ""
    if run.is_relative_to(Path.cwd()):
        run = run.relative_to(Path.cwd())
    places = [card.parent for pattern in (f"models/*/model/{CARD}", f"*/model/{CARD}") for card in run.glob(pattern)]
    for place in sorted(places, key=lambda place: (place.parent.name != "ensemble", place.parent.name)):
        try:
            found = _summary(place)
            if is_usable(found) and found.targets == _summary(folder).targets:
                return f", or use --model {place.parent}"
        except EmocapError:  # a damaged model is no advice
            continue
    return ""
