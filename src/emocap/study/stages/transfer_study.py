"""The transfer study (Yosinski et al. 2014): n layers copied from A or from B itself, frozen or not, the rest fresh.

A is the student, or the labelled source's model where there is no student; B is the teacher, which was trained on the
target alone. AnB and AnB+ copy A's lowest n layers, BnB and BnB+ the teacher's. Beside them stand two references
without any copied layer: the teacher trained again for each seed, and linear probing before fine-tuning (Kumar et al.
2022, arXiv 2202.10054). Left out: the way back, from B to A.
"""

import logging
from typing import Any

from emocap.files import write_json
from emocap.models.transfer import unfreeze
from emocap.study.stages.fitting import fit_on_target, move_layers, point_seed, start_at_frequencies
from emocap.study.stages.teacher import fit_teacher
from emocap.study.training_unit import TrainingUnit

logger = logging.getLogger("emocap")
FOLDER = "transfer"


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
    base = study.load("student" if study.config.source is not None else "labelled").model
    bases = {"A": base} | ({"B": study.load("teacher").model} if settings.controls else {})
    points: list[dict[str, Any]] = [
        {"model": name_of(f"{letter}nB{plus}", n), "run": f"{letter}nB{plus}", "n": n}
        for letter in bases
        for plus in ("", "+")
        for n in settings.layers
    ]
    if settings.controls:
        points += [{"model": name, "run": name, "n": None} for name in ("teacher", "probe_then_finetune")]
    done, total = 0, len(points) * len(settings.seeds)
    for seed in settings.seeds:
        drawn = point_seed(study.seed, seed)
        for point in points:
            run = f"{FOLDER}/{point['model']}_s{seed}"
            done += 1
            if (study.run / run / "history.json").is_file():
                continue
            logger.info("transfer study: run %d of %d, %s", done, total, run)
            _fit(study, run, point, bases, drawn)
    layers = len(base.visualbert.encoder.layer)
    write_json(study.run / FOLDER / "points.json", {"points": points, "n_layers": layers, "seeds": settings.seeds})


def _fit(study: TrainingUnit, run: str, point: dict[str, Any], bases: dict[str, Any], seed: int) -> None:
    settings = study.config.transfer
    if point["run"] == "teacher":
        fit_teacher(study, run, seed, keep_model=False)
        return
    if point["run"] == "probe_then_finetune":
        _probe_then_finetune(study, run, seed)
        return
    frozen = not point["run"].endswith("+")
    model = move_layers(study, bases[point["run"][0]], point["n"], freeze=frozen, seed=seed + 2)
    _, tokenizer = study.fresh_model(seed)
    recipe = settings.AnB if frozen else settings.AnB_plus
    fit_on_target(study, run, model, tokenizer, recipe, seed=seed, keep_model=False)


def _probe_then_finetune(study: TrainingUnit, run: str, seed: int) -> None:
    model, tokenizer = study.fresh_model(seed)
    start_at_frequencies(model, study.training_targets("train"))
    encoder = model.visualbert
    model.freeze([encoder])
    settings = study.config.transfer
    fit_on_target(study, f"{run}/probe", model, tokenizer, settings.AnB, seed=seed, keep_model=False)
    unfreeze(model)
    fit_on_target(study, run, model, tokenizer, settings.AnB_plus, seed=seed, keep_model=False)
