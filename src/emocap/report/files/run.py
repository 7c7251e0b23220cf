"""All files of a run directory that the report shows, checked when they are read; see `docs/RUN_DIR.md`."""

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat, ValidationError, model_validator

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.files.captions import Captions
from emocap.report.files.results import Results
from emocap.study.models import MODELS
from emocap.validation import first_error

TRAINING_RUNS = (*(name for name, model in MODELS.items() if model.kind == "study"), "captioner")


class TrainRow(BaseModel):
    """One logged step."""

    step: int
    epoch: FiniteFloat
    loss: FiniteFloat


class ValidationRow(TrainRow):
    """One epoch's end."""

    mean_average_precision: FiniteFloat | None = None
    bce: FiniteFloat | None = None  # where the loss is a different one


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
    label_type: str | None = Field(default=None, validation_alias=AliasChoices("label_type", "targets"))
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
    """`gallery.json`: the test pairs that the model does best and worst on."""

    model: str = ""
    best: list[Card] = []
    worst: list[Card] = []


class Rejected(BaseModel):
    """Rejected rows or images, with reasons."""

    count: int = 0
    reasons: dict[str, int] = {}
    examples: list[dict[str, Any]] = []


class Stage(BaseModel):
    """One finished stage."""

    name: str
    seconds: FiniteFloat | None = None
    finished: str | None = None


class Manifest(BaseModel):
    """`manifest.json`: what ran, on what and for how long.

    Attributes:
        units: folders of the parts of the study, relative to the run directory, one per seed and fold.
    """

    name: str = ""
    command: str | None = None
    config: dict[str, Any] = {}
    seed: int | None = None
    vocabulary: str | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    peak_memory_gib: FiniteFloat | None = None
    data: dict[str, dict[str, int | None] | None] = {}
    rejected: dict[str, Rejected | None] = Field(
        default={}, validation_alias=AliasChoices("rejected", "quarantined")
    )
    stages: list[Stage] = []
    units: list[str] = Field(default=["."], min_length=1)

    @model_validator(mode="after")
    def _units_are_inside(self) -> "Manifest":
        for unit in self.units:
            if PurePath(unit).is_absolute() or ".." in PurePath(unit).parts:
                raise ValueError(f"unit {unit!r} is outside the run directory")
        return self


@dataclass(frozen=True)
class Run:
    """All that the report shows, read from one run directory; what a study did not produce is None or absent.

    Attributes:
        histories, audit: of the first unit.
    """

    folder: Path
    manifest: Manifest
    results: Results
    histories: dict[str, History] = field(default_factory=dict)
    audit: Audit | None = None
    gallery: Gallery | None = None
    captions: Captions | None = None


Model = TypeVar("Model", bound=BaseModel)


def read_run(run_dir: Path) -> Run:
    """Read and check the JSON files of a run directory.

    Raises:
        EmocapError: `results.json` or `manifest.json` is missing, or a file is not as documented.
    """
    folder = Path(run_dir)
    results = read_results(folder)
    manifest = _read(folder / "manifest.json", Manifest)
    unit = folder / manifest.units[0]
    histories = {name: _read_optional(unit / name / "history.json", History) for name in TRAINING_RUNS}
    judged = any(stage.name == "captions" for stage in manifest.stages)  # else the file is of an earlier configuration
    return Run(
        folder=folder,
        results=results,
        manifest=manifest,
        histories={name: history for name, history in histories.items() if history is not None},
        audit=_read_optional(unit / "audit.json", Audit),
        gallery=_read_optional(folder / "gallery.json", Gallery),
        captions=_read_optional(folder / "captioner" / "captions.json", Captions) if judged else None,
    )


def read_results(run_dir: Path) -> Results:
    """Read and check `results.json` alone.

    Raises:
        EmocapError: the directory or the file is missing, or the file is not as documented.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise EmocapError(f"{folder}: no such run directory; name the folder that 'emocap run' wrote")
    return _read(folder / "results.json", Results, schema=2)


def _read(path: Path, model: type[Model], schema: int = 1) -> Model:
    if not path.is_file():
        raise EmocapError(f"{path.parent}: contains no {path.name}; finish the study with 'emocap run' first")
    value = read_json(path)
    if not isinstance(value, dict):
        raise EmocapError(
            f"{path}: contains a {type(value).__name__}, expected an object; delete it and run the study again"
        )
    if value.get("schema") != schema:
        raise EmocapError(
            f"{path}: schema is {value.get('schema')!r}, expected {schema}; "
            "use the version of emocap that ran the study, or delete it and run the study again"
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors())}; delete it and run the study again") from None


def _read_optional(path: Path, model: type[Model]) -> Model | None:
    return _read(path, model) if path.is_file() else None
