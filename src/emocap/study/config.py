"""A study's configuration: one validated YAML, every key documented, an unknown one refused at once."""

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from emocap.corpora.read import FORMATS
from emocap.errors import EmocapError
from emocap.files import read_text
from emocap.regions.extractor import extractor_and_settings
from emocap.study.captioner_config import CaptionerConfig
from emocap.study.sections import Section, Seed, distinct
from emocap.training.settings import TrainSettings

MOST_NODES = 10_000


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
        pooling: "mean" over all attended tokens, "pooler" as in the founding study, the "first" token, or "first+mean".
        visual_token_type: 0 as in VisualBERT's own code, 1 as in transformers' documentation.
        max_length: tokens a caption is cut at, special ones included.
        dropout: of hidden states and attention; None keeps the backbone's.
    """

    backbone: str = "auto"
    pooling: Literal["mean", "pooler", "first", "first+mean"] = "mean"
    visual_token_type: int = Field(0, ge=0)
    max_length: int = Field(64, ge=3, le=512)
    dropout: float | None = Field(None, ge=0, lt=1)


PseudoTargets = Literal["hard", "soft", "votes"]
Share = Annotated[float, Field(gt=0, le=1)]
Control = Literal["random", "shuffled", "none"]


class PseudoLabelStudyConfig(Section):
    """Which settings of the pseudo-labels are varied, one at a time, with all others as the study has them.

    Attributes:
        p, k, fraction, targets, min_agreement: further values of these settings.
        controls: "random" draws as many pairs from the whole source, which says something only where K or the filter
            chose the sample; "shuffled" gives the pseudo-labels to other pairs of the sample; "none" trains the teacher
            on for as many steps instead. None means all that say something.
        seeds: each variation is run once for each.
    """

    p: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    k: list[Annotated[int, Field(ge=1)] | None] = Field(default_factory=list)
    fraction: list[Share] = Field(default_factory=list)
    targets: list[PseudoTargets] = Field(default_factory=list)
    min_agreement: list[Share | None] = Field(default_factory=list)
    controls: list[Control] | None = None
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)

    _distinct_values = field_validator("p", "k", "fraction", "targets", "min_agreement", "controls", "seeds")(distinct)


class PseudoLabelConfig(Section):
    """What the teacher's answers become.

    Attributes:
        p: best emotions kept a pair.
        k: best pairs kept an emotion; None keeps all.
        fraction: share of the candidates that the student sees.
        targets: "soft", the teacher's probabilities of the kept emotions; "hard", 1 for each; "votes", the share of the
            captions of one image whose P best hold the emotion.
        min_agreement: an emotion is kept only if at least this share of the captions of one image have it among their
            P best; None keeps all.
        study: the settings' effect on AnB+, measured with controls; None leaves it out.
    """

    p: int = Field(4, ge=1)
    k: int | None = Field(None, ge=1)
    fraction: Share = 0.1
    targets: PseudoTargets = "soft"
    min_agreement: Share | None = None
    study: PseudoLabelStudyConfig | None = None

    @model_validator(mode="after")
    def _random_says_something(self) -> "PseudoLabelConfig":
        if self.study is not None and "random" in (self.study.controls or ()) and not self.is_chosen:
            raise ValueError("study.controls has random, but without k or min_agreement the sample is random already")
        return self

    @property
    def is_chosen(self) -> bool:
        """Whether the sample is more than a random one."""
        return self.k is not None or self.min_agreement is not None

    @property
    def controls(self) -> list[str]:
        """The controls of the study of pseudo-labels."""
        assert self.study is not None, "there is a study"
        named = self.study.controls
        return [*(["random"] if self.is_chosen else []), "shuffled", "none"] if named is None else list(named)


class TransferConfig(Section):
    """Back to the target.

    Attributes:
        n_transferred: encoder layers copied from below; None means all.
        head: "fresh" draws `fc` anew, "copied" takes the student's.
        layers: the numbers of layers that the transfer study copies (Yosinski et al. 2014); None leaves the study out.
        controls: the transfer study also copies the teacher's own layers (BnB, BnB+), and runs the references.
        seeds: of the transfer study's re-initialised layers and orders.
        AnB: training with the copied layers frozen; BnB likewise.
        AnB_plus: training of everything; `AnB+` in the YAML; BnB+ likewise.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    n_transferred: int | None = Field(None, ge=0)
    head: Literal["fresh", "copied"] = "fresh"
    layers: list[Annotated[int, Field(ge=0)]] | None = Field(None, min_length=1)
    controls: bool = True
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    AnB: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=10))
    AnB_plus: TrainSettings = Field(default_factory=TrainSettings, alias="AnB+")

    _distinct_values = field_validator("seeds", "layers")(distinct)


class BaselineConfig(Section):
    """What the models are held against.

    Attributes:
        names: which ones; `prior` is always there.
        vectors: of captions, for "vectors" and "neighbours": "offline", or a sentence-transformers model.
    """

    names: list[Literal["tfidf", "vectors", "neighbours"]] = Field(["tfidf", "vectors", "neighbours"])
    vectors: str = "offline"


class EvaluationConfig(Section):
    """How scores are judged.

    Attributes:
        reference: the model that all others are compared with, besides the baselines.
        n_bootstrap: replicates of the bootstrap over images.
        ensemble: models whose logits are averaged, over all seeds, into "ensemble"; None takes every fine-tuned one
            (teacher, AnB+, labelled_AnB+), an empty list none.
    """

    reference: str = "teacher"
    n_bootstrap: int = Field(1000, ge=100, le=100_000)
    ensemble: list[str] | None = None


