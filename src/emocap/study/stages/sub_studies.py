"""Results of the modality ablation, the transfer study and the study of pseudo-labels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emocap.evaluation.calibration import calibrate
from emocap.evaluation.predictions import ModelPredictions
from emocap.files import read_array
from emocap.study.stages import modality_ablation, pseudo_label_study, transfer_study
from emocap.study.stages.held_out import _index, _probabilities, calibrated, joined, pooled, stored
from emocap.study.unit import Unit

Compared = Callable[[dict[str, list[ModelPredictions]], list[str]], dict[str, Any]]


def studies(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any]:
    """What carries the signal, the transfer study and the study of pseudo-labels; null for what was not asked for."""
    config = units[0].config
    found: dict[str, Any] = {"modality_ablation": None, "transfer_study": None, "pseudo_label_study": None}
    if config.target_has_images:
        found["modality_ablation"] = modality_results(units, targets, compared)
    if config.transfer.layers is not None:
        references = ["teacher", *(transfer_study.name_of("BnB+", n) for n in config.transfer.layers)]
        if not config.transfer.controls:
            references = []
        found["transfer_study"] = study_results(units, targets, transfer_study.FOLDER, references, compared)
    if config.pseudo_labels.study is not None:
        found["pseudo_label_study"] = study_results(units, targets, pseudo_label_study.FOLDER, ["base"], compared)
    return found


def modality_results(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any] | None:
    """What carries the signal, over the test pairs with a picture; None where there are none."""
    run = _index(units[0], f"{modality_ablation.FOLDER}/model.json", {"model": str})["model"]
    found: dict[str, list[ModelPredictions]] = {}
    for view in modality_ablation.VIEWS:
        for seed in dict.fromkeys(unit.seed for unit in units):
            parts = []
            for unit in (unit for unit in units if unit.seed == seed):
                rows = read_array(unit.run / modality_ablation.FOLDER / "rows.npy")
                if len(rows):
                    test = _probabilities(unit, f"{modality_ablation.FOLDER}/{view}_probabilities.npy", len(rows))
                    found_there = calibrate(stored(unit, run, "validation"), targets[unit.rows["validation"]])
                    parts.append(calibrated(unit, found_there, test, rows))
            if parts:
                found.setdefault(view, []).append(joined(parts))
    if not found:
        return None
    n = len(found["both"][0].rows)
    return {"model": run, "n_pairs": n} | compared(found, ["both"])


def study_results(
    units: Sequence[Unit],
    targets: np.ndarray,
    folder: str,
    references: list[str],
    compared: Compared,
) -> dict[str, Any]:
    """The points of the transfer study or the study of pseudo-labels."""
    index = _index(units[0], f"{folder}/points.json", {"points": list, "seeds": list})
    found: dict[str, list[ModelPredictions]] = {}
    for point in index["points"]:
        for seed in index["seeds"]:
            repeats, _, _ = pooled(units, targets, f"{folder}/{point['model']}_s{seed}")
            found.setdefault(point["model"], []).extend(repeats)
    return index | compared(found, references)
