"""`results.json` as the report and `emocap compare` need it, absurd numbers refused on the way in."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

PER_EMOTION = "per_emotion_average_precision"
PRIMARY = "mean_average_precision"
MODELS = ("prior", "tfidf", "vectors", "neighbours", "teacher", "student", "AnB", "AnB+", "labelled", "labelled_AnB",
          "labelled_AnB+", "ensemble")  # fmt: skip
UNBOUNDED = ("bce", "coverage_error")
VIEWS = ("both", "caption_only", "image_only", "other_image", "other_caption")
LARGEST = 1e9
ROUNDING = 1e-6

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Unit = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-ROUNDING, le=1 + ROUNDING)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Interval = tuple[Number, Number]


class Metric(BaseModel):
    """What one column of the table means."""

    higher_is_better: bool


class Difference(BaseModel):
    """A model's score minus its reference's, in the metric's own units, with its 95% interval.

    Attributes:
        deciding_images: on how many images the two differ; None where the metric is not a mean over pairs.
    """

    difference: Number
    low: Number
    high: Number
    deciding_images: Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Difference":
        if self.low > self.high:
            raise ValueError(f"'low' is {self.low}, above 'high', {self.high}")
        return self


class Comparison(BaseModel):
    """Scores of several models with intervals, spreads over repeats and paired differences."""

    models: dict[str, dict[str, Any]]
    intervals: dict[str, dict[str, Interval | None]]
    spread: dict[str, dict[str, Number | None] | None] | None = None
    differences: dict[str, dict[str, dict[str, Difference | None]]] = {}

    def interval(self, model: str, metric: str) -> Interval | None:
        """The 95% interval of a score, None where it is undefined or the model has none."""
        return self.intervals.get(model, {}).get(metric)

    def difference(self, model: str, reference: str, metric: str) -> Difference | None:
        """`model` minus `reference`, None where it was not compared."""
        return self.differences.get(reference, {}).get(model, {}).get(metric)

    def fault(self, metrics: dict[str, Metric]) -> str | None:
        """What is wrong with the scores, None where nothing is."""
        for model, scores in self.models.items():
            found = fault_of_scores(scores, metrics) or self._fault_of_intervals(model, metrics)
            if found:
                return f"{model}: {found}"
        named = [*self.intervals, *(self.spread or {}), *self.differences]
        named += [name for compared in self.differences.values() for name in compared]
        unknown = [name for name in named if name not in self.models]
        if unknown:
            return f"'models' lacks {unknown[0]!r}, which has an interval, spread or difference"
        for name, spreads in (self.spread or {}).items():
            for metric, value in (spreads or {}).items():
                if value is not None and value < 0:
                    return f"{name}: the spread of {metric!r} is {value}, below 0"
        return None

    def _fault_of_intervals(self, model: str, metrics: dict[str, Metric]) -> str | None:
        intervals = self.intervals.get(model, {})
        for metric in metrics:
            if metric not in intervals:
                return f"no interval of {metric!r}"
            interval = intervals[metric]
            if interval is not None and interval[0] > interval[1]:
                return f"the interval of {metric!r} ends before it begins, {list(interval)}"
        return None


def fault_of_scores(scores: dict[str, Any], metrics: dict[str, Metric]) -> str | None:
    """What is wrong with one model's scores: a metric that is absent, no number, or outside its bounds.

    >>> fault_of_scores({"micro_f1": 1.2}, {"micro_f1": Metric(higher_is_better=True)})
    "'micro_f1' is 1.2, outside 0 to 1"
    """
    for metric in metrics:
        value = scores.get(metric, "missing")
        if value is None:
            continue
        if not _finite(value):
            return f"{metric!r} must be a number or null"
        if not -ROUNDING <= value <= (LARGEST if metric in UNBOUNDED else 1 + ROUNDING):
            return f"{metric!r} is {value:g}, outside 0 to {LARGEST if metric in UNBOUNDED else 1:g}"
    emotions = scores.get(PER_EMOTION, {})
    if not isinstance(emotions, dict):
        return f"{PER_EMOTION!r} must map emotions to numbers or null"
    for value in emotions.values():
        if value is not None and not (_finite(value) and -ROUNDING <= value <= 1 + ROUNDING):
            return f"{PER_EMOTION!r} must map emotions to numbers from 0 to 1, or null"
    return None


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 10**300 and math.isfinite(value)


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


class Calibration(BaseModel):
    """One model's temperatures, one per unit, and its calibration before and after scaling by them."""

    temperature: list[Annotated[float, Field(strict=True, gt=0, le=LARGEST, allow_inf_nan=False)]] = []
    ece_before: Unit | None
    ece_after: Unit | None
    before: Reliability
    after: Reliability


class Emotions(BaseModel):
    """How often each emotion is named on the test pairs, and where that is too seldom."""

    positives: dict[str, Count] = {}
    notes: list[str] = []


class SplitHalf(BaseModel):
    """How far random halves of a pair's annotators agree."""

    correlation: Annotated[Number, Field(ge=-1 - ROUNDING, le=1 + ROUNDING)] | None
    spearman_brown: Number | None
    n_splits: Count
    metrics: dict[str, Number | None] = {}


