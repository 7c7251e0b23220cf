"""Which differences between models are more than chance: a paired bootstrap over images.

Whole images are drawn with replacement, since pairs of one image are not independent. Every model and repeat is weighed
by the same draws, so that a difference is taken within each (Efron and Tibshirani, "An Introduction to the Bootstrap",
1993). An interval runs from the 2.5th to the 97.5th percentile of the replicates. For metrics that are no means over
pairs it is moved by the replicates' bias (chapter 10 there): average precision of a rare emotion grows where its few
positives are drawn twice, so that bare percentiles lie too high; in a simulation of 29 emotions they held what another
sample of as many images scores in 80% of cases, and once moved in 97%. `scipy.stats.bootstrap` is not used because it
draws anew for every statistic and would sort again for every draw. Repeats are averaged within a draw: the interval
tells what other images would do, the spread what other seeds do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.calibration import reliability_curve
from emocap.evaluation.metrics import METRICS
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.probability_metrics import expected_calibration_error
from emocap.evaluation.ranking_metrics import average_precisions
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import Statistic

PERCENTILES = (2.5, 97.5)
CELLS_AT_ONCE = 2_000_000
SAME = 1e-9
Comparison = dict[str, Any]


class _Repeat:
    """One repeat's answers, rows ascending, and each metric as a function of weights over them."""

    def __init__(self, answers: ModelPredictions, targets: np.ndarray) -> None:
        self.answers = answers.ordered()
        self.rows = self.answers.rows
        self.targets = targets[self.rows]
        found = self.answers
        judged = ScoredPredictions(found.probabilities, self.targets, found.threshold, found.thresholds)
        self.statistics: dict[str, Statistic] = {name: metric.statistic(judged) for name, metric in METRICS.items()}

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """(B,) by metric for weights (B, N)."""
        return {name: statistic(weights) for name, statistic in self.statistics.items()}


