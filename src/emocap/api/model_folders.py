"""What a model folder says of itself, read without its weights: nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path

from emocap.errors import EmocapError
from emocap.files import read_json

CARD = "emocap.json"
RECOMMENDED = "recommended.json"  # of a run directory: the model for use


@dataclass(frozen=True)
class ModelSummary:
    """A model folder, its emotions in order, and whether it was trained on images too."""

    folder: Path
    labels: tuple[str, ...]
    uses_images: bool


def find_model_folder(folder: Path) -> Path:
    """The model folder that a path means: itself, RUN/NAME with NAME/model in it, or what a run recommends.

    Raises:
        EmocapError: there is none.
    """
    for place in (folder, folder / "model"):
        if (place / CARD).is_file():
            return place
    if (folder / RECOMMENDED).is_file():
        values = read_json(folder / RECOMMENDED)
        if isinstance(values, dict) and isinstance(values.get("model"), str):
            return find_model_folder(folder / values["model"])
        raise EmocapError(f"{folder / RECOMMENDED}: names no model; run the study again")
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such folder; give a run directory, or a model folder such as RUN/AnB+")
    raise EmocapError(
        f"{folder}: not a model folder (no {CARD}); give a run directory whose study has run to its end, or a model "
        "that it saved, such as RUN/AnB+ or RUN/baselines/tfidf"
    )


def model_summary(folder: Path) -> ModelSummary:
    """What the card of a model says, before its weights are loaded.

    Raises:
        EmocapError: there is no model, or its card is damaged.
    """
    found = find_model_folder(Path(folder))
    values = read_json(found / CARD)
    labels = values.get("labels") if isinstance(values, dict) else None
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise EmocapError(f"{found / CARD}: names no emotions; train the model again")
    return ModelSummary(found, tuple(labels), values.get("features") is not None)