class Human(BaseModel):
    """One annotator against the others, and the models on the same targets."""

    n_pairs: Count
    left_out: dict[str, Count] = {}
    annotators: dict[str, Annotated[Number, Field(ge=0)]] = {}
    one_against_others: dict[str, Number | None]
    models: dict[str, dict[str, Number | None]]
    shares: dict[str, dict[str, Annotated[Number, Field(ge=0)] | None]]
    split_half: SplitHalf | None = None


class Signal(Comparison):
    """One model's scores with the picture or the caption taken away or exchanged."""

    model: str
    n_pairs: Count


class TransferPoint(BaseModel):
    """One run of the transfer study: n layers copied, None for the references."""

    model: str
    run: Literal["AnB", "AnB+", "BnB", "BnB+", "teacher", "probe_then_finetune"]
    n: Count | None = None


class TransferStudy(Comparison):
    """The transfer study in the manner of Yosinski et al. 2014."""

    points: list[TransferPoint]
    n_layers: Annotated[int, Field(strict=True, ge=0, le=1000)]
    seeds: list[int]

    @model_validator(mode="after")
    def _points_are_known(self) -> "TransferStudy":
        for point in self.points:
            if point.model not in self.models:
                raise ValueError(f"'models' lacks the point {point.model!r}")
            if (point.n is None) != (point.run in ("teacher", "probe_then_finetune")):
                raise ValueError(f"point {point.model!r}: 'n' is {point.n} for a {point.run}")
            if point.n is not None and point.n > self.n_layers:
                raise ValueError(f"point {point.model!r}: 'n' is {point.n} of {self.n_layers} layers")
        return self


class PseudoPoint(BaseModel):
    """One variation of the pseudo-labels."""

    model: str
    varied: Literal["base", "p", "k", "fraction", "targets", "min_agreement", "control"]
    value: int | Number | str | None = None
    n_selected: Count | None = None


class PseudoLabelStudy(Comparison):
    """The study of pseudo-labels, one setting varied at a time."""

    points: list[PseudoPoint]
    seeds: list[int] = []

    @model_validator(mode="after")
    def _points_are_known(self) -> "PseudoLabelStudy":
        for point in self.points:
            if point.model not in self.models:
                raise ValueError(f"'models' lacks the point {point.model!r}")
        if not any(point.varied == "base" for point in self.points):
            raise ValueError("'points' lacks the base")
        return self


class Results(Comparison):
    """`results.json`: metrics on held-out images with what makes them trustworthy.

    Attributes:
        chosen: the model that is best on the validation pairs; None where a study did not record it.
    """

    labels: list[str] = Field(min_length=1)
    vocabulary: str
    n_test_pairs: Annotated[Count, Field(ge=1)]
    n_test_images: Annotated[Count, Field(ge=1)]
    folds: Annotated[int, Field(strict=True, ge=2)] | None = None
    seeds: list[int] = Field(min_length=1)
    n_bootstrap: Annotated[Count, Field(ge=1)]
    reference: str
    chosen: str | None = None
    metrics: dict[str, Metric]
    kinds: dict[str, Literal["baseline", "study", "ensemble"]]
    calibration: dict[str, Calibration] = {}
    emotions: Emotions = Emotions()
    human: Human | None = None
    signal: Signal | None = None
    transfer_study: TransferStudy | None = None
    pseudo_label_study: PseudoLabelStudy | None = None
    ceiling: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Results":
        if PRIMARY not in self.metrics:
            raise ValueError(f"'metrics' lacks {PRIMARY!r}")
        for name in ("prior", self.reference, *([] if self.chosen is None else [self.chosen])):
            if name not in self.models:
                raise ValueError(f"'models' lacks {name!r}")
        for name in self.models:
            if name not in self.kinds:
                raise ValueError(f"'kinds' lacks {name!r}")
        if self.kinds["prior"] != "baseline":
            raise ValueError("'kinds' must have the prior as a baseline")
        unknown = [name for name in self.calibration if name not in self.models]
        if unknown:
            raise ValueError(f"'calibration' has {unknown[0]!r}, which 'models' lacks")
        if found := self.fault(self.metrics):
            raise ValueError(found)
        for part in ("signal", "transfer_study", "pseudo_label_study"):
            comparison: Comparison | None = getattr(self, part)
            if comparison is not None and (found := comparison.fault(self.metrics)):
                raise ValueError(f"{part}: {found}")
        if self.signal is not None and "both" not in self.signal.models:
            raise ValueError("signal: 'models' lacks 'both'")
        if self.ceiling is not None and (found := fault_of_scores(self.ceiling, self.metrics)):
            raise ValueError(f"ceiling: {found}")
        return self

    def ordered_models(self, *kinds: str) -> list[str]:
        """Models of the given kinds, all where none is given, in the study's order, others behind in their own."""
        order = [name for name in MODELS if name in self.models] + [n for n in self.models if n not in MODELS]
        return [name for name in order if not kinds or self.kinds[name] in kinds]
