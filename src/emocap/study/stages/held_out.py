"""What the models of all units predicted for held-out pairs: read back, calibrated on validation pairs, and pooled."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.calibration import Calibration, calibrate, scale
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.files import read_json
from emocap.study.unit import Unit


def stored(study: Unit, folder: str, part: str) -> np.ndarray:
    """(N, E) probabilities of a model for the "validation" or "test" pairs of a unit.

    Raises:
        EmocapError: they are missing, damaged or of other pairs; the error names what to delete.
    """
    return read_probabilities(study, f"{folder}/{part}_probabilities.npy", len(study.rows[part]))


def read_probabilities(study: Unit, file: str, n: int) -> np.ndarray:
    """(n, E) probabilities in a file of a unit.

    Raises:
        EmocapError: missing, damaged or of another shape; the error names what to delete.
    """
    path, expected = study.run / file, (n, len(study.vocabulary))
    fault = "missing, cut short or damaged"
    with contextlib.suppress(EmocapError):
        array = study.array(file)
        if array.shape == expected and array.dtype.kind == "f" and ((array >= 0) & (array <= 1)).all():
            return array
        fault = f"holds {array.dtype} {array.shape}, expected probabilities {expected}"
    raise EmocapError(f"{path}: {fault}; delete {_to_delete(study, file)} and run again")


def _to_delete(study: Unit, file: str) -> Path:
    """What to delete so that a file of a unit is written again: the unit, or the folder of its stage."""
    return study.run if study.run != study.root else study.run / file.split("/")[0]


def read_index(study: Unit, file: str, keys: dict[str, type]) -> dict[str, Any]:
    """The JSON object that a stage wrote.

    Args:
        keys: that it must have, with their types; their values must not be empty.

    Raises:
        EmocapError: missing or damaged; the error names what to delete.
    """
    path = study.run / file
    with contextlib.suppress(EmocapError):
        value = read_json(path)
        if isinstance(value, dict) and all(
            isinstance(value.get(key), kind) and value[key] for key, kind in keys.items()
        ):
            return value
    raise EmocapError(f"{path}: missing or damaged; delete {_to_delete(study, file)} and run again")


def pooled(
    units: Sequence[Unit], targets: np.ndarray, folder: str, *, scaled: bool = True
) -> tuple[list[ModelPredictions], float, list[float]]:
    """A model's predictions, one repeat per seed, calibrated in each unit on its validation pairs.

    Args:
        scaled: whether by a temperature; the prior stays the label frequencies, and gets thresholds alone.

    Returns:
        The repeats; the mean of the units' validation mAP; each unit's temperature.
    """
    repeats, scores, temperatures = [], [], []
    for seed in dict.fromkeys(unit.seed for unit in units):
        parts = []
        for unit in (unit for unit in units if unit.seed == seed):
            validation = stored(unit, folder, "validation")
            truth = targets[unit.rows["validation"]]
            calibration = calibrate(validation, truth, scaled=scaled)
            parts.append(calibrated(unit, calibration, stored(unit, folder, "test")))
            scores.append(mean_average_precision(validation, truth))
            temperatures.append(calibration.temperature)
        repeats.append(joined(parts))
    return repeats, float(np.mean(scores)), temperatures


def calibrated(
    unit: Unit, calibration: Calibration, test: np.ndarray, rows: np.ndarray | None = None
) -> ModelPredictions:
    """The calibrated predictions for a unit's test pairs, or for `rows` of them, from probabilities (N, E)."""
    n = len(test)
    return ModelPredictions(
        rows=unit.rows["test"] if rows is None else rows,
        raw=test.astype(np.float32),
        probabilities=scale(test, calibration.temperature).astype(np.float32),
        threshold=np.full(n, calibration.threshold, dtype=np.float32),
        thresholds=np.tile(calibration.thresholds.astype(np.float32), (n, 1)),
    )


def joined(parts: Sequence[ModelPredictions]) -> ModelPredictions:
    """The folds of one repeat, concatenated."""
    names = ("rows", "raw", "probabilities", "threshold", "thresholds")
    return ModelPredictions(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def mean_of_logits(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """(N, E) probabilities at the mean of the models' logits.

    >>> mean_of_logits([np.array([[.5]]), np.array([[.5]])]).tolist()
    [[0.5]]
    """
    clipped = [np.clip(np.asarray(p, dtype=np.float64), 1e-7, 1 - 1e-7) for p in probabilities]
    logits = np.mean([np.log(p) - np.log1p(-p) for p in clipped], axis=0)
    return 1 / (1 + np.exp(-logits))


def ensemble(
    units: Sequence[Unit], targets: np.ndarray, members: Sequence[str]
) -> tuple[list[ModelPredictions], float, list[float]]:
    """The members' logits averaged over models and seeds, as one repeat; returns the same as `pooled`."""
    parts, scores, temperatures = [], [], []
    for fold in dict.fromkeys(unit.fold for unit in units):
        same = [unit for unit in units if unit.fold == fold]
        validation, test = (
            mean_of_logits([stored(unit, member, part) for unit in same for member in members])
            for part in ("validation", "test")
        )
        truth = targets[same[0].rows["validation"]]
        calibration = calibrate(validation, truth)
        parts.append(calibrated(same[0], calibration, test))
        scores.append(mean_average_precision(validation, truth))
        temperatures.append(calibration.temperature)
    return [joined(parts)], float(np.mean(scores)), temperatures
