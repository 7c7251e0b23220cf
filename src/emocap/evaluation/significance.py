"""Comparison of models: each metric with its interval, and the differences to reference models with what they can show.

A model's value is the mean over its repeats, one per seed. Intervals describe the variation over images, and over seeds
where a model has two repeats or more (see `bootstrap` and `intervals`); the spread is over repeats alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.bootstrap import Draws, Repeat, predicted_rows, replicates
from emocap.evaluation.intervals import (
    Estimate,
    covering,
    estimate,
    interval,
    minimum_detectable,
    pairs_needed,
    simultaneous_intervals,
)
from emocap.evaluation.metrics import METRICS, PRIMARY, varying_metrics
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.ranking_metrics import average_precisions
from emocap.evaluation.rare_emotions import rare_variance
from emocap.evaluation.verdicts import sample_size

SAME = 1e-9
Comparison = dict[str, Any]
Scores = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class DrawnImages:
    """The number of images that are drawn, and (E,) how many of them have a positive of each emotion."""

    n_images: int
    n_positives: np.ndarray

    @classmethod
    def of(cls, targets: np.ndarray, images: Sequence[str]) -> "DrawnImages":
        """Of the targets (N, E) of the tested pairs, and the images of these pairs."""
        _, number_of = np.unique(np.array(images, dtype=object), return_inverse=True)
        n_images = int(number_of.max()) + 1
        counts = [len(np.unique(number_of[targets[:, label] > 0])) for label in range(targets.shape[1])]
        return cls(n_images, np.array(counts))


def compare_models(
    predictions: Mapping[str, Sequence[ModelPredictions]],
    targets: np.ndarray,
    images: Sequence[str],
    labels: Sequence[str],
    *,
    references: Sequence[str],
    metrics: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Every model's metrics with their intervals and spread over repeats, and its differences to the references.

    Args:
        predictions: by model, one entry per repeat.
        targets: (M, E) of 0 and 1, of the table that the predictions' rows refer to.
        images: (M,) keys of the units that are drawn, such as the image of a pair.
        labels: E emotions.
        references: models to which every other is compared.
        metrics: names in `METRICS`; None means all that can vary.
        n_bootstrap: number of draws.
        seed: of the draws.

    Returns:
        `models`: name -> metric -> mean over repeats, and `per_emotion_average_precision`. `intervals`: name ->
        metric -> [low, high] at 95%. `intervals_over`: "images" or "images and seeds". `spread`: name -> metric ->
        standard deviation over repeats (n - 1), null for a model with one repeat, and null itself if all have one.
        `differences`: as `_differences`. `sample`: as `sample_size`. Undefined values are null.

    Raises:
        EmocapError: sizes do not match, there is nothing to measure, or a model and a reference predict other pairs.
    """
    targets = np.asarray(targets)
    _check(predictions, targets, images, labels, references, n_bootstrap)
    metrics = varying_metrics(len(labels)) if metrics is None else metrics
    repeats = {name: [Repeat(each, targets, metrics) for each in model] for name, model in predictions.items()}
    for reference in references:
        for name in repeats:
            _require_same_rows(name, repeats[name], reference, repeats[reference])
    values = {name: values_over_repeats(model) for name, model in repeats.items()}
    drawn = replicates(repeats, images, n_bootstrap, seed)
    rows = predicted_rows(repeats)
    several = any(len(model) > 1 for model in repeats.values())
    tested = [images[row] for row in rows]
    sample = DrawnImages.of(targets[rows], tested)
    return {
        "models": {
            name: {metric: _or_null(float(value.mean())) for metric, value in scores.items()}
            | {"per_emotion_average_precision": _per_emotion(repeats[name], labels)}
            for name, scores in values.items()
        },
        "intervals": score_intervals(values, drawn, sample),
        "intervals_over": "images and seeds" if several else "images",
        "spread": {name: _spread(scores) for name, scores in values.items()} if several else None,
        "differences": {
            reference: _differences(reference, repeats, values, drawn, images, sample) for reference in references
        },
        "sample": sample_size(targets[rows], tested),
    }


