"""`results.json` as the report and `emocap compare` need it; impossible numbers are rejected when it is read."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field, model_validator

from emocap.evaluation.metrics import PRIMARY
from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.report.files.comparison import (
    MEAN_PEARSON_R,
    ROUNDING,
    Comparison,
    Count,
    Interval,
    MetricInfo,
    Number,
    Unit,
    error_in_scores,
    primary_of,
)
from emocap.report.files.ratings import RATING_INFOS, RatingResults
from emocap.report.files.studies import ModalityAblation, PseudoLabelStudy, TransferStudy
from emocap.study.models import MODELS


class Reliability(BaseModel):
    """Mean confidence, share of positives and number of cells by bin; null where a bin is empty."""

    confidence: list[Unit | None]
    frequency: list[Unit | None]
    count: list[Count]

    @model_validator(mode="after")
    def _one_length(self) -> "Reliability":
        if not len(self.confidence) == len(self.frequency) == len(self.count):
            raise ValueError("'confidence', 'frequency' and 'count' differ in length")
        return self

    def points(self) -> list[tuple[float, float, int]]:
        """Confidence, frequency and count of the bins that are not empty."""
        rows = zip(self.confidence, self.frequency, self.count, strict=True)
        return [(x, y, n) for x, y, n in rows if x is not None and y is not None and n]


class Gap(BaseModel):
    """Mean probability and share of positives of some cells; null where there are none.

    Attributes:
        interval: 95%, of the share less the mean probability; None where it is unknown.
    """

    predicted: Unit | None = None
    frequency: Unit | None = None
    interval: Interval | None = None

    @property
    def difference(self) -> float | None:
        """Share less mean probability."""
        return None if self.predicted is None or self.frequency is None else self.frequency - self.predicted


class RangeGap(Gap):
    """The cells whose probability is within a range."""

    low: Unit
    high: Unit
    n_cells: Count


class EmotionCalibration(Gap):
    """How well one emotion's probabilities are calibrated.

    Attributes:
        brier: mean squared error of the probabilities.
        brier_skill: 1 - brier / brier of the prior.
    """

    ece: Unit | None = None
    brier: Unit | None = None
    brier_skill: Number | None = None
    n_positives: Count | None = None


class Calibration(BaseModel):
    """How one model's logits were scaled, and its calibration before and after.

    Attributes:
        methods: by unit, of `emocap.evaluation.calibration`; runs of earlier versions recorded temperatures instead.
        ranges_before, ranges: of the probabilities before and after scaling; empty where a run did not record them.
        top_ece: expected calibration error of the likeliest emotion of each pair.
        adaptive_ece: that of all cells, in bins of equal count.
    """

    methods: list[Literal["none", "temperature", "platt", "platt_per_emotion"]] = Field(default_factory=list)
    ranges_before: list[RangeGap] = Field(default_factory=list)
    ranges: list[RangeGap] = Field(default_factory=list)
    ece_before: Unit | None
    ece_after: Unit | None
    before: Reliability
    after: Reliability
    top_ece: Unit | None = None
    adaptive_ece: Unit | None = None
    brier: Unit | None = None
    brier_skill: Number | None = None
    per_emotion: dict[str, EmotionCalibration] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _of_temperatures(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "methods" in values or not isinstance(values.get("temperature"), list):
            return values
        return values | {"methods": ["none" if value == 1 else "temperature" for value in values["temperature"]]}

    @property
    def is_scaled(self) -> bool:
        """Whether its logits were scaled in any unit."""
        return any(method != "none" for method in self.methods)


class Emotions(BaseModel):
    """How often each emotion occurs in the test pairs, and notes on those that are too rare."""

    positives: dict[str, Count] = {}
    notes: list[str] = []


class SplitHalf(BaseModel):
    """How far random halves of a pair's annotators agree."""

    correlation: Annotated[Number, Field(ge=-1 - ROUNDING, le=1 + ROUNDING)] | None
    spearman_brown: Number | None
    n_splits: Count
    metrics: dict[str, Number | None] = {}


class Human(BaseModel):
    """One annotator against the others, and the models on the same targets.

    Attributes:
        share_intervals: 95%, over images; empty where a run did not record them.
    """

    n_pairs: Count
    left_out: dict[str, Count] = {}
    annotators: dict[str, Annotated[Number, Field(ge=0)]] = {}
    one_against_others: dict[str, Number | None]
    models: dict[str, dict[str, Number | None]]
    shares: dict[str, dict[str, Annotated[Number, Field(ge=0)] | None]]
    share_intervals: dict[str, dict[str, Interval | None]] = Field(default_factory=dict)
    split_half: SplitHalf | None = None


class ComparisonBaseline(BaseModel):
    """The baseline of highest validation mean average precision in each unit.

    Attributes:
        model: its name, or that of a model that predicts in each unit as the baseline chosen there.
        chosen_in: number of units in which each baseline was chosen.
    """

    model: str
    chosen_in: dict[str, Count] = Field(default_factory=dict)


