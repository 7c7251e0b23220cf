"""The study of pseudo-labels (Yalniz et al. 2019): what P, K, the sample, the targets and the filter do for AnB+.

One setting is changed at a time. The controls tell what the pseudo-labels themselves are worth: as many pairs drawn
from the whole source, the same pseudo-labels given to other pairs, and none at all, the teacher being trained on for
as many steps in their place. All of them end in AnB+ on the target.
"""

import logging
from typing import Any

import numpy as np

from emocap.files import write_json
from emocap.models.classifier import VisualBertForEmotion
from emocap.pseudo_labels.select import Selection, top_p_emotions, student_targets
from emocap.study.config.pseudo_labels import PseudoLabelConfig
from emocap.study.stages.fitting import fit_on_target, move_layers, point_seed, pretrain, start_at_frequencies
from emocap.study.stages.selection import pseudo_labels
from emocap.study.training_unit import TrainingUnit
from emocap.training.resume import discard_checkpoints

logger = logging.getLogger("emocap")
FOLDER = "pseudo_labels"
VARIED = ("p", "k", "fraction", "label_type", "min_agreement")


def variations(settings: PseudoLabelConfig) -> list[dict[str, Any]]:
    """The base, each setting's other values, and the controls, named.

    >>> from emocap.study.config.study import PseudoLabelStudyConfig
    >>> study = PseudoLabelStudyConfig(p=[1, 4], controls=["shuffled"])
    >>> [point["model"] for point in variations(PseudoLabelConfig(p=4, study=study))]
    ['base', 'p=1', 'shuffled']
    """
    study = settings.study
    assert study is not None, "the stage exists only where there is a study"
    points: list[dict[str, Any]] = [{"model": "base", "varied": "base", "value": None}]
    for key in VARIED:
        for value in getattr(study, key):
            if value != getattr(settings, key):
                shown = "none" if value is None else value
                points.append({"model": f"{key}={shown}", "varied": key, "value": value})
    return points + [{"model": name, "varied": "control", "value": name} for name in settings.controls]


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
            copied, n = study.config.transfer.head == "copied", study.config.transfer.n_transferred
            moved = move_layers(study, model, n, freeze=False, copy_head=copied, seed=drawn + 2)
            recipe = study.config.transfer.AnB_plus
            fit_on_target(study, run, moved, tokenizer, recipe, seed=drawn, keep_model=False)
            discard_checkpoints(study.run / run / "student")
    write_json(study.run / FOLDER / "points.json", {"points": points, "seeds": seeds})


def _sample(study: TrainingUnit, point: dict[str, Any], seed: int) -> tuple[Selection, np.ndarray]:
    """The pseudo-labelled sample of a variation, and its targets (M, E)."""
    settings = study.config.pseudo_labels
    if point["varied"] in VARIED:
        settings = settings.model_copy(update={point["varied"]: point["value"]})
    chosen, targets, probabilities = pseudo_labels(study, settings, seed)
    generator = np.random.default_rng([seed, 1])
    if point["value"] == "shuffled":
        targets = targets[generator.permutation(len(targets))]
    if point["value"] == "random":
        rows = np.sort(generator.choice(len(probabilities), len(chosen.rows), replace=False))
        chosen = Selection(rows, top_p_emotions(probabilities, settings.p)[rows], len(probabilities))
        images = study.pairs("source").images
        targets = student_targets(probabilities, chosen, settings.label_type, p=settings.p, images=images)
    return chosen, targets


def _pretrained(
    study: TrainingUnit, point: dict[str, Any], run: str, sample: Selection, targets: np.ndarray, seed: int
) -> tuple[VisualBertForEmotion, Any]:
    """What AnB+ copies its layers from: a student, or for the control "none" a teacher trained on."""
    if point["value"] == "none":
        saved = study.load("teacher")
        model, tokenizer, pairs = saved.model, saved.tokenizer, study.part("train")
        generator = np.random.default_rng([seed, 3])
        passes = [generator.permutation(len(pairs)) for _ in range(-(-len(sample.rows) // len(pairs)))]
        again = np.concatenate(passes)[: len(sample.rows)]  # as many pairs, so as many steps
        training = study.dataset(tokenizer, pairs.select(again), "target", study.training_targets("train")[again])
    else:
        model, tokenizer = study.fresh_model(seed + 1)
        start_at_frequencies(model, targets)
        training = study.dataset(tokenizer, study.pairs("source").select(sample.rows), "source", targets)
    pretrain(study, f"{run}/student", model, training, study.config.student, seed)
    return model, tokenizer