def without_emotions(
    predictions: Mapping[str, Sequence[ModelPredictions]], images: Sequence[str], references: Sequence[str]
) -> Comparison:
    """As `compare_models`, of models that predict no emotions, which have no metric of them."""
    rows = np.unique(np.concatenate([repeat.rows for model in predictions.values() for repeat in model]))
    size = sample_size(np.zeros((len(rows), 0)), [images[row] for row in rows])
    several = any(len(model) > 1 for model in predictions.values())
    return {
        "models": {name: {} for name in predictions},
        "intervals": {name: {} for name in predictions},
        "intervals_over": "images and seeds" if several else "images",
        "spread": None,
        "differences": {reference: {name: {} for name in predictions if name != reference} for reference in references},
        "sample": size | {"least_positives": 0, "is_enough": size["n_images"] >= size["least_images"]},
    }


def values_over_repeats(model: Sequence[Repeat]) -> dict[str, np.ndarray]:
    """(R,) values by metric, one per repeat."""
    each = [repeat.values(np.ones((1, len(repeat.rows)))) for repeat in model]
    return {metric: np.array([values[metric][0] for values in each]) for metric in each[0]}


def _check(
    predictions: Mapping[str, Sequence[ModelPredictions]],
    targets: np.ndarray,
    images: Sequence[str],
    labels: Sequence[str],
    references: Sequence[str],
    n_bootstrap: int,
) -> None:
    if targets.ndim != 2 or targets.shape != (len(images), len(labels)):
        raise EmocapError(
            f"comparison: targets are {targets.shape}, expected ({len(images)}, {len(labels)}) for images and labels"
        )
    if n_bootstrap < 1:
        raise EmocapError(f"comparison: n_bootstrap is {n_bootstrap}, expected 1 or more")
    if not predictions:
        raise EmocapError("comparison: there is no model")
    absent = [name for name in references if name not in predictions]
    if absent:
        raise EmocapError(f"comparison: the reference {absent[0]!r} is not among {', '.join(predictions)}")
    for name, repeats in predictions.items():
        if not repeats:
            raise EmocapError(f"comparison: {name} has no predictions")
        for repeat in repeats:
            n, n_labels = repeat.raw.shape
            if n_labels != len(labels):
                raise EmocapError(f"comparison: {name} predicts {n_labels} emotions, expected {len(labels)}")
            if n and repeat.rows.max() >= len(targets):
                raise EmocapError(f"comparison: {name} predicts pair {repeat.rows.max()} of {len(targets)}")
            if not (targets[repeat.rows] > 0).any():
                raise EmocapError(f"comparison: none of the {n} pairs that {name} predicts has an emotion")


def _require_same_rows(name: str, repeats: list[Repeat], reference: str, expected: list[Repeat]) -> None:
    """Equal numbers of repeats are compared one to one, otherwise every repeat of both must have the same pairs."""
    if len(repeats) == len(expected):
        compared = [(a.rows, b.rows) for a, b in zip(repeats, expected, strict=True)]
    else:
        compared = [(repeat.rows, expected[0].rows) for repeat in [*repeats, *expected]]
    for rows, expected_rows in compared:
        if not np.array_equal(rows, expected_rows):
            shared = len(np.intersect1d(rows, expected_rows))
            raise EmocapError(
                f"comparison: {name} predicts {len(rows)} pairs, {reference} {len(expected_rows)}, of which {shared} "
                "are shared; compare models that were tested on the same pairs"
            )


def score_intervals(
    values: Scores, drawn: Mapping[str, Draws], sample: DrawnImages
) -> dict[str, dict[str, list[float] | None]]:
    """Each model's 95% interval by metric, None where it is undefined.

    Args:
        values: by model, as `values_over_repeats`.
        drawn: by model, from the same repeats.
        sample: of the tested pairs.
    """
    intervals: dict[str, dict[str, list[float] | None]] = {}
    for name, scores in values.items():
        intervals[name] = {}
        for metric in scores:
            lowest, highest = METRICS[metric].bounds
            estimated = _estimate(metric, scores, drawn[name], sample)
            intervals[name][metric] = None if estimated is None else interval(estimated, lowest=lowest, highest=highest)
    return intervals


def _estimate(
    metric: str,
    values: Mapping[str, np.ndarray],
    drawn: Draws,
    sample: DrawnImages,
    other: tuple[Mapping[str, np.ndarray], Draws] | None = None,
) -> Estimate | None:
    """A model's mean over its repeats, or its difference to another model's.

    Repeats of equal number are paired, since they have the same seeds.
    """
    own, reference = values[metric], np.zeros(1) if other is None else other[0][metric]
    compared = [own - reference] if len(own) == len(reference) else [own, reference]
    several = [each for each in compared if len(each) > 1]
    seed_error = np.sqrt(sum(each.var(ddof=1) / len(each) for each in several))
    draws, per_emotion = drawn.values[metric], drawn.per_emotion if metric == PRIMARY else None
    if other is not None:
        draws = draws - other[1].values[metric]
        if per_emotion is not None and other[1].per_emotion is not None:
            per_emotion = per_emotion - other[1].per_emotion
    return estimate(
        float(own.mean() - reference.mean()),
        draws,
        sample.n_images,
        seed_error=float(seed_error),
        n_seeds=min((len(each) for each in several), default=1),
        rare=None if per_emotion is None else rare_variance(per_emotion, sample.n_positives),
    )


