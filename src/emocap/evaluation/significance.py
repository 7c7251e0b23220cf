"""Comparison of models: each metric with its interval, and the differences to reference models.

Repeats are averaged within each bootstrap draw: an interval describes the variation over images, the spread that over
seeds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.bootstrap import Repeat, biased_metrics, interval, replicates
from emocap.evaluation.calibration import reliability_curve
from emocap.evaluation.metrics import METRICS
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import expected_calibration_error
from emocap.evaluation.ranking_metrics import average_precisions

SAME = 1e-9
Comparison = dict[str, Any]
Scores = dict[str, dict[str, float]]
Replicates = dict[str, dict[str, np.ndarray]]


def compare_models(
    predictions: Mapping[str, Sequence[ModelPredictions]],
    targets: np.ndarray,
    images: Sequence[str],
    labels: Sequence[str],
    *,
    references: Sequence[str],
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Every metric of every model with its interval, its spread over repeats, and its differences to the references.

    Args:
        predictions: by model, one entry per repeat.
        targets: (M, E) of 0 and 1, of the table that the predictions' rows refer to.
        images: (M,) keys of the units that are drawn, such as the image of a pair.
        labels: E emotions.
        references: models to which every other is compared.
        n_bootstrap: number of draws.
        seed: of the draws.

    Returns:
        `models`: name -> metric -> mean over repeats, and `per_emotion_average_precision`. `intervals`: name ->
        metric -> [low, high] at 95%. `spread`: name -> metric -> standard deviation over repeats (n - 1), null for a
        model with one repeat, and null itself if all have one. `differences`: as `_differences`. Undefined values are
        null.

    Raises:
        EmocapError: sizes do not match, there is nothing to measure, or a model and a reference predict other pairs.
    """
    targets = np.asarray(targets)
    _check(predictions, targets, images, labels, references, n_bootstrap)
    repeats = {name: [Repeat(each, targets) for each in model] for name, model in predictions.items()}
    for reference in references:
        for name in repeats:
            _require_same_rows(name, repeats[name], reference, repeats[reference])
    values = {
        name: [repeat.values(np.ones((1, len(repeat.rows)))) for repeat in model] for name, model in repeats.items()
    }
    means: Scores = {
        name: {metric: float(np.mean([each[metric][0] for each in model])) for metric in METRICS}
        for name, model in values.items()
    }
    drawn = replicates(repeats, images, n_bootstrap, seed)
    several = any(len(model) > 1 for model in repeats.values())
    return {
        "models": {
            name: {metric: _or_null(value) for metric, value in scores.items()}
            | {"per_emotion_average_precision": _per_emotion(repeats[name], labels)}
            for name, scores in means.items()
        },
        "intervals": _intervals(repeats, drawn, means),
        "spread": {name: _spread(model) for name, model in values.items()} if several else None,
        "differences": {reference: _differences(reference, repeats, drawn, means, images) for reference in references},
    }


def calibration_report(predictions: Sequence[ModelPredictions], targets: np.ndarray) -> dict[str, Any]:
    """How well a model's probabilities are calibrated before and after scaling.

    Args:
        predictions: the model's repeats.
        targets: (M, E) of 0 and 1.

    Returns:
        `ece_before` and `ece_after`, the mean over repeats of `expected_calibration_error`; `before` and `after`, the
        `reliability_curve` of all repeats' cells together.
    """
    targets = np.asarray(targets)
    truth = np.concatenate([targets[repeat.rows] for repeat in predictions])
    report: dict[str, Any] = {}
    for when, name in (("before", "raw"), ("after", "probabilities")):
        probabilities = [getattr(repeat, name) for repeat in predictions]
        errors = [
            expected_calibration_error(p, targets[repeat.rows])
            for p, repeat in zip(probabilities, predictions, strict=True)
        ]
        report[f"ece_{when}"] = _or_null(float(np.mean(errors)))
        report[when] = reliability_curve(np.concatenate(probabilities), truth)
    return report


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


def _intervals(
    repeats: Mapping[str, list[Repeat]], drawn: Replicates, means: Scores
) -> dict[str, dict[str, list[float] | None]]:
    biased = biased_metrics(next(iter(repeats.values()))[0].statistics)
    return {
        name: {
            metric: interval(values, means[name][metric], biased=metric in biased, bounded=METRICS[metric].bounded)
            for metric, values in model.items()
        }
        for name, model in drawn.items()
    }


def _differences(
    reference: str, repeats: Mapping[str, list[Repeat]], drawn: Replicates, means: Scores, images: Sequence[str]
) -> dict[str, dict[str, dict[str, Any] | None]]:
    """Each other model minus the reference.

    Returns:
        name -> metric -> `difference`, `low`, `high` and `deciding_images`, the number of images with a pair whose
        value differs in any repeat (in the mean over repeats if the models have different numbers of them), null for
        metrics that are not means over pairs.
    """
    biased = biased_metrics(repeats[reference][0].statistics)
    differences: dict[str, dict[str, dict[str, Any] | None]] = {}
    for name in repeats:
        if name == reference:
            continue
        differences[name] = {}
        for metric in METRICS:
            value = means[name][metric] - means[reference][metric]
            ends = interval(
                drawn[name][metric] - drawn[reference][metric], value, biased=metric in biased, bounded=False
            )
            if ends is None:
                differences[name][metric] = None
                continue
            deciding = _deciding_images(repeats[name], repeats[reference], metric, images)
            differences[name][metric] = {
                "difference": value, "low": ends[0], "high": ends[1], "deciding_images": deciding,
            }  # fmt: skip
    return differences


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


def _spread(values: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float | None] | None:
    if len(values) == 1:
        return None
    return {metric: _or_null(float(np.std([each[metric][0] for each in values], ddof=1))) for metric in METRICS}


def _per_emotion(repeats: Sequence[Repeat], labels: Sequence[str]) -> dict[str, float | None]:
    """Each emotion's average precision, the mean over the repeats in which it occurs."""
    precisions = [average_precisions(repeat.predictions.probabilities, repeat.targets) for repeat in repeats]
    defined = {label: [v for row in precisions if (v := row[i]) is not None] for i, label in enumerate(labels)}
    return {label: float(np.mean(values)) if values else None for label, values in defined.items()}


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
