"""What a model folder says of itself, read without its weights: nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path

from emocap.classifiers.places import find_model
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.training.card_file import CARD


@dataclass(frozen=True)
class ModelSummary:
    """A model folder, its emotions in order, and whether it was trained on images too."""

    folder: Path
    labels: tuple[str, ...]
    uses_images: bool


def model_summary(path: Path) -> ModelSummary:
    """What the card of the model says that a path names (`find_model`), before its weights are loaded.

    Raises:
        EmocapError: there is no model, or its card is damaged.
    """
    folder = find_model(path)
    values = read_json(folder / CARD)
    labels = values.get("labels") if isinstance(values, dict) else None
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise EmocapError(f"{folder / CARD}: names no emotions; train the model again")
    return ModelSummary(folder, tuple(labels), values.get("features") is not None)