class Results(Comparison):
    """`results.json`: metrics on held-out images, with their uncertainty.

    Attributes:
        chosen: the model that represents the study, chosen without test pairs; None where a study did not record it.
        recommended: the model for use, of highest validation mean average precision among all that were saved.
        uses_images: whether each model reads region features; empty where a run did not record it.
        has_captions: whether a pair of the target has a caption; True where a run did not record it.
        comparison_baseline: None where a run chose its best baseline on the test pairs.
        ceiling: scores of the oracle, None where the corpus does not know the true probabilities.
        labels: the emotions; empty for a study of ratings alone, which then has no metrics of emotions either.
        ratings: scores of numeric ratings, None where the study has none.
    """

    labels: list[str]
    vocabulary: str
    n_test_pairs: Annotated[Count, Field(ge=1)]
    n_test_images: Annotated[Count, Field(ge=1)]
    folds: Annotated[int, Field(strict=True, ge=2)] | None = None
    seeds: list[int] = Field(min_length=1)
    n_bootstrap: Annotated[Count, Field(ge=1)]
    reference: str
    chosen: str | None = None
    recommended: str | None = None
    uses_images: dict[str, bool] = Field(default_factory=dict)
    has_captions: bool = True
    comparison_baseline: ComparisonBaseline | None = None
    validation: dict[str, dict[str, Any]] = Field(default_factory=dict)
    metrics: dict[str, MetricInfo]
    kinds: dict[str, Literal["baseline", "selection", "study", "control", "ensemble"]]
    calibration: dict[str, Calibration] = Field(default_factory=dict)
    emotions: Emotions = Emotions()
    human: Human | None = None
    modality_ablation: ModalityAblation | None = Field(
        default=None, validation_alias=AliasChoices("modality_ablation", "signal")
    )
    transfer_study: TransferStudy | None = None
    pseudo_label_study: PseudoLabelStudy | None = None
    ceiling: dict[str, Any] | None = None
    ratings: RatingResults | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Results":
        if not self.labels:
            self._without_emotions()
        if self.labels and PRIMARY not in self.metrics:
            raise ValueError(f"'metrics' lacks {PRIMARY!r}")
        baseline = None if self.comparison_baseline is None else self.comparison_baseline.model
        for name in ("prior", self.reference, self.chosen, self.recommended, baseline):
            if name is not None and name not in self.models:
                raise ValueError(f"'models' lacks {name!r}")
        for name in self.models:
            if name not in self.kinds:
                raise ValueError(f"'kinds' lacks {name!r}")
        if self.kinds["prior"] != "baseline":
            raise ValueError("'kinds' must have the prior as a baseline")
        unknown = [name for name in self.calibration if name not in self.models]
        if unknown:
            raise ValueError(f"'calibration' has {unknown[0]!r}, which 'models' lacks")
        return self

    def _without_emotions(self) -> None:
        """Let every comparison of a study of ratings alone be by their mean Pearson's r."""
        if self.ratings is None:
            raise ValueError("'labels' is empty, and there are no 'ratings'")
        self.metrics = {MEAN_PEARSON_R: RATING_INFOS[RATING_PRIMARY]}
        self.ratings.in_place_of_emotions(self)
        self.validation = {
            name: {MEAN_PEARSON_R: scores.get(RATING_PRIMARY)} for name, scores in self.validation.items()
        }
        for study in (self.modality_ablation, self.transfer_study):
            if study is not None and study.ratings is not None:
                study.ratings.in_place_of_emotions(study)

    @property
    def primary(self) -> str:
        """The metric that every verdict is about."""
        return primary_of(self.metrics)

    def rating(self, name: str) -> Comparison:
        """All models on one rating."""
        assert self.ratings is not None, "only a study of ratings is asked for one"
        n_images = self.n_test_images if self.sample is None else self.sample.n_images
        found = self.ratings.comparison(name, n_images)
        return found.model_copy(update={"intervals_over": self.intervals_over, "drawn": self.drawn})

    @model_validator(mode="after")
    def _scores_are_valid(self) -> "Results":
        if message := self.error(self.metrics):
            raise ValueError(message)
        for part in ("modality_ablation", "transfer_study", "pseudo_label_study"):
            comparison: Comparison | None = getattr(self, part)
            if comparison is not None and (message := comparison.error(self.metrics)):
                raise ValueError(f"{part}: {message}")
        if self.modality_ablation is not None and "both" not in self.modality_ablation.models:
            raise ValueError("modality_ablation: 'models' lacks 'both'")
        unknown = [] if self.ratings is None else [name for name in self.ratings.models if name not in self.models]
        if unknown:
            raise ValueError(f"'ratings' has {unknown[0]!r}, which 'models' lacks")
        if self.ceiling is not None and (message := error_in_scores(self.ceiling, self.metrics)):
            raise ValueError(f"ceiling: {message}")
        return self

    def ordered_models(self, *kinds: str) -> list[str]:
        """Models of the given kinds, all where none is given, in the order of the table of models."""
        order = [name for name in MODELS if name in self.models] + [n for n in self.models if n not in MODELS]
        return [name for name in order if not kinds or self.kinds[name] in kinds]
