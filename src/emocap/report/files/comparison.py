"""Scores of several models with intervals and differences, the form that every part of `results.json` shares."""

import math
from collections.abc import Container
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from emocap.evaluation.metrics import METRICS, PRIMARY

MEAN_PEARSON_R = "mean_pearson_r"  # over the ratings of a study that has no emotions
PER_EMOTION = "per_emotion_average_precision"
LARGEST = 1e9
ROUNDING = 1e-6

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Unit = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-ROUNDING, le=1 + ROUNDING)]
Count = Annotated[int, Field(strict=True, ge=0, le=10**12)]
Interval = tuple[Number, Number]


class MetricInfo(BaseModel):
    """What `results.json` says about one metric."""

    higher_is_better: bool


def primary_of(metrics: Container[str]) -> str:
    """The metric that every verdict is about; of a study of ratings alone the mean Pearson's r over them.

    >>> primary_of(["top1_accuracy", "mean_average_precision"]), primary_of(["mean_pearson_r"])
    ('mean_average_precision', 'mean_pearson_r')
    """
    return MEAN_PEARSON_R if MEAN_PEARSON_R in metrics and PRIMARY not in metrics else PRIMARY


class Difference(BaseModel):
    """A model's score minus its reference's, in the metric's own units, with its 95% interval.

    Attributes:
        deciding_images: number of images on which the two differ; None where the metric is not a mean over pairs.
        simultaneous: the interval that holds at 95% for all models compared with the reference together; None where a
            run did not record it.
        minimum_detectable: the smallest true difference that this test set would show with 80% power; of the primary
            metric alone.
        pairs_needed: number of test pairs that would show the observed difference with 80% power; None where it is 0.
    """

    difference: Number
    low: Number
    high: Number
    deciding_images: Count | None = None
    simultaneous: Interval | None = None
    minimum_detectable: Annotated[Number, Field(ge=0)] | None = None
    pairs_needed: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Difference":
        if self.low > self.high:
            raise ValueError(f"'low' is {self.low}, above 'high', {self.high}")
        if self.simultaneous is not None and self.simultaneous[0] > self.simultaneous[1]:
            raise ValueError(f"'simultaneous' ends before it begins, {list(self.simultaneous)}")
        return self

    def interval(self, *, several: bool) -> Interval:
        """The 95% interval: of this comparison alone, or of all comparisons with the reference where it is known."""
        return self.simultaneous if several and self.simultaneous is not None else (self.low, self.high)

    def reversed(self) -> "Difference":
        """The reference minus the model."""
        simultaneous = None if self.simultaneous is None else (-self.simultaneous[1], -self.simultaneous[0])
        return self.model_copy(
            update={
                "difference": -self.difference,
                "low": -self.high,
                "high": -self.low,
                "simultaneous": simultaneous,
            }
        )


class Sample(BaseModel):
    """The size of the test set, and the least that a verdict needs.

    Attributes:
        n_positives: cells of the test pairs that have the emotion.
    """

    n_images: Count
    n_positives: Count
    least_images: Count
    least_positives: Count
    is_enough: bool


class Comparison(BaseModel):
    """Scores of several models with intervals, standard deviations over repeats and paired differences.

    Attributes:
        intervals_over: what the intervals draw with replacement.
        sample: None where a run did not record it.
        drawn: what is counted and drawn as an image; the captions where no pair has an image, which the reader of the
            run finds out from its manifest.
    """

    models: dict[str, dict[str, Any]]
    intervals: dict[str, dict[str, Interval | None]]
    spread: dict[str, dict[str, Number | None] | None] | None = None
    differences: dict[str, dict[str, dict[str, Difference | None]]] = {}
    intervals_over: Literal["images", "images and seeds"] = "images"
    sample: Sample | None = None
    drawn: Literal["image", "caption"] = "image"

    def interval(self, model: str, metric: str) -> Interval | None:
        """The 95% interval of a score, None where it is undefined or the model has none."""
        return self.intervals.get(model, {}).get(metric)

    def difference(self, model: str, reference: str, metric: str) -> Difference | None:
        """`model` minus `reference`, None where the two were not compared."""
        return self.differences.get(reference, {}).get(model, {}).get(metric)

    @property
    def is_enough(self) -> bool:
        """Whether the test set is large enough for a verdict, also where a run did not record its size."""
        return self.sample is None or self.sample.is_enough

    @property
    def is_simultaneous(self) -> bool:
        """Whether the differences have intervals that hold for several models together."""
        return any(
            difference is not None and difference.simultaneous is not None
            for compared in self.differences.values()
            for by_metric in compared.values()
            for difference in by_metric.values()
        )

    def error(self, metrics: dict[str, MetricInfo]) -> str | None:
        """What is wrong with the scores, None where they are valid."""
        for model, scores in self.models.items():
            message = error_in_scores(scores, metrics) or self._error_in_intervals(model, metrics)
            if message:
                return f"{model}: {message}"
        names = [*self.intervals, *(self.spread or {}), *self.differences]
        names += [name for compared in self.differences.values() for name in compared]
        unknown = [name for name in names if name not in self.models]
        if unknown:
            return f"'models' lacks {unknown[0]!r}, which has an interval, spread or difference"
        for name, spreads in (self.spread or {}).items():
            for metric, value in (spreads or {}).items():
                if value is not None and value < 0:
                    return f"{name}: the spread of {metric!r} is {value}, below 0"
        return None

    def _error_in_intervals(self, model: str, metrics: dict[str, MetricInfo]) -> str | None:
        intervals = self.intervals.get(model, {})
        for metric in metrics:
            if metric not in intervals:
                return f"no interval of {metric!r}"
            interval = intervals[metric]
            if interval is not None and interval[0] > interval[1]:
                return f"the interval of {metric!r} ends before it begins, {list(interval)}"
        return None


def error_in_scores(scores: dict[str, Any], metrics: dict[str, MetricInfo]) -> str | None:
    """What is wrong with one model's scores: a metric that is missing, not a number, or out of bounds.

    The bounds of a metric that this version does not know are unknown too.

    >>> error_in_scores({"micro_f1": 1.2}, {"micro_f1": MetricInfo(higher_is_better=True)})
    "'micro_f1' is 1.2, outside 0 to 1"
    """
    for metric in metrics:
        value = scores.get(metric, "missing")
        if value is None:
            continue
        if not _finite(value):
            return f"{metric!r} must be a number or null"
        lowest, highest = _bounds(metric)
        if not lowest - ROUNDING <= value <= highest + ROUNDING:
            return f"{metric!r} is {value:g}, outside {lowest:g} to {highest:g}"
    emotions = scores.get(PER_EMOTION, {})
    if not isinstance(emotions, dict):
        return f"{PER_EMOTION!r} must map emotions to numbers or null"
    for value in emotions.values():
        if value is not None and not (_finite(value) and -ROUNDING <= value <= 1 + ROUNDING):
            return f"{PER_EMOTION!r} must map emotions to numbers from 0 to 1, or null"
    return None


def _bounds(metric: str) -> tuple[float, float]:
    """The lowest and highest valid value of a metric: errors and losses are never negative."""
    if metric not in METRICS:
        return -LARGEST, LARGEST
    if METRICS[metric].bounded:
        return 0, 1
    return -LARGEST if METRICS[metric].higher_is_better else 0, LARGEST


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 10**300 and math.isfinite(value)