class StudyConfig(Section):
    """A whole study.

    Attributes:
        name: of the study; the default run directory is `runs/NAME`.
        seed: of the splits, and of every draw where `seeds` is left out.
        data_root: folder that the corpora's paths are relative to.
        target: labelled pairs, few.
        source: pairs without labels, many; None leaves the student out.
        labelled_source: pairs with labels of their own; a model trained on them moves its layers to the target.
        targets: what the target's models learn: "union", 1 for every emotion that an annotator named, or "votes", the
            share of the annotators that named it.
        folds: cross-validation by image over so many folds, test answers pooled; None draws one split by `splits`.
        seeds: of initialisation, order and sample, the study repeated for each on the same splits; None means `seed`.
        keep_models: whether the model folders of several folds or seeds stay; those of one unit always do.
        min_count: an emotion is in the vocabulary if it is named for at least so many pairs.
        splits: of the target, by image.
        features: None uses captions alone, whatever images there are.
        captioner: writes captions for emotions; None leaves it out.
    """

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    seed: int = Field(0, ge=0, lt=2**31)
    data_root: Path = Path("data")
    target: CorpusConfig
    source: CorpusConfig | None = None
    labelled_source: CorpusConfig | None = None
    targets: Literal["union", "votes"] = "union"
    folds: int | None = Field(None, ge=2)
    seeds: list[Seed] | None = Field(None, min_length=1)
    keep_models: bool = False
    min_count: int = Field(1, ge=1)
    splits: SplitConfig = Field(default_factory=SplitConfig)
    features: FeatureConfig | None = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    teacher: TrainSettings = Field(default_factory=TrainSettings)
    pseudo_labels: PseudoLabelConfig = Field(default_factory=PseudoLabelConfig)
    student: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=1, select_by=None))
    labelled: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=1, select_by=None))
    transfer: TransferConfig = Field(default_factory=TransferConfig)
    baselines: BaselineConfig = Field(default_factory=BaselineConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    captioner: CaptionerConfig | None = None

    _distinct_seeds = field_validator("seeds")(distinct)

    @model_validator(mode="after")
    def _stores_are_used(self) -> "StudyConfig":
        if self.features is None and any(corpus.store for corpus in self.corpora.values()):
            raise ValueError("features is null, but a corpus names a store; leave one of them out")
        return self

    @model_validator(mode="after")
    def _models_are_there(self) -> "StudyConfig":
        if len(set(self.evaluation.ensemble or ())) < len(self.evaluation.ensemble or ()):
            raise ValueError("evaluation.ensemble names a model twice")
        for key, names in (("reference", [self.evaluation.reference]), ("ensemble", self.evaluation.ensemble or [])):
            known = [*self.baselines.names, "prior", *self.models] if key == "reference" else self.models
            for name in names:
                if name not in known:
                    raise ValueError(f"evaluation.{key} names {name!r}, but this study has {', '.join(known)}")
        pictures = self.source is not None and (self.source.images is not None or self.source.store is not None)
        if self.captioner is not None and (self.features is None or not pictures):
            raise ValueError("captioner needs a source with pictures and features of them; give both or leave it out")
        if self.captioner is not None and len(self.units) > 1:
            raise ValueError("captioner is trained for one split and one seed; leave folds and seeds out, or captioner")
        if self.source is None and self.pseudo_labels.study is not None:
            raise ValueError("pseudo_labels.study needs a source; name one or leave the study out")
        if self.source is None and self.labelled_source is None and self.transfer.layers is not None:
            raise ValueError("transfer.layers needs a source or a labelled_source; name one or leave the study out")
        return self

    @property
    def corpora(self) -> dict[str, CorpusConfig]:
        """The corpora that the study reads, by domain."""
        named = {"target": self.target, "source": self.source, "labelled_source": self.labelled_source}
        return {domain: corpus for domain, corpus in named.items() if corpus is not None}

    @property
    def target_has_pictures(self) -> bool:
        """Whether the target's models see region features."""
        return self.features is not None and (self.target.images is not None or self.target.store is not None)

    @property
    def models(self) -> list[str]:
        """The models that are trained and evaluated, in order."""
        of_source = ["student", "AnB", "AnB+"] if self.source is not None else []
        return ["teacher", *of_source, *(["labelled_AnB", "labelled_AnB+"] if self.labelled_source is not None else [])]

    @property
    def members(self) -> list[str]:
        """The models whose mean is "ensemble"; none where there would be one alone."""
        named = self.evaluation.ensemble
        found = [m for m in self.models if m in ("teacher", "AnB+", "labelled_AnB+")] if named is None else named
        return found if len(found) * len(self.all_seeds) > 1 else []

    @property
    def all_seeds(self) -> list[int]:
        """The seeds that the study is run with."""
        return self.seeds or [self.seed]

    @property
    def units(self) -> list[tuple[int, int | None]]:
        """Every (seed, fold) that is trained and tested; fold is None for one split."""
        folds: list[int | None] = [None] if self.folds is None else list(range(self.folds))
        return [(seed, fold) for seed in self.all_seeds for fold in folds]

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
    return f"{place + ': ' if place else ''}{message}{found}{more}"
