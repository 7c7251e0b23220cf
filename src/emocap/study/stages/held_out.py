"""What the models of all units predicted for held-out pairs: read back, calibrated on validation pairs, and pooled."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.averaging import mean_of_logits
from emocap.evaluation.calibration import Calibration, calibrate
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.files import read_json
from emocap.study.unit import HELD_OUT, Unit


def stored(study: Unit, folder: str, part: str) -> np.ndarray:
    """(N, E + R) outputs of a model for the "validation" or "test" pairs of a unit.

    Raises:
        EmocapError: they are missing, damaged or of other pairs; the error names what to delete.
    """
    return read_probabilities(study, f"{folder}/{part}_probabilities.npy", len(study.rows[part]))


def read_probabilities(study: Unit, file: str, n: int) -> np.ndarray:
    """(n, E + R) probabilities, and ratings from 0 to 1, in a file of a unit.

    Raises:
        EmocapError: missing, damaged or of another shape; the error names what to delete.
    """
    path, expected = study.run / file, (n, len(study.vocabulary) + len(study.ratings))
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


@dataclass(frozen=True, eq=False)
class UnitPredictions:
    """A model's predictions for one unit's test pairs, calibrated on its validation pairs.

    Attributes:
        seed: of the unit.
        predictions: for the test pairs.
        validation: mean average precision on the validation pairs, NaN where they name no emotion; in a study of
            ratings alone the mean of Pearson's r.
        calibration: scaling and thresholds.
        rating_validation: mean over ratings of Pearson's r on the validation pairs; NaN without ratings.
    """

    seed: int
    predictions: ModelPredictions
    validation: float
    calibration: Calibration
    rating_validation: float = np.nan


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A model's predictions for the test pairs of all units; those of an ensemble over seeds have one unit per fold."""

    units: list[UnitPredictions]

    @cached_property
    def repeats(self) -> list[ModelPredictions]:
        """The units' predictions, the folds of a seed joined."""
        seeds = dict.fromkeys(unit.seed for unit in self.units)
        return [joined([unit.predictions for unit in self.units if unit.seed == seed]) for seed in seeds]

    @property
    def validation(self) -> float:
        """The mean of the units' validation score."""
        return float(np.mean([unit.validation for unit in self.units]))

    @property
    def rating_validation(self) -> float:
        """The mean over units and ratings of Pearson's r on validation pairs; NaN without ratings."""
        return float(np.mean([unit.rating_validation for unit in self.units]))

    @property
    def methods(self) -> list[str]:
        """How the logits were scaled, by unit."""
        return [unit.calibration.method for unit in self.units]


def pooled(units: Sequence[Unit], targets: np.ndarray, folder: str, *, scaled: bool = True) -> HeldOut:
    """A model's predictions, calibrated in each unit on its validation pairs.

    Args:
        scaled: whether at all; the prior stays the label frequencies, and gets thresholds alone.
    """
    return HeldOut(
        [
            _calibrated_unit(
                unit, targets, stored(unit, folder, "validation"), stored(unit, folder, "test"), scaled=scaled
            )
            for unit in units
        ]
    )


def _calibrated_unit(
    unit: Unit, targets: np.ndarray, validation: np.ndarray, test: np.ndarray, *, scaled: bool = True
) -> UnitPredictions:
    calibration, n = fitted_calibration(unit, targets, validation, scaled=scaled), targets.shape[1]
    of_ratings = mean_pearson_r(validation[:, n:], unit.true_ratings("validation"))
    score = mean_average_precision(validation[:, :n], targets[unit.rows["validation"]]) if n else of_ratings
    return UnitPredictions(unit.seed, calibrated(unit, calibration, test), score, calibration, of_ratings)


def fitted_calibration(unit: Unit, targets: np.ndarray, validation: np.ndarray, *, scaled: bool = True) -> Calibration:
    """The calibration of the emotions' probabilities among outputs (N, E + R) for a unit's validation pairs."""
    rows, groups = unit.rows["validation"], [unit.groups[row] for row in unit.rows["validation"]]
    return calibrate(validation[:, : targets.shape[1]], targets[rows], groups=groups, scaled=scaled)


def calibrated(
    unit: Unit, calibration: Calibration, test: np.ndarray, rows: np.ndarray | None = None
) -> ModelPredictions:
    """The calibrated predictions for a unit's test pairs, or for `rows` of them, from outputs (N, E + R)."""
    n, emotions = len(test), test[:, : len(calibration.thresholds)]
    return ModelPredictions(
        rows=unit.rows["test"] if rows is None else rows,
        raw=emotions.astype(np.float32),
        probabilities=calibration.scaling(emotions).astype(np.float32),
        threshold=np.full(n, calibration.threshold, dtype=np.float32),
        thresholds=np.tile(calibration.thresholds.astype(np.float32), (n, 1)),
        ratings=test[:, emotions.shape[1] :].astype(np.float32),
    )


def joined(parts: Sequence[ModelPredictions]) -> ModelPredictions:
    """The folds of one repeat, concatenated."""
    names = ("rows", "raw", "probabilities", "threshold", "thresholds", "ratings")
    return ModelPredictions(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def ensemble(units: Sequence[Unit], targets: np.ndarray, folders: Sequence[str]) -> HeldOut:
    """The members' logits averaged over models and seeds, as one repeat.

    Args:
        folders: of the members' predictions, below the unit's.
    """
    parts = []
    for fold in dict.fromkeys(unit.fold for unit in units):
        same = [unit for unit in units if unit.fold == fold]
        validation, test = (
            mean_of_logits([stored(unit, folder, part) for unit in same for folder in folders]) for part in HELD_OUT
        )
        parts.append(_calibrated_unit(same[0], targets, validation, test))
    return HeldOut(parts)
