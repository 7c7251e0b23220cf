"""The ratings in `results.json`, such as valence and arousal: scores, intervals, differences and the human ceiling."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from emocap.evaluation.rating_metrics import RATING_METRICS, RATING_PRIMARY
from emocap.evaluation.verdicts import LEAST_IMAGES
from emocap.report.files.comparison import (
    MEAN_PEARSON_R,
    ROUNDING,
    Comparison,
    Count,
    Difference,
    Interval,
    MetricInfo,
    Number,
    Sample,
)

RATING_INFOS = {name: MetricInfo(higher_is_better=metric.higher_is_better) for name, metric in RATING_METRICS.items()}
Scores = dict[str, Number | None]


class MeanRating(BaseModel):
    """Pearson's r as the mean over all ratings, by which a study of ratings alone chooses its models."""

    models: dict[str, Scores]
    intervals: dict[str, dict[str, Interval | None]]
    differences: dict[str, dict[str, dict[str, Difference | None]]]


class RatingResults(BaseModel):
    """`ratings` of `results.json`: what models reach on each rating of the test pairs.

    Attributes:
        names: of the ratings, in order.
        range: lowest and highest value of each.
        n_pairs: number of test pairs with each rating.
        models, intervals: model, rating, metric to value and to its 95% interval; "rmse" in the rating's own units.
        differences: reference, model, rating, metric to the model minus the reference.
        mean: of all ratings, by Pearson's r alone.
        ceiling: what the true means would reach against the means of as many raters; None where it is unknown.
    """

    names: Annotated[list[str], Field(min_length=1)]
    range: dict[str, tuple[Number, Number]]
    n_pairs: dict[str, Count]
    models: dict[str, dict[str, Scores]]
    intervals: dict[str, dict[str, dict[str, Interval | None]]] = Field(default_factory=dict)
    differences: dict[str, dict[str, dict[str, dict[str, Difference | None]]]] = Field(default_factory=dict)
    ceiling: dict[str, Scores | None] = Field(default_factory=dict)
    mean: MeanRating

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

    def comparison(self, name: str, n_images: int) -> Comparison:
        """All models on one rating, with its three metrics.

        Args:
            n_images: of the test set; a verdict needs enough of them, and of pairs with the rating.
        """
        n_images = min(self.n_pairs[name], n_images)
        return Comparison(
            models={model: {metric: ratings[name].get(metric) for metric in RATING_METRICS}
                    for model, ratings in self.models.items()},
            intervals={model: dict(ratings.get(name, {})) for model, ratings in self.intervals.items()},
            differences={
                reference: {model: dict(ratings.get(name, {})) for model, ratings in compared.items()}
                for reference, compared in self.differences.items()
            },
            sample=Sample(
                n_images=n_images,
                n_positives=0,
                least_images=LEAST_IMAGES,
                least_positives=0,
                is_enough=n_images >= LEAST_IMAGES,
            ),
        )  # fmt: skip

    def add_to(self, comparison: Comparison) -> dict[str, MetricInfo]:
        """Add every rating's metrics to a comparison of the same models, as `RATING:METRIC`, and the mean Pearson's r.

        Returns:
            What is known of each metric that was added.
        """
        of_all = Comparison(models={}, intervals={})
        self.in_place_of_emotions(of_all)
        added = {MEAN_PEARSON_R: (of_all, MEAN_PEARSON_R, RATING_INFOS[RATING_PRIMARY])}
        for name in self.names:
            for metric, info in RATING_INFOS.items():
                added[f"{name}:{metric}"] = (self.comparison(name, self.n_pairs[name]), metric, info)
        for key, (found, metric, _) in added.items():
            for model in comparison.models:
                comparison.models[model][key] = found.models[model][metric]
                comparison.intervals[model][key] = found.interval(model, metric)
            for reference, compared in comparison.differences.items():
                for model in compared:
                    compared[model][key] = found.difference(model, reference, metric)
        return {key: info for key, (_, _, info) in added.items()}

    def in_place_of_emotions(self, comparison: Comparison) -> None:
        """Give a comparison of models without emotions the mean Pearson's r as its only metric."""
        comparison.models = {
            name: {MEAN_PEARSON_R: scores.get(RATING_PRIMARY)} for name, scores in self.mean.models.items()
        }
        comparison.intervals = {
            name: {MEAN_PEARSON_R: intervals.get(RATING_PRIMARY)} for name, intervals in self.mean.intervals.items()
        }
        comparison.differences = {
            reference: {name: {MEAN_PEARSON_R: found.get(RATING_PRIMARY)} for name, found in compared.items()}
            for reference, compared in self.mean.differences.items()
        }


def _error_in_scores(scores: Scores | None) -> str | None:
    if scores is None:
        return "no scores"
    for metric in RATING_METRICS:
        if metric not in scores:
            return f"no {metric!r}"
        value = scores[metric]
        lowest, highest = RATING_METRICS[metric].bounds
        if value is not None and not lowest - ROUNDING <= value <= highest + ROUNDING:
            return f"{metric!r} is {value:g}, expected {lowest:g} to {highest:g}"
    return None
