"""Results of the modality ablation, the transfer study and the study of pseudo-labels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from emocap.evaluation.predictions import ModelPredictions
from emocap.study.stages import modality_ablation, pseudo_label_study, transfer_study
from emocap.study.stages.held_out import (
    calibrated,
    fitted_calibration,
    joined,
    pooled,
    read_index,
    read_probabilities,
    stored,
)
from emocap.study.unit import Unit
from emocap.study.views import views_of

Compared = Callable[[dict[str, list[ModelPredictions]], list[str]], dict[str, Any]]


def studies(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any]:
    """The modality ablation, the transfer study and the study of pseudo-labels; None for those that were not run."""
    config = units[0].config
    results: dict[str, Any] = {"modality_ablation": None, "transfer_study": None, "pseudo_label_study": None}
    if config.target_has_images:
        results["modality_ablation"] = modality_results(units, targets, compared)
    if config.transfer.layers is not None:
        references = ["teacher", *(transfer_study.name_of("BnB+", n) for n in config.transfer.layers)]
        if not config.transfer.controls:
            references = []
        results["transfer_study"] = study_results(units, targets, transfer_study.FOLDER, references, compared)
    if config.pseudo_labels.study is not None:
        results["pseudo_label_study"] = study_results(units, targets, pseudo_label_study.FOLDER, ["base"], compared)
    return results


def modality_results(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any] | None:
    """Scores of every view, over the test pairs with an image; None where there are none."""
    run = read_index(units[0], f"{modality_ablation.FOLDER}/model.json", {"model": str})["model"]
    predictions: dict[str, list[ModelPredictions]] = {}
    for view in views_of(has_captions=units[0].has_captions("target")):
        for seed in dict.fromkeys(unit.seed for unit in units):
            parts = []
            for unit in (unit for unit in units if unit.seed == seed):
                rows = unit.array(f"{modality_ablation.FOLDER}/rows.npy")
                if len(rows):
                    test = read_probabilities(unit, f"{modality_ablation.FOLDER}/{view}_probabilities.npy", len(rows))
                    calibration = fitted_calibration(unit, targets, stored(unit, run, "validation"))
                    parts.append(calibrated(unit, calibration, test, rows))
            if parts:
                predictions.setdefault(view, []).append(joined(parts))
    if not predictions:
        return None
    n = len(predictions["both"][0].rows)
    return {"model": run, "n_pairs": n} | compared(predictions, ["both"])


def study_results(
    units: Sequence[Unit],
    targets: np.ndarray,
    folder: str,
    references: list[str],
    compared: Compared,
) -> dict[str, Any]:
    """The points of the transfer study or the study of pseudo-labels."""
    index = read_index(units[0], f"{folder}/points.json", {"points": list, "seeds": list})
    predictions: dict[str, list[ModelPredictions]] = {}
    for point in index["points"]:
        for seed in index["seeds"]:
            found = pooled(units, targets, f"{folder}/{point['model']}_s{seed}")
            predictions.setdefault(point["model"], []).extend(found.repeats)
    return index | compared(predictions, references)
