"""A study's configuration: one validated YAML, every key documented, an unknown one refused at once."""

import contextlib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emocap.corpora.read import FORMATS
from emocap.errors import EmocapError
from emocap.files import read_text
from emocap.regions.extractor import extractor_and_settings
from emocap.training.settings import TrainSettings

MOST_NODES = 10_000


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class CorpusConfig(Section):
    """Where pairs come from.

    Attributes:
        format: one of the readers.
        path: file, below `data_root` unless absolute.
        images: folder of the images, below `data_root` unless absolute; None where there are none.
        store: folder of a feature store of the images, below `data_root` unless absolute; None makes the features.
        limit_images: read only so many images with all their captions, drawn by the seed; None reads all.
        oracle: Parquet file of the true probabilities, where the corpus was made with known ones.
    """

    format: str
    path: Path
    images: Path | None = None
    store: Path | None = None
    limit_images: int | None = Field(None, ge=1)
    oracle: Path | None = None

    @model_validator(mode="after")
    def _known_format(self) -> "CorpusConfig":
        if self.format not in FORMATS:
            raise ValueError(f"format is {self.format!r}, expected one of {', '.join(FORMATS)}")
        return self


class SplitConfig(Section):
    """Shares of the target's images; they sum to 1."""

    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> "SplitConfig":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test sum to {total:g}, expected 1")
        return self


class FeatureConfig(Section):
    """Region features: the extractor, "NAME" or "NAME:WEIGHTS", and its own settings."""

    extractor: str = "grid"
    settings: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_extractor(self) -> "FeatureConfig":
        try:
            extractor_and_settings(self.extractor, self.settings)
        except EmocapError as error:
            raise ValueError(str(error)) from None
        return self


class ModelConfig(Section):
    """The classifier.

    Attributes:
        backbone: "auto", "offline", a folder, or a name on the hub.
        pooling: "mean" over all attended tokens, or "pooler" as in the founding study.
        visual_token_type: 0 as in VisualBERT's own code, 1 as in transformers' documentation.
        max_length: tokens a caption is cut at, special ones included.
        dropout: of hidden states and attention; None keeps the backbone's.
    """

    backbone: str = "auto"
    pooling: Literal["mean", "pooler"] = "mean"
    visual_token_type: int = Field(0, ge=0)
    max_length: int = Field(64, ge=3, le=512)
    dropout: float | None = Field(None, ge=0, lt=1)


class PseudoLabelConfig(Section):
    """What the teacher's answers become.

    Attributes:
        p: best emotions kept a pair.
        k: best pairs kept an emotion; None keeps all.
        fraction: share of the candidates that the student sees.
        targets: "soft", the teacher's probabilities of the kept emotions, or "hard", 1 for each.
    """

    p: int = Field(4, ge=1)
    k: int | None = Field(None, ge=1)
    fraction: float = Field(0.1, gt=0, le=1)
    targets: Literal["hard", "soft"] = "soft"


class TransferConfig(Section):
    """Back to the target.

    Attributes:
        n_transferred: encoder layers copied from below; None means all.
        head: "fresh" draws `fc` anew, "copied" takes the student's.
        AnB: training with the copied layers frozen.
        AnB_plus: training of everything; `AnB+` in the YAML.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    n_transferred: int | None = Field(None, ge=0)
    head: Literal["fresh", "copied"] = "fresh"
    AnB: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=10))
    AnB_plus: TrainSettings = Field(default_factory=TrainSettings, alias="AnB+")


class StudyConfig(Section):
    """A whole study.

    Attributes:
        name: of the study; the default run directory is `runs/NAME`.
        seed: of every draw.
        data_root: folder that the corpora's paths are relative to.
        target: labelled pairs, few.
        source: pairs without labels, many; None trains and evaluates the teacher alone.
        min_count: an emotion is in the vocabulary if it is named for at least so many pairs.
        splits: of the target, by image.
        features: None uses captions alone, whatever images there are.
    """

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    seed: int = Field(0, ge=0, lt=2**31)
    data_root: Path = Path("data")
    target: CorpusConfig
    source: CorpusConfig | None = None
    min_count: int = Field(1, ge=1)
    splits: SplitConfig = Field(default_factory=SplitConfig)
    features: FeatureConfig | None = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    teacher: TrainSettings = Field(default_factory=TrainSettings)
    pseudo_labels: PseudoLabelConfig = Field(default_factory=PseudoLabelConfig)
    student: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=1, select_by=None))
    transfer: TransferConfig = Field(default_factory=TransferConfig)

    @model_validator(mode="after")
    def _stores_are_used(self) -> "StudyConfig":
        if self.features is None and any(corpus is not None and corpus.store for corpus in (self.target, self.source)):
            raise ValueError("features is null, but a corpus names a store; leave one of them out")
        return self

    def dump(self) -> dict[str, Any]:
        """The resolved configuration as plain values, keys as in the YAML."""
        return self.model_dump(mode="json", by_alias=True)


def load_config(path: Path, overrides: list[str] | None = None) -> StudyConfig:
    """Read and validate a study.

    Args:
        path: YAML file.
        overrides: "a.b=value" with the value in YAML, put over the file's.

    Raises:
        EmocapError: not YAML, an unknown or contradictory key; one line that names it.
    """
    values = _yaml(read_text(path), str(path))
    if not isinstance(values, dict):
        raise EmocapError(f"{path}: holds {type(values).__name__}, expected keys such as 'target:'")
    for override in overrides or ():
        _override(values, override)
    try:
        return StudyConfig.model_validate(values)
    except ValidationError as error:
        raise EmocapError(f"{path}: {_first_fault(error)}") from None


def settings_from(overrides: list[str] | None) -> dict[str, Any]:
    """Settings given as "key=value", the values in YAML.

    Raises:
        EmocapError: no key, or a value that is not YAML.
    """
    values: dict[str, Any] = {}
    for override in overrides or ():
        _override(values, override)
    return values


def _yaml(text: str, where: str) -> Any:
    try:
        return _unshared(yaml.safe_load(text), [MOST_NODES])
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise EmocapError(
            f"{where}: not valid YAML{place}: {getattr(error, 'problem', None) or 'unreadable'}"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise EmocapError(f"{where}: not valid YAML: a value cannot be read ({type(error).__name__})") from None


def _unshared(value: Any, left: list[int]) -> Any:
    """A copy in which parts that YAML's anchors made one are apart, so that changing one leaves the others."""
    left[0] -= 1
    if left[0] < 0:
        raise ValueError("too many nodes")
    if isinstance(value, dict):
        return {key: _unshared(inner, left) for key, inner in value.items()}
    return [_unshared(inner, left) for inner in value] if isinstance(value, list) else value


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise EmocapError(f"--set {override}: expected KEY.KEY=VALUE, such as --set teacher.epochs=2")
    value = _yaml(text, f"--set {override:.80}")
    if isinstance(value, str):  # YAML 1.1 reads 5e-5 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    for name in names[:-1]:
        inner = values.get(name)
        if inner is None:
            inner = values[name] = {}
        if not isinstance(inner, dict):
            raise EmocapError(f"--set {override}: {name} is {inner!r}, which has no keys below it")
        values = inner
    values[names[-1]] = value


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place!r}; see docs/STUDY.md for those there are{more}"
    if fault["type"] == "missing":
        return f"key {place!r} is missing{more}"
    message = fault["msg"].removeprefix("Value error, ")
    found = f", found {repr(fault['input'])[:80]}" if not isinstance(fault["input"], dict) else ""
    return f"{place}: {message}{found}{more}"
