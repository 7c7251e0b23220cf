"""A study's configuration: one validated YAML, every key documented, an unknown one an error."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from emocap.study.config.captioner import CaptionerConfig
from emocap.study.config.corpora import Corpora, CorpusConfig, FeatureConfig, SplitConfig, corpora_of
from emocap.study.config.pseudo_labels import PseudoLabelConfig
from emocap.study.config.sections import Section, Seed, distinct
from emocap.study.config.training import (
    BaselineConfig,
    EvaluationConfig,
    FreshModelSettings,
    ModelConfig,
    TransferConfig,
)
from emocap.study.models import MODELS, control_models, trained_models
from emocap.training.settings import TrainSettings


class StudyConfig(Section):
    """A whole study.

    Attributes:
        name: of the study; the default run directory is `runs/NAME`.
        seed: of the splits, and of every random draw where `seeds` is left out.
        data_root: folder that the corpora's paths are relative to.
        target: labelled pairs, few.
        source: pairs without labels, many, of one corpus or of several; None leaves the student out.
        labelled_source: pairs with labels of their own, of one corpus or of several; a model trained on them moves its
            layers to the target.
        label_aggregation: what the target's models learn: "union", 1 for every emotion that an annotator named, or
            "votes", the share of the annotators that named it.
        folds: cross-validation by image with so many folds, test predictions pooled; None draws one split by `splits`.
            Left out, it is decided by the number of images (see `study.folds`), and None until then.
        seeds: of initialisation, order and sample, the study repeated for each with the same splits; None means `seed`.
        keep_models: whether the trained models of several folds or seeds are kept, so that they can be used; false
            saves disk space. Baselines and the models of a single unit always are kept.
        min_count: an emotion is in the vocabulary if it is named for at least so many pairs.
        splits: of the target, by image.
        features: None uses captions alone, whatever images there are.
        captioner: writes captions for emotions; None leaves it out.
    """

    name: str = Field("study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    seed: int = Field(0, ge=0, lt=2**31)
    data_root: Path = Path("data")
    target: CorpusConfig
    source: Corpora | None = None
    labelled_source: Corpora | None = None
    label_aggregation: Literal["union", "votes"] = "union"
    folds: int | None = Field(None, ge=2)
    seeds: list[Seed] | None = Field(None, min_length=1)
    keep_models: bool = True
    min_count: int = Field(1, ge=1)
    splits: SplitConfig = Field(default_factory=SplitConfig)
    features: FeatureConfig | None = Field(default_factory=FeatureConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    teacher: FreshModelSettings = Field(default_factory=FreshModelSettings)
    pseudo_labels: PseudoLabelConfig = Field(default_factory=PseudoLabelConfig)
    student: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=1, select_by=None))
    labelled: FreshModelSettings = Field(default_factory=lambda: FreshModelSettings(epochs=1, select_by=None))
    transfer: TransferConfig = Field(default_factory=TransferConfig)
    baselines: BaselineConfig = Field(default_factory=BaselineConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    captioner: CaptionerConfig | None = None

    renamed_keys: ClassVar[dict[str, str]] = {"targets": "label_aggregation"}

    _distinct_seeds = field_validator("seeds")(distinct)

    @model_validator(mode="after")
    def _stores_are_used(self) -> "StudyConfig":
        if self.features is None and any(corpus.store for corpus in self.all_corpora):
            raise ValueError("features is null, but a corpus names a store; leave one of them out")
        return self

    @model_validator(mode="after")
    def _models_are_there(self) -> "StudyConfig":
        if len(set(self.evaluation.ensemble or ())) < len(self.evaluation.ensemble or ()):
            raise ValueError("evaluation.ensemble names a model twice")
        known = [*self.baseline_names, *self.models]
        for key, names in (("reference", [self.evaluation.reference]), ("ensemble", self.evaluation.ensemble or [])):
            for name in names:
                if name not in known:
                    raise ValueError(f"evaluation.{key} names {name!r}, but this study has {', '.join(known)}")
        unseen = [name for name in self.baseline_names if "image" in MODELS[name].reads and not self.target_has_images]
        if unseen:
            raise ValueError(f"baselines.names names {unseen[0]!r}, which reads images, but the target has none")
        lacking = [name for name in self.baseline_names if MODELS[name].corpus not in (None, *self.with_images)]
        if lacking:
            raise ValueError(
                f"baselines.names names {lacking[0]!r}, which needs a {MODELS[lacking[0]].corpus} with images; "
                "give one or leave it out"
            )
        if self.evaluation.text_alone and not self.target_has_images:
            raise ValueError("evaluation.text_alone is true, but every model of this study sees captions alone")
        for name in [] if self.target.ratings else self.models:
            if self.training_settings(name).select_by == "pearson_r":
                raise ValueError(
                    f"{MODELS[name].settings}.select_by is pearson_r, but the target has no ratings; give bce or "
                    "mean_average_precision"
                )
        if self.captioner is not None and "source" not in self.with_images:
            raise ValueError("captioner needs a source with images and features of them; give both or leave it out")
        if self.captioner is not None and len(self.units) > 1:
            raise ValueError("captioner is trained for one split and one seed; leave folds and seeds out, or captioner")
        if self.source is None and self.pseudo_labels.study is not None:
            raise ValueError("pseudo_labels.study needs a source; name one or leave the study out")
        self._photographs_are_there()
        if self.source is None and self.labelled_source is None and self.transfer.layers is not None:
            raise ValueError("transfer.layers needs a source or a labelled_source; name one or leave the study out")
        return self

    def _photographs_are_there(self) -> None:
        settings = self.pseudo_labels.photographs
        if settings is None:
            return
        if "source" not in self.with_images:
            raise ValueError(
                "pseudo_labels.photographs needs a source with images and features; give both or leave it out"
            )
        if self.target_has_images:
            raise ValueError(
                "pseudo_labels.photographs is for a teacher that reads captions alone, but the target has images; "
                "leave photographs or target.images out"
            )
        assert self.features is not None, "there are features"
        extractor = self.features.extractor
        is_given = any(corpus.store is not None for corpus in self.corpora["source"])
        if settings.class_prior and not is_given and not extractor.startswith("timm:"):
            raise ValueError(
                "pseudo_labels.photographs.class_prior needs features of timm:NAME, whose classifier names what is in "
                f"a photograph, but features.extractor is {extractor}; name a backbone of timm, or give class_prior: 0"
            )

    @property
    def corpora(self) -> dict[str, list[CorpusConfig]]:
        """The corpora that the study reads, by domain; those of one domain are read as one."""
        named = {"target": self.target, "source": self.source, "labelled_source": self.labelled_source}
        return {domain: corpora_of(domain, given) for domain, given in named.items() if given is not None}

    @property
    def all_corpora(self) -> list[CorpusConfig]:
        """The corpora of all domains, in order."""
        return [corpus for corpora in self.corpora.values() for corpus in corpora]

    @property
    def own_backbones(self) -> list[str]:
        """Which of "teacher" and "labelled" are trained and name a backbone of their own."""
        roles = ["teacher"] if self.labelled_source is None else ["teacher", "labelled"]
        return [role for role in roles if getattr(self, role).backbone is not None]

    @property
    def target_has_images(self) -> bool:
        """Whether the target's models see region features."""
        return "target" in self.with_images

    @property
    def with_images(self) -> list[str]:
        """Domains of the corpora whose region features models see."""
        if self.features is None:
            return []
        return [
            domain for domain, several in self.corpora.items() if any(one.has_images(self.data_root) for one in several)
        ]

    @property
    def models(self) -> list[str]:
        """The models that are trained and evaluated, in order."""
        has_updates = self.transfer.AnB_LoRA is not None
        return trained_models(self.corpora, text_alone=self.evaluation.text_alone, optional=has_updates)

    @property
    def controls(self) -> list[str]:
        """The models that are trained and evaluated to compare AnB+ with; none without a source."""
        return [] if self.source is None else control_models(self.pseudo_labels.controls)

    @property
    def baseline_names(self) -> list[str]:
        """The baselines that are fitted and evaluated, the prior first."""
        return self.baselines.fitted(self.with_images)

    def training_settings(self, model: str) -> TrainSettings:
        """How a model of the table is trained."""
        key = MODELS[model].settings
        settings: BaseModel = self
        assert key is not None, "it is a model that is trained"
        for name in key.split("."):
            fields = type(settings).model_fields
            settings = getattr(settings, next(field for field, info in fields.items() if (info.alias or field) == name))
        assert isinstance(settings, TrainSettings), "the table names training settings"
        return settings

    @property
    def members(self) -> list[str]:
        """The models whose mean is "ensemble"; none where there would be one alone."""
        named = self.evaluation.ensemble
        members = [name for name in self.models if MODELS[name].in_ensemble] if named is None else named
        return members if len(members) * len(self.all_seeds) > 1 else []

    @property
    def all_seeds(self) -> list[int]:
        """The seeds that the study is run with."""
        return self.seeds or [self.seed]

    @property
    def units(self) -> list[tuple[int, int | None]]:
        """Every (seed, fold) that is trained and tested; fold is None for one split."""
        folds: list[int | None] = [None] if self.folds is None else list(range(self.folds))
        return [(seed, fold) for seed in self.all_seeds for fold in folds]

    @property
    def leaves_folds_open(self) -> bool:
        """Whether the number of images decides if there are folds: nothing here asks for them or for one split."""
        names_shares = not self.splits.model_fields_set.isdisjoint(("train", "validation", "test"))
        return "folds" not in self.model_fields_set and not names_shares and self.captioner is None

    def dump(self) -> dict[str, Any]:
        """The resolved configuration as plain values, keys as in the YAML."""
        return self.model_dump(mode="json", by_alias=True)
