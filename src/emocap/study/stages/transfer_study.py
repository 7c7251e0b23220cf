"""The transfer study (Yosinski et al. 2014): n layers copied from A or from B itself, frozen or not, the rest fresh.

A is the student, or the labelled source's model where there is no student; B is the teacher, which was trained on the
target alone. AnB and AnB+ copy A's lowest n layers, and AnB-LoRA too where the study has it, BnB and BnB+ the
teacher's. Two references copy no layer: the teacher trained again for each seed, and linear probing before fine-tuning
(Kumar et al. 2022, arXiv 2202.10054). Left out: transfer in the other direction, from B to A.
"""

import logging
from collections.abc import Callable
from typing import Any

from emocap.files import write_json
from emocap.models.transfer import unfreeze
from emocap.study.stages.fitting import fit_on_target, move_layers, point_seed, start_at_frequencies
from emocap.study.stages.teacher import fit_teacher
from emocap.study.training_unit import TrainingUnit
from emocap.training.checkpoint import SavedModel

logger = logging.getLogger("emocap")
FOLDER = "transfer"
FROM_SOURCE, WITH_UPDATES, FROM_TEACHER = ("AnB", "AnB+"), "AnB-LoRA", ("BnB", "BnB+")


def name_of(run: str, n: int) -> str:
    """The name of one point.

    >>> name_of("AnB+", 6)
    'AnB+_n06'
    """
    return f"{run}_n{n:02d}"


def transfer_study(study: TrainingUnit) -> None:
    """Train every point for every seed of the study; those that are finished are not trained again."""
    settings = study.config.transfer
    assert settings.layers is not None, "the stage exists only where there are layers"
    bases = bases_of(study)
    points: list[dict[str, Any]] = [
        {"model": name_of(run, n), "run": run, "n": n} for run in bases for n in settings.layers
    ]
    if settings.controls:
        points += [{"model": name, "run": name, "n": None} for name in REFERENCES]
    done, total = 0, len(points) * len(settings.seeds)
    for seed in settings.seeds:
        drawn = point_seed(study.seed, seed)
        for point in points:
            name = f"{FOLDER}/{point['model']}_s{seed}"
            done += 1
            if (study.run / name / "history.json").is_file():
                continue
            logger.info("transfer study: run %d of %d, %s", done, total, name)
            if point["run"] in REFERENCES:
                REFERENCES[point["run"]](study, name, drawn)
            else:
                _fit(study, name, point["run"], point["n"], bases[point["run"]], drawn)
    layers = max(len(base.model.layers) for base in bases.values())
    write_json(study.run / FOLDER / "points.json", {"points": points, "n_layers": layers, "seeds": settings.seeds})


def bases_of(study: TrainingUnit) -> dict[str, SavedModel]:
    """The model whose layers each run copies."""
    source = study.load("student" if study.config.source is not None else "labelled")
    runs = [*FROM_SOURCE, WITH_UPDATES] if study.config.transfer.AnB_LoRA is not None else FROM_SOURCE
    bases = dict.fromkeys(runs, source)
    if study.config.transfer.controls:
        bases |= dict.fromkeys(FROM_TEACHER, study.load("teacher"))
    return bases


def _fit(study: TrainingUnit, name: str, run: str, n: int, base: SavedModel, seed: int) -> None:
    model = move_layers(study, base.model, n, freeze=study.models[run].frozen, seed=seed + 2)
    fit_on_target(study, name, model, base.tokenizer, study.config.training_settings(run), seed=seed, keep_model=False)


def _teacher(study: TrainingUnit, name: str, seed: int) -> None:
    fit_teacher(study, name, seed, keep_model=False)


def _probe_then_finetune(study: TrainingUnit, name: str, seed: int) -> None:
    model, tokenizer = study.fresh_model(seed)
    start_at_frequencies(model, study.training_targets("train"))
    model.freeze([*model.lower, *model.layers, *model.upper])
    settings = study.config.transfer
    fit_on_target(study, f"{name}/probe", model, tokenizer, settings.AnB, seed=seed, keep_model=False)
    unfreeze(model)
    fit_on_target(study, name, model, tokenizer, settings.AnB_plus, seed=seed, keep_model=False)


REFERENCES: dict[str, Callable[[TrainingUnit, str, int], None]] = {
    "teacher": _teacher,
    "probe_then_finetune": _probe_then_finetune,
}
