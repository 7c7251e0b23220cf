"""The JSON files of a run directory as the report needs them, checked on the way in; see `docs/RUN_DIR.md`."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, FiniteFloat, ValidationError, model_validator

from emocap.errors import EmocapError
from emocap.files import read_json

PER_EMOTION = "per_emotion_average_precision"
RUNS = ("teacher", "student", "AnB", "AnB+")
MODELS = ("prior", *RUNS)


class Metric(BaseModel):
    """What one column of the table means."""

    higher_is_better: bool


class Results(BaseModel):
    """`results.json`: metrics on held-out images."""

    labels: list[str]
    n_test_pairs: int
    n_test_images: int
    metrics: dict[str, Metric]
    models: dict[str, dict[str, Any]]
    ceiling: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Results":
        if not self.metrics:
            raise ValueError("'metrics' is empty")
        if "prior" not in self.models:
            raise ValueError("'models' lacks 'prior'")
        for name, scores in [*self.models.items(), ("ceiling", self.ceiling)]:
            if scores is None:
                continue
            for metric in self.metrics:
                if not _number_or_none(scores.get(metric, "missing")):
                    raise ValueError(f"{name}: {metric!r} must be a number or null")
            emotions = scores.get(PER_EMOTION, {})
            if not isinstance(emotions, dict) or not all(_number_or_none(value) for value in emotions.values()):
                raise ValueError(f"{name}: {PER_EMOTION!r} must map emotions to numbers or null")
        return self

    def ordered_models(self) -> list[str]:
        """Models in the order of the study, others behind in their own order."""
        return [name for name in MODELS if name in self.models] + [name for name in self.models if name not in MODELS]


class TrainRow(BaseModel):
    """One logged step."""

    step: int
    epoch: FiniteFloat
    loss: FiniteFloat


class ValidationRow(TrainRow):
    """One epoch's end."""

    mean_average_precision: FiniteFloat | None = None


class History(BaseModel):
    """`history.json` of one training run."""

    run: str = ""
    train: list[TrainRow] = []
    validation: list[ValidationRow] = []
    best_epoch: FiniteFloat | None = None
    seconds: FiniteFloat | None = None
    n_train_pairs: int | None = None


class Audit(BaseModel):
    """`audit.json`: what selection did to the emotions."""

    labels: list[str]
    p: int | None = None
    k: int | None = None
    fraction: FiniteFloat | None = None
    targets: str | None = None
    n_source_pairs: int
    n_candidates: int | None = None
    n_selected: int
    target_share: list[FiniteFloat] | None = None
    before: list[FiniteFloat]
    after: list[FiniteFloat]
    entropy_before: FiniteFloat
    entropy_after: FiniteFloat
    entropy_target: FiniteFloat | None = None
    entropy_max: FiniteFloat
    never_chosen: list[str] = []
    largest_share: FiniteFloat | None = None
    warning: str | None = None

    @model_validator(mode="after")
    def _one_share_per_label(self) -> "Audit":
        for name in ("target_share", "before", "after"):
            shares = getattr(self, name)
            if shares is not None and len(shares) != len(self.labels):
                raise ValueError(f"{name!r} has {len(shares)} values for {len(self.labels)} labels")
        return self


class Card(BaseModel):
    """One test pair of the gallery."""

    pair_id: str = ""
    image: str | None = None
    caption: str
    true: list[str]
    predicted: list[tuple[str, FiniteFloat]]
    average_precision: FiniteFloat | None = None


class Gallery(BaseModel):
    """`gallery.json`: test pairs that the model does best and worst on."""

    model: str = ""
    best: list[Card] = []
    worst: list[Card] = []


class Quarantine(BaseModel):
    """Rows or images set aside, with reasons."""

    count: int = 0
    reasons: dict[str, int] = {}
    examples: list[dict[str, Any]] = []


class Stage(BaseModel):
    """One finished stage."""

    name: str
    seconds: FiniteFloat | None = None
    finished: str | None = None


class Manifest(BaseModel):
    """`manifest.json`: what ran, on what and for how long."""

    name: str = ""
    command: str | None = None
    config: dict[str, Any] = {}
    seed: int | None = None
    vocabulary: str | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    peak_memory_gib: FiniteFloat | None = None
    data: dict[str, dict[str, int | None] | None] = {}
    quarantined: dict[str, Quarantine | None] = {}
    stages: list[Stage] = []


@dataclass(frozen=True)
class Run:
    """All that the report shows, read from one run directory; what a study did not make is None or absent."""

    folder: Path
    manifest: Manifest
    results: Results
    histories: dict[str, History] = field(default_factory=dict)
    audit: Audit | None = None
    gallery: Gallery | None = None


Model = TypeVar("Model", bound=BaseModel)


def read_run(run_dir: Path) -> Run:
    """Read and check the JSON files of a run directory.

    Raises:
        EmocapError: `results.json` or `manifest.json` is absent, or a file that is there is not as documented.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such run directory; name the folder that 'emocap run' wrote")
    histories = {name: _read_optional(folder / name / "history.json", History) for name in RUNS}
    return Run(
        folder=folder,
        results=_read(folder / "results.json", Results),
        manifest=_read(folder / "manifest.json", Manifest),
        histories={name: history for name, history in histories.items() if history is not None},
        audit=_read_optional(folder / "audit.json", Audit),
        gallery=_read_optional(folder / "gallery.json", Gallery),
    )


def _read(path: Path, model: type[Model]) -> Model:
    if not path.is_file():
        raise EmocapError(f"{path.parent}: holds no {path.name}; finish the study with 'emocap run' first")
    value = read_json(path)
    if not isinstance(value, dict):
        raise EmocapError(f"{path}: holds a {type(value).__name__}, expected an object; run the study again")
    if value.get("schema") != 1:
        raise EmocapError(
            f"{path}: schema is {value.get('schema')!r}, expected 1; "
            "make the report with the emocap that ran the study, or run the study again"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise EmocapError(f"{path}: {where + ': ' if where else ''}{message}; run the study again") from None


def _read_optional(path: Path, model: type[Model]) -> Model | None:
    return _read(path, model) if path.is_file() else None


def _number_or_none(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
