"""All files of a run directory that the report shows, checked when they are read; see `docs/RUN_DIR.md`."""

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, FiniteFloat, ValidationError

from emocap.errors import EmocapError
from emocap.evaluation.predictions import Predictions, read_predictions
from emocap.files import read_json
from emocap.report.files.captions import Captions
from emocap.report.files.manifest import Manifest
from emocap.report.files.results import Results
from emocap.report.files.training import Audit, History, Photographs
from emocap.study.digests import require_undamaged
from emocap.study.models import MODELS
from emocap.validation import first_error

TRAINING_RUNS = (*(name for name, model in MODELS.items() if model.kind == "study"), "captioner")
UNIT_FILES = ("audit.json", "photographs.json", "*/history.json", "captioner/captions.json", "captioner/gallery/*")


class Card(BaseModel):
    """One test pair of the gallery."""

    pair_id: str = ""
    image: str | None = None
    caption: str
    true: list[str]
    predicted: list[tuple[str, FiniteFloat]]
    average_precision: FiniteFloat | None = None


class Gallery(BaseModel):
    """`gallery.json`: the test pairs that the model does best and worst on."""

    model: str = ""
    best: list[Card] = []
    worst: list[Card] = []


@dataclass(frozen=True)
class Run:
    """All that the report shows, read from one run directory; what a study did not produce is None or absent.

    Attributes:
        histories, audit, photographs: of the first unit.
        other_histories: of the other units, by model.
        predictions: of the test pairs; read only where there are ratings, of which a figure shows each pair.
    """

    folder: Path
    manifest: Manifest
    results: Results
    histories: dict[str, History] = field(default_factory=dict)
    other_histories: dict[str, list[History]] = field(default_factory=dict)
    audit: Audit | None = None
    photographs: Photographs | None = None
    gallery: Gallery | None = None
    captions: Captions | None = None
    predictions: Predictions | None = None

    def rating_points(self, name: str, model: str) -> tuple[np.ndarray, np.ndarray] | None:
        """The true and the predicted values of a rating in its own units, (N,) each, of the first seed's test pairs.

        None where the run has no predictions of the model, or no test pair has the rating.
        """
        ratings, predictions = self.results.ratings, self.predictions
        if ratings is None or predictions is None or not predictions.by_model.get(model):
            return None
        first = predictions.by_model[model][0]
        if name not in predictions.rating_names:
            return None
        column, (low, high) = predictions.rating_names.index(name), ratings.range[name]
        true, predicted = predictions.ratings[first.rows, column], first.ratings[:, column]
        known = ~np.isnan(true)
        points = (low + (high - low) * values[known].astype(float) for values in (true, predicted))
        return next(points), next(points)


Model = TypeVar("Model", bound=BaseModel)


def read_run(run_dir: Path) -> Run:
    """Read and check the JSON files of a run directory, and check the images that the report shows.

    The last call of the study writes `manifest.json` itself, so no stage records its SHA-256.

    Raises:
        EmocapError: `results.json` or `manifest.json` is missing, a file is not as documented, or one is not what its
            stage wrote.
    """
    folder = Path(run_dir)
    results = read_results(folder)
    manifest = _read(folder / "manifest.json", Manifest)
    if (manifest.data.get("target") or {}).get("images") == 0:
        results = results.model_copy(update={"drawn": "caption"})
    unit, *others = (folder / unit for unit in manifest.units)
    shown = [(PurePath(unit) / pattern).as_posix() for unit in manifest.units for pattern in UNIT_FILES]
    predictions = folder / "predictions.parquet"
    has_points = results.ratings is not None and predictions.is_file()
    shown += [predictions.name] if has_points else []
    for stage in manifest.stages:
        require_undamaged(folder, stage.name, ["gallery.json", "gallery/*", *shown])
    histories = {name: _read_optional(unit / name / "history.json", History) for name in TRAINING_RUNS}
    judged = any(stage.name == "captions" for stage in manifest.stages)  # else the file is of an earlier configuration
    has_photographs = (manifest.config.get("pseudo_labels") or {}).get("photographs") is not None
    return Run(
        folder=folder,
        results=results,
        manifest=manifest,
        histories={name: history for name, history in histories.items() if history is not None},
        other_histories={
            name: [
                history
                for other in others
                if (history := _read_optional(other / name / "history.json", History)) is not None
            ]
            for name, first in histories.items()
            if first is not None
        },
        audit=_read_optional(unit / "audit.json", Audit),
        photographs=_read_optional(unit / "photographs.json", Photographs) if has_photographs else None,
        gallery=_read_optional(folder / "gallery.json", Gallery),
        captions=_read_optional(folder / "captioner" / "captions.json", Captions) if judged else None,
        predictions=read_predictions(predictions) if has_points else None,
    )


def read_results(run_dir: Path) -> Results:
    """Read and check `results.json` alone.

    Raises:
        EmocapError: the directory or the file is missing, or the file is damaged or not as documented.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such run directory; name the folder that 'emocap run' wrote")
    if (folder / "results.json").is_file():
        require_undamaged(folder, "evaluation", ["results.json"])
    return _read(folder / "results.json", Results, schemas=(2, 3))


def _read(path: Path, model: type[Model], schemas: tuple[int, ...] = (1,)) -> Model:
    if not path.is_file():
        raise EmocapError(f"{path.parent}: contains no {path.name}; finish the study with 'emocap run' first")
    value = read_json(path, "delete it and run the study again with the same --run-dir")
    if not isinstance(value, dict):
        raise EmocapError(
            f"{path}: contains a {type(value).__name__}, expected an object; delete it and run the study again"
        )
    if value.get("schema") not in schemas:
        raise EmocapError(
            f"{path}: schema is {value.get('schema')!r}, expected {' or '.join(map(str, schemas))}; "
            "use the version of emocap that ran the study, or delete it and run the study again"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; delete it and run the study again") from None


def _read_optional(path: Path, model: type[Model]) -> Model | None:
    return _read(path, model) if path.is_file() else None
