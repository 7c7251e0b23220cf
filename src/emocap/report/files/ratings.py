"""The ratings in `results.json`, such as valence and arousal: scores, intervals, differences and the human ceiling."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from emocap.evaluation.verdicts import LEAST_IMAGES
from emocap.report.files.comparison import (
    LARGEST,
    ROUNDING,
    Comparison,
    Count,
    Difference,
    Interval,
    MetricInfo,
    Number,
    Sample,
)

RATING_METRICS = {
    "pearson_r": MetricInfo(higher_is_better=True),
    "ccc": MetricInfo(higher_is_better=True),
    "rmse": MetricInfo(higher_is_better=False),
}
RATING_PRIMARY = "pearson_r"
Scores = dict[str, Number | None]


class RatingResults(BaseModel):
    """`ratings` of `results.json`: what models reach on each rating of the test pairs.

    Attributes:
        names: of the ratings, in order.
        range: lowest and highest value of each.
        n_pairs: number of test pairs with each rating.
        models, intervals: model, rating, metric to value and to its 95% interval; "rmse" in the rating's own units.
        differences: reference, model, rating, metric to the model minus the reference.
        ceiling: what the true means would reach against the means of as many raters; None where it is unknown.
    """

    names: Annotated[list[str], Field(min_length=1)]
    range: dict[str, tuple[Number, Number]]
    n_pairs: dict[str, Count]
    models: dict[str, dict[str, Scores]]
    intervals: dict[str, dict[str, dict[str, Interval | None]]] = Field(default_factory=dict)
    differences: dict[str, dict[str, dict[str, dict[str, Difference | None]]]] = Field(default_factory=dict)
    ceiling: dict[str, Scores | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "RatingResults":
        for name in self.names:
            if name not in self.range or name not in self.n_pairs:
                raise ValueError(f"'range' or 'n_pairs' lacks {name!r}")
            low, high = self.range[name]
            if not low < high:
                raise ValueError(f"the range of {name!r} is {[low, high]}, which does not rise")
            for model, ratings in self.models.items():
                if message := _error_in_scores(ratings.get(name)):
                    raise ValueError(f"{model}: {name}: {message}")
        return self

    def comparison(self, name: str) -> Comparison:
        """All models on one rating, with the metrics of `RATING_METRICS`; a verdict needs enough pairs alone."""
        n_pairs = self.n_pairs[name]
        return Comparison(
            models={model: {metric: ratings[name].get(metric) for metric in RATING_METRICS}
                    for model, ratings in self.models.items()},
            intervals={model: dict(ratings.get(name, {})) for model, ratings in self.intervals.items()},
            differences={
                reference: {model: dict(ratings.get(name, {})) for model, ratings in compared.items()}
                for reference, compared in self.differences.items()
            },
            sample=Sample(
                n_images=n_pairs,
                n_positives=0,
                least_images=LEAST_IMAGES,
                least_positives=0,
                is_enough=n_pairs >= LEAST_IMAGES,
            ),
        )  # fmt: skip

    def mean(self, model: str) -> float | None:
        """A model's mean Pearson r over the ratings; None where one is undefined."""
        values = [self.models[model][name].get(RATING_PRIMARY) for name in self.names]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None


def _error_in_scores(scores: Scores | None) -> str | None:
    if scores is None:
        return "no scores"
    for metric in RATING_METRICS:
        if metric not in scores:
            return f"no {metric!r}"
        value = scores[metric]
        lowest, highest = (0.0, LARGEST) if metric == "rmse" else (-1.0, 1.0)
        if value is not None and not lowest - ROUNDING <= value <= highest + ROUNDING:
            return f"{metric!r} is {value:g}, expected {lowest:g} to {highest:g}"
    return None