def compare_models(
    answers: Mapping[str, Sequence[ModelPredictions]],
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
        answers: by model, one entry a repeat.
        targets: (M, E) of 0 and 1, of the table that the answers' rows number.
        images: (M,) keys of what may not be divided, such as the image of a pair.
        labels: E emotions.
        references: models that every other is held against.
        n_bootstrap: draws of images.
        seed: of the draws.

    Returns:
        `models`: name -> metric -> mean over repeats, and `per_emotion_average_precision`. `intervals`: name ->
        metric -> [low, high] at 95%. `spread`: name -> metric -> standard deviation over repeats (n - 1), null where a
        model has one, and null itself where all have. `differences`: reference -> name -> metric -> `difference` (name
        minus reference), `low`, `high` and `deciding_images`, the number of images with a pair whose value differs in
        any repeat (in the mean over repeats where the two have unlike numbers of them); null for metrics that are no
        means over pairs. What is undefined is null.

    Raises:
        EmocapError: sizes do not fit, there is nothing to measure, or a model and a reference answered other pairs.
    """
    targets = np.asarray(targets)
    _check(answers, targets, images, labels, references, n_bootstrap)
    repeats = {name: [_Repeat(found, targets) for found in given] for name, given in answers.items()}
    for reference in references:
        for name in repeats:
            _require_same_rows(name, repeats[name], reference, repeats[reference])
    plain = {
        name: [repeat.values(np.ones((1, len(repeat.rows)))) for repeat in given] for name, given in repeats.items()
    }
    means = {
        name: {metric: float(np.mean([found[metric][0] for found in given])) for metric in METRICS}
        for name, given in plain.items()
    }
    replicates = _replicates(repeats, images, n_bootstrap, seed)
    biased = biased_metrics(next(iter(repeats.values()))[0].statistics)
    several = any(len(given) > 1 for given in repeats.values())
    return {
        "models": {
            name: {metric: _number(value) for metric, value in scores.items()}
            | {"per_emotion_average_precision": _per_emotion(repeats[name], labels)}
            for name, scores in means.items()
        },
        "intervals": {
            name: {
                metric: _interval(values, means[name][metric], biased=metric in biased, bounded=METRICS[metric].bounded)
                for metric, values in found.items()
            }
            for name, found in replicates.items()
        },
        "spread": {name: _spread(given) for name, given in plain.items()} if several else None,
        "differences": {
            reference: {
                name: {
                    metric: _difference(
                        replicates[name][metric] - replicates[reference][metric],
                        means[name][metric] - means[reference][metric],
                        metric in biased,
                        _deciding_images(repeats[name], repeats[reference], metric, images),
                    )
                    for metric in METRICS
                }
                for name in repeats
                if name != reference
            }
            for reference in references
        },
    }


def calibration_of(answers: Sequence[ModelPredictions], targets: np.ndarray) -> dict[str, Any]:
    """How well a model's probabilities are calibrated before and after scaling.

    Args:
        answers: the model's repeats.
        targets: (M, E) of 0 and 1.

    Returns:
        `ece_before` and `ece_after`, the mean over repeats of `expected_calibration_error`; `before` and `after`, the
        `reliability_curve` of all repeats' cells together.
    """
    targets = np.asarray(targets)
    truth = np.concatenate([targets[found.rows] for found in answers])
    calibration: dict[str, Any] = {}
    for when, name in (("before", "raw"), ("after", "probabilities")):
        given = [getattr(found, name) for found in answers]
        errors = [expected_calibration_error(p, targets[f.rows]) for p, f in zip(given, answers, strict=True)]
        calibration[f"ece_{when}"] = _number(float(np.mean(errors)))
        calibration[when] = reliability_curve(np.concatenate(given), truth)
    return calibration


def _check(
    answers: Mapping[str, Sequence[ModelPredictions]],
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
    if not answers:
        raise EmocapError("comparison: there is no model")
    absent = [name for name in references if name not in answers]
    if absent:
        raise EmocapError(f"comparison: the reference {absent[0]!r} is not among {', '.join(answers)}")
    for name, repeats in answers.items():
        if not repeats:
            raise EmocapError(f"comparison: {name} has no answers")
        for found in repeats:
            if found.raw.shape[1] != len(labels):
                raise EmocapError(f"comparison: {name} answers {found.raw.shape[1]} emotions, expected {len(labels)}")
            if len(found.rows) and found.rows.max() >= len(targets):
                raise EmocapError(f"comparison: {name} answers pair {found.rows.max()} of {len(targets)}")
            if not (targets[found.rows] > 0).any():
                raise EmocapError(f"comparison: none of the {len(found.rows)} pairs that {name} answers has an emotion")


def _require_same_rows(name: str, given: list[_Repeat], reference: str, expected: list[_Repeat]) -> None:
    """Repeats of equal number are compared one by one, else every one of both must be of the same pairs."""
    if len(given) == len(expected):
        both = [(a.rows, b.rows) for a, b in zip(given, expected, strict=True)]
    else:
        both = [(repeat.rows, expected[0].rows) for repeat in [*given, *expected]]
    for found, wanted in both:
        if not np.array_equal(found, wanted):
            shared = len(np.intersect1d(found, wanted))
            raise EmocapError(
                f"comparison: {name} answers {len(found)} pairs, {reference} {len(wanted)}, of which {shared} are "
                "shared; compare models that were tested on the same pairs"
            )


def _replicates(
    repeats: Mapping[str, list[_Repeat]], images: Sequence[str], n_bootstrap: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """(n_bootstrap,) values by model and metric, the mean over its repeats, all from the same draws."""
    tested = np.unique(np.concatenate([repeat.rows for given in repeats.values() for repeat in given]))
    distinct, number_of = np.unique(np.array([images[row] for row in tested], dtype=object), return_inverse=True)
    image_of = np.zeros(len(images), dtype=np.int64)
    image_of[tested] = number_of
    generator, n_images = np.random.default_rng(seed), len(distinct)
    at_once = max(1, CELLS_AT_ONCE // len(tested))
    parts: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in repeats}
    for start in range(0, n_bootstrap, at_once):
        n = min(at_once, n_bootstrap - start)
        drawn = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n).astype(np.float64)
        for name, given in repeats.items():
            found = [repeat.values(drawn[:, image_of[repeat.rows]]) for repeat in given]
            parts[name].append({metric: np.mean([values[metric] for values in found], axis=0) for metric in METRICS})
    return {
        name: {metric: np.concatenate([part[metric] for part in found]) for metric in METRICS}
        for name, found in parts.items()
    }


def biased_metrics(statistics: Mapping[str, Statistic]) -> set[str]:
    """The metrics that are not means over pairs, whose replicates are biased."""
    return {name for name, statistic in statistics.items() if statistic.per_pair is None}


def _interval(replicates: np.ndarray, value: float, *, biased: bool, bounded: bool) -> list[float] | None:
    """Percentiles of the replicates where the value is defined, corrected for their bias if they are biased.

    A corrected interval of a bounded metric is cut at 0 and 1. None where no replicate is defined.
    """
    known = replicates[~np.isnan(replicates)]
    if not len(known) or np.isnan(value):
        return None
    interval = np.percentile(known, PERCENTILES)
    if biased:
        interval = interval - (known.mean() - value)
        interval = np.clip(interval, 0, 1) if bounded else interval
    return [float(end) for end in interval]


def _difference(
    replicates: np.ndarray, value: float, biased: bool, deciding_images: int | None
) -> dict[str, Any] | None:
    interval = _interval(replicates, value, biased=biased, bounded=False)
    if interval is None:
        return None
    return {"difference": value, "low": interval[0], "high": interval[1], "deciding_images": deciding_images}


def _deciding_images(a: list[_Repeat], b: list[_Repeat], metric: str, images: Sequence[str]) -> int | None:
    values = [[repeat.statistics[metric].per_pair for repeat in given] for given in (a, b)]
    if values[0][0] is None:
        return None
    if len(a) != len(b):
        values = [[np.mean([v for v in found if v is not None], axis=0)] for found in values]
    deciding: set[str] = set()
    for repeat, mine, other in zip(a, *values, strict=False):
        assert mine is not None
        assert other is not None
        deciding.update(images[row] for row in repeat.rows[np.abs(np.nan_to_num(mine - other)) > SAME])
    return len(deciding)


def _spread(given: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float | None] | None:
    if len(given) == 1:
        return None
    return {metric: _number(float(np.std([found[metric][0] for found in given], ddof=1))) for metric in METRICS}


def _per_emotion(repeats: Sequence[_Repeat], labels: Sequence[str]) -> dict[str, float | None]:
    """Each emotion's average precision, the mean over the repeats in which it occurs."""
    found = [average_precisions(repeat.answers.probabilities, repeat.targets) for repeat in repeats]
    known = {label: [v for row in found if (v := row[i]) is not None] for i, label in enumerate(labels)}
    return {label: float(np.mean(values)) if values else None for label, values in known.items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
