"""What a learning curve shows: scores with intervals by size, a power law, and what twice the pairs would bring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.evaluation.bootstrap import Repeat, replicates
from emocap.evaluation.metrics import METRICS, PRIMARY, varying_metrics
from emocap.evaluation.power_law import Extrapolation, extrapolate
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.significance import DrawnImages, score_intervals, values_over_repeats
from emocap.evaluation.verdicts import sample_size
from emocap.files import read_array
from emocap.study.stages.held_out import joined
from emocap.study.stages.learning_curve import TEST
from emocap.study.unit import Unit

SHOWN = ("top1_accuracy", "recall_at_3", PRIMARY)


def point_name(model: str, rows: np.ndarray) -> str:
    """The folder of a point below its unit's.

    >>> point_name("teacher", np.arange(147))
    'teacher_n00147'
    """
    return f"{model}_n{len(rows):05d}"


def results_of(units: Sequence[Unit], points: Sequence[Sequence[np.ndarray]], models: Sequence[str]) -> dict[str, Any]:
    """The contents of `curve.json`.

    Args:
        units: one per seed and fold.
        points: for each unit the rows of each training set size.
        models: names.
    """
    config, pairs, groups = units[0].config, units[0].whole("target"), units[0].groups
    targets = pairs.targets(units[0].vocabulary)
    metrics = [name for name in SHOWN if name in varying_metrics(targets.shape[1])]
    n_sizes = len(points[0])
    sizes = [float(np.mean([len(rows[number]) for rows in points])) for number in range(n_sizes)]
    repeats = {
        f"{model} {number}": _repeats(units, points, model, number, targets, metrics)
        for model in models
        for number in range(n_sizes)
    }
    drawn = replicates(repeats, groups, config.evaluation.n_bootstrap, config.seed)
    tested = np.unique(np.concatenate([unit.rows["test"] for unit in units]))
    sample = sample_size(targets[tested], [groups[row] for row in tested])
    values = {name: values_over_repeats(model) for name, model in repeats.items()}
    intervals = score_intervals(values, drawn, DrawnImages.of(targets[tested], [groups[row] for row in tested]))
    curves = {}
    for model in models:
        keys = [f"{model} {number}" for number in range(n_sizes)]
        scores = [float(values[key][PRIMARY].mean()) for key in keys]
        draws = np.stack([drawn[key].values[PRIMARY] for key in keys], axis=1)
        found = extrapolate(sizes, scores, draws, seed=config.seed)
        curves[model] = {
            "points": [
                {"n_pairs": size, "scores": _means(values[key]), "intervals": intervals[key]}
                for size, key in zip(sizes, keys, strict=True)
            ],
            "power_law": _law(found),
            "verdict": sentence(found, sizes[-1], sample),
        }
    return {
        "schema": 1,
        "name": config.name,
        "metric": PRIMARY,
        "metrics": metrics,
        "folds": config.folds,
        "seeds": config.all_seeds,
        "n_bootstrap": config.evaluation.n_bootstrap,
        "n_test_pairs": len(tested),
        "sample": sample,
        "models": curves,
    }


def _repeats(
    units: Sequence[Unit],
    points: Sequence[Sequence[np.ndarray]],
    model: str,
    number: int,
    targets: np.ndarray,
    metrics: Sequence[str],
) -> list[Repeat]:
    """A model at one size, one repeat per seed; F1 is not measured, so that no threshold is fitted."""
    repeats = []
    for seed in dict.fromkeys(unit.seed for unit in units):
        parts = []
        for unit, rows in zip(units, points, strict=True):
            if unit.seed == seed:
                p = read_array(unit.run / point_name(model, rows[number]) / TEST)[:, : targets.shape[1]]
                half = np.full(p.shape, 0.5, dtype=np.float32)
                parts.append(ModelPredictions(unit.rows["test"], p, p, half[:, 0], half))
        repeats.append(Repeat(joined(parts), targets, metrics))
    return repeats


def _means(values: dict[str, np.ndarray]) -> dict[str, float | None]:
    """Each metric's mean over the repeats, None where it is undefined."""
    means = {metric: float(each.mean()) for metric, each in values.items()}
    return {metric: None if np.isnan(mean) else mean for metric, mean in means.items()}


def _law(found: Extrapolation) -> dict[str, Any]:
    law = found.law
    return {
        "law": None if law is None else {"a": law.a, "b": law.b, "c": law.c, "deviation": law.deviation},
        "reason": found.reason,
        "intervals": found.intervals,
        "n_pairs": found.n_pairs,
        "gain": found.gain,
        "gain_interval": found.gain_interval,
    }


def sentence(found: Extrapolation, largest: float, sample: dict[str, Any]) -> str:
    """What twice the training pairs would bring, in words.

    >>> nothing = Extrapolation(None, "the score does not rise", {}, 200)
    >>> sentence(nothing, 100, {"is_enough": True})
    'Cannot tell what 200 instead of 100 training pairs would bring: no power law fits, since the score does not rise.'
    """
    asked = f"{found.n_pairs:,} instead of {round(largest):,} training pairs"
    if not sample["is_enough"]:
        return (
            f"Cannot tell what {asked} would bring: the test pairs have {sample['n_images']} images and "
            f"{sample['n_positives']} labels, and a verdict needs {sample['least_images']} and "
            f"{sample['least_positives']}."
        )
    if found.law is None or found.gain_interval is None or found.gain is None:
        return f"Cannot tell what {asked} would bring: no power law fits, since {found.reason}."
    low, high = found.gain_interval
    metric = METRICS[PRIMARY].display_name.lower()
    change = f"{found.gain:+.3f} [{low:+.3f}, {high:+.3f}] in {metric}"
    if low <= 0 <= high:
        return f"Cannot tell whether {asked} would bring anything: by the power law {change}."
    return f"{asked} would bring {change}, if the score goes on by the power law."