def _differences(
    reference: str,
    repeats: Mapping[str, list[Repeat]],
    values: Scores,
    drawn: Mapping[str, Draws],
    images: Sequence[str],
    sample: DrawnImages,
) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Each other model minus the reference.

    Returns:
        name -> metric -> `difference`, `low` and `high` (95%, this comparison alone), `simultaneous` ([low, high] at
        95% for all models here together) and `deciding_images`, the number of images with a pair whose value differs
        in any repeat (in the mean over repeats if the models have different numbers of them), null for metrics that
        are not means over pairs. For the primary metric also `minimum_detectable` and `pairs_needed`, and its intervals
        cover the difference with pairs of equal probability in random order too: against the prior, whose probabilities
        are all equal, noise would otherwise be better in a fifth of test sets. Null where the difference or its
        interval is undefined.
    """
    others = [name for name in repeats if name != reference]
    differences: dict[str, dict[str, dict[str, Any] | None]] = {name: {} for name in others}
    for metric in values[reference]:
        lowest, highest = (-1.0, 1.0) if METRICS[metric].bounded else (-np.inf, np.inf)
        estimates = [
            _estimate(metric, values[name], drawn[name], sample, (values[reference], drawn[reference]))
            for name in others
        ]
        together = simultaneous_intervals(estimates, lowest=lowest, highest=highest)
        for name, estimated, simultaneous in zip(others, estimates, together, strict=True):
            if estimated is None:
                differences[name][metric] = None
                continue
            shift = _tie_shift(repeats[name], repeats[reference]) if metric == PRIMARY else 0.0
            low, high = covering(interval(estimated, lowest=lowest, highest=highest), shift)
            found = {
                "difference": estimated.value,
                "low": low,
                "high": high,
                "simultaneous": None if simultaneous is None else covering(simultaneous, shift),
                "deciding_images": _deciding_images(repeats[name], repeats[reference], metric, images),
            }
            if metric == PRIMARY:
                found["minimum_detectable"] = minimum_detectable(estimated)
                found["pairs_needed"] = pairs_needed(estimated, len(predicted_rows({name: repeats[name]})))
            differences[name][metric] = found
    return differences


def _tie_shift(model: Sequence[Repeat], reference: Sequence[Repeat]) -> float:
    """What random orders of tied pairs add to the difference of mean average precision."""
    gains = [float(np.mean([repeat.gain_of_random_order for repeat in each])) for each in (model, reference)]
    return gains[0] - gains[1]


def _deciding_images(a: list[Repeat], b: list[Repeat], metric: str, images: Sequence[str]) -> int | None:
    values = [[repeat.statistics[metric].per_pair for repeat in repeats] for repeats in (a, b)]
    if values[0][0] is None:
        return None
    if len(a) != len(b):
        values = [[np.mean([v for v in model if v is not None], axis=0)] for model in values]
    deciding: set[str] = set()
    for repeat, own, other in zip(a, *values, strict=False):
        assert own is not None
        assert other is not None
        deciding.update(images[row] for row in repeat.rows[np.abs(np.nan_to_num(own - other)) > SAME])
    return len(deciding)


def _spread(values: Mapping[str, np.ndarray]) -> dict[str, float | None] | None:
    if any(len(each) == 1 for each in values.values()):
        return None
    return {metric: _or_null(float(np.std(each, ddof=1))) for metric, each in values.items()}


def _per_emotion(repeats: Sequence[Repeat], labels: Sequence[str]) -> dict[str, float | None]:
    """Each emotion's average precision, the mean over the repeats in which it occurs."""
    precisions = [average_precisions(repeat.predictions.probabilities, repeat.targets) for repeat in repeats]
    defined = {label: [v for row in precisions if (v := row[i]) is not None] for i, label in enumerate(labels)}
    return {label: float(np.mean(values)) if values else None for label, values in defined.items()}


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
