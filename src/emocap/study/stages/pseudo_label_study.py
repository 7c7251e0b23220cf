"""The study of pseudo-labels (Yalniz et al. 2019): the effect of P, K, sample, label type and filter on AnB+.

One setting is changed at a time. The controls show what the pseudo-labels themselves contribute: as many pairs drawn
from the whole source, the same pseudo-labels assigned to other pairs, and none at all, where the teacher is trained for
as many further steps instead. Each variation ends in AnB+ on the target.
"""

import logging
from typing import Any

import numpy as np

from emocap.files import write_json
from emocap.models.classifier import EmotionNetwork
from emocap.pseudo_labels.select import Selection, student_targets, top_p_emotions
from emocap.study.config.pseudo_labels import SAMPLE_KEYS, PseudoLabelConfig
from emocap.study.stages.fitting import fit_on_target, move_layers, point_seed, pretrain, start_at_pseudo_labels
from emocap.study.stages.selection import lifts_for, pseudo_labels
from emocap.study.stages.student import repeated_rows
from emocap.study.training_unit import TrainingUnit
from emocap.training.resume import discard_checkpoints

logger = logging.getLogger("emocap")
FOLDER = "pseudo_labels"


def variations(settings: PseudoLabelConfig) -> list[dict[str, Any]]:
    """The base, each setting's other values, and the controls, with their names.

    >>> from emocap.study.config.pseudo_labels import PseudoLabelStudyConfig
    >>> study = PseudoLabelStudyConfig(p=[1, 4], controls=["shuffled"])
    >>> [point["model"] for point in variations(PseudoLabelConfig(p=4, study=study))]
    ['base', 'p=1', 'shuffled']
    """
    study = settings.study
    assert study is not None, "the stage exists only where there is a study"
    points: list[dict[str, Any]] = [{"model": "base", "varied": "base", "value": None}]
    for key in SAMPLE_KEYS:
        for value in getattr(study, key):
            if value != getattr(settings, key):
                shown = "none" if value is None else value
                points.append({"model": f"{key}={shown}", "varied": key, "value": value})
    return points + [{"model": name, "varied": "control", "value": name} for name in settings.study_controls]


def pseudo_label_study(study: TrainingUnit) -> None:
    """Train student and AnB+ for every variation and seed; those that are finished are not trained again."""
    settings = study.config.pseudo_labels
    assert settings.study is not None, "the stage exists only where there is a study"
    points, seeds = variations(settings), settings.study.seeds
    done, total = 0, len(points) * len(seeds)
    for seed in seeds:
        drawn = point_seed(study.seed, seed)
        for point in points:
            run = f"{FOLDER}/{point['model']}_s{seed}"
            sample, targets = _sample(study, point, drawn)
            point["n_selected"] = None if point["value"] == "none" else len(sample.rows)
            done += 1
            if (study.run / run / "history.json").is_file():
                continue
            logger.info("study of pseudo-labels: run %d of %d, %s", done, total, run)
            model, tokenizer = _pretrained(study, point, run, sample, targets, drawn)
            transfer = study.config.transfer
            copied, n = transfer.head == "copied", transfer.n_transferred
            moved = move_layers(study, model, n, freeze=False, copy_head=copied, seed=drawn + 2)
            fit_on_target(study, run, moved, tokenizer, transfer.AnB_plus, seed=drawn, keep_model=False)
            discard_checkpoints(study.run / run / "student")
    write_json(study.run / FOLDER / "points.json", {"points": points, "seeds": seeds})


def _sample(study: TrainingUnit, point: dict[str, Any], seed: int) -> tuple[Selection, np.ndarray]:
    """The pseudo-labelled sample of a variation, and its targets (M, E)."""
    settings = study.config.pseudo_labels
    if point["varied"] in SAMPLE_KEYS:
        settings = settings.model_copy(update={point["varied"]: point["value"]})
    sample, targets, probabilities = pseudo_labels(study, settings, seed)
    generator = np.random.default_rng([seed, 1])
    if point["value"] == "shuffled":
        targets = targets[generator.permutation(len(targets))]
    if point["value"] == "random":
        rows = np.sort(generator.choice(len(probabilities), len(sample.rows), replace=False))
        lifts = lifts_for(settings, probabilities)
        sample = Selection(rows, top_p_emotions(probabilities, settings.p, lifts)[rows], len(probabilities))
        images = study.pairs("source").images
        targets = student_targets(probabilities, sample, settings.label_type, p=settings.p, images=images, lifts=lifts)
    return sample, targets


def _pretrained(
    study: TrainingUnit, point: dict[str, Any], run: str, sample: Selection, targets: np.ndarray, seed: int
) -> tuple[EmotionNetwork, Any]:
    """The model whose layers AnB+ copies: a student, or for the control "none" the teacher trained for longer."""
    if point["value"] == "none":
        saved = study.load("teacher")
        model, tokenizer, pairs = saved.model, saved.tokenizer, study.part("train")
        generator = np.random.default_rng([seed, 3])
        again = repeated_rows(len(pairs), len(sample.rows), generator)  # as many pairs, so as many steps
        training = study.dataset(tokenizer, pairs.select(again), "target", study.training_targets("train")[again])
    else:
        model, tokenizer = study.fresh_model(seed + 1)
        targets = start_at_pseudo_labels(study, model, targets)
        training = study.dataset(tokenizer, study.pairs("source").select(sample.rows), "source", targets)
    pretrain(study, f"{run}/student", model, training, study.config.student, seed, len(study.ratings))
    return model, tokenizer
