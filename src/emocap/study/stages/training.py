"""The study's models as stages, each a function from files to files in the folder of one unit.

baselines; teacher -> scores -> selection -> student -> AnB, AnB+; labelled -> labelled_AnB, labelled_AnB+
"""

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.calibration import calibrate
from emocap.evaluation.metrics import mean_average_precision, recall_at_k
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import atomic_file, read_array, write_array, write_json
from emocap.models.classifier import EmotionHead, VisualBertForEmotion, set_prior_bias
from emocap.models.transfer import is_head_only, transfer
from emocap.pseudo_labels.audit import audit
from emocap.pseudo_labels.score import score
from emocap.pseudo_labels.select import Selection, select, student_targets
from emocap.study.artifacts import read_parquet
from emocap.study.config.pseudo_labels import PseudoLabelConfig
from emocap.study.unit import Study
from emocap.training.batching import PairDataset, PooledDataset
from emocap.training.predict import pooled_vectors, predict_probabilities
from emocap.training.settings import TrainSettings
from emocap.training.train import discard_checkpoints, train

logger = logging.getLogger("emocap")
TESTED = ("validation", "test")


def validation_scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The scores that are followed while training."""
    return {
        "mean_average_precision": mean_average_precision(probabilities, targets),
        "recall_at_3": recall_at_k(probabilities, targets, min(3, targets.shape[1])),
    }


def point_seed(unit: int, own: int) -> int:
    """The seed of a study's point, another for each seed of the unit and of the study, and its own in unit 0.

    >>> point_seed(0, 2), point_seed(1, 2)
    (2, 1000005)
    """
    return (unit * 1_000_003 + own) % 2**31


def start_at_frequencies(model: VisualBertForEmotion, targets: np.ndarray) -> None:
    """Set `fc`'s bias so that an untrained model answers about as often as the targets (N, E) do."""
    set_prior_bias(model.fc, torch.as_tensor(targets.mean(axis=0)))


def fit_on_target(
    study: Study,
    run: str,
    model: VisualBertForEmotion,
    tokenizer: Any,
    settings: TrainSettings,
    *,
    seed: int | None = None,
    keep_model: bool = True,
) -> None:
    """Train on the target's training pairs, keep the epoch that validates best, save what `finish` saves."""
    targets = {name: study.training_targets(name) for name in ("train", "validation")}
    data = {name: study.dataset(tokenizer, study.part(name), "target", targets[name]) for name in targets}
    common: dict[str, Any] = {
        "name": run,
        "seed": study.seed if seed is None else seed,
        "metrics": validation_scores,
        "lengths": data["train"].lengths,
    }
    folder = study.run / run
    if is_head_only(model):
        logger.info("%s: every layer is frozen, so the encoder runs once and fc trains on its vectors", run)
        pooled = {
            name: PooledDataset(
                pooled_vectors(model, data[name], settings.eval_batch_size, f"{run} vectors"), targets[name]
            )
            for name in targets
        }
        head = EmotionHead(model.fc)
        history = train(
            head, pooled["train"], pooled["validation"], settings, folder, collate=PooledDataset.collate, **common
        )
    else:
        history = train(
            model, data["train"], data["validation"], settings, folder, collate=data["train"].collate, **common
        )
    finish(study, run, model, tokenizer, history, settings.eval_batch_size, keep_model=keep_model)


def finish(
    study: Study,
    run: str,
    model: VisualBertForEmotion,
    tokenizer: Any,
    history: dict[str, Any],
    batch: int,
    *,
    keep_model: bool = True,
) -> None:
    """Save a trained model, calibrated on the validation pairs, with its history and its answers to held-out pairs.

    The probabilities in `validation_probabilities.npy` and `test_probabilities.npy` are as the model gave them; the
    temperature that calibrates them is in the model's card.
    """
    answers = {
        part: predict_probabilities(
            model, study.dataset(tokenizer, study.part(part), "target"), batch, f"{run} on {part} pairs"
        )
        for part in TESTED
    }
    for part, probabilities in answers.items():
        write_array(study.run / run / f"{part}_probabilities.npy", probabilities)
    if keep_model:
        found = calibrate(answers["validation"], study.truth("validation"))
        study.save(run, model, tokenizer, calibration=found)
    write_json(study.run / run / "history.json", history)
    discard_checkpoints(study.run / run)


def baselines(study: Study) -> None:
    """Fit the baselines on the training pairs' captions and let them answer the held-out ones."""
    settings = study.config.baselines
    names = ["prior", *settings.names]
    embed = sentence_vectors(settings.vectors) if {"vectors", "neighbours"} & set(names) else None
    train_pairs, validation = study.part("train"), study.part("validation")
    for name in names:
        answer = fit_baseline(
            name,
            train_pairs.captions,
            study.truth("train"),
            validation.captions,
            study.truth("validation"),
            embed=embed,
            seed=study.seed,
        )
        for part in TESTED:
            path = study.run / "baselines" / name / f"{part}_probabilities.npy"
            write_array(path, answer(study.part(part).captions).astype(np.float32))
        logger.info("baselines: %s is fitted", name)


def labelled(study: Study) -> None:
    """Train a model on the labelled source's own emotions; its layers can move to the target."""
    pairs, vocabulary, settings = study.pairs("labelled_source"), study.labelled_vocabulary, study.config.labelled
    targets = pairs.targets(vocabulary)
    model, tokenizer = study.fresh_model(study.config.seed + 3, vocabulary)
    start_at_frequencies(model, targets)
    training = study.dataset(tokenizer, pairs, "labelled_source", targets)
    history = pretrain(study, "labelled", model, training, settings, study.config.seed)
    study.save("labelled", model, tokenizer, vocabulary=vocabulary, frequencies=targets.mean(axis=0))
    write_json(study.folder("labelled") / "history.json", history)
    discard_checkpoints(study.folder("labelled"))


def pretrain(
    study: Study,
    run: str,
    model: VisualBertForEmotion,
    training: PairDataset,
    settings: TrainSettings,
    seed: int,
) -> dict[str, Any]:
    """Train on pairs with their targets, nothing held out; gives the history."""
    return train(
        model,
        training,
        None,
        settings,
        study.folder(run),
        name=run,
        seed=seed,
        metrics=validation_scores,
        collate=training.collate,
        lengths=training.lengths,
    )


def teacher(study: Study) -> None:
    """Train the teacher on the target."""
    fit_teacher(study, "teacher", study.seed)


def fit_teacher(study: Study, run: str, seed: int, *, keep_model: bool = True) -> None:
    """Fine-tune the backbone whole on the target, without a student."""
    model, tokenizer = study.fresh_model(seed)
    start_at_frequencies(model, study.training_targets("train"))
    fit_on_target(study, run, model, tokenizer, study.config.teacher, seed=seed, keep_model=keep_model)


def scores(study: Study) -> None:
    """Let the teacher score every source pair."""
    folder = study.run / "scores"
    saved, store = study.load("teacher"), study.store("source")
    if saved.card.features is None and store is not None:
        logger.info("scores: the teacher learnt from captions alone, so it judges the source's captions alone")
        store = None
    probabilities = score(saved, study.pairs("source"), store, folder, study.config.teacher.eval_batch_size)
    write_array(folder / "probabilities.npy", probabilities)


def pseudo_labels(study: Study, settings: PseudoLabelConfig, seed: int) -> tuple[Selection, np.ndarray, np.ndarray]:
    """The sample of the source by these settings, its targets (M, E), and the teacher's probabilities (N, E) of all."""
    probabilities = read_array(study.run / "scores" / "probabilities.npy")
    images = study.pairs("source").images
    chosen = select(
        probabilities,
        settings.p,
        settings.k,
        settings.fraction,
        seed,
        images=images,
        min_agreement=settings.min_agreement,
    )
    return chosen, student_targets(probabilities, chosen, settings.targets, p=settings.p, images=images), probabilities


def selection(study: Study) -> None:
    """Select the pseudo-labelled sample, and audit it."""
    settings = study.config.pseudo_labels
    chosen, targets, probabilities = pseudo_labels(study, settings, study.seed)
    report = audit(
        probabilities,
        chosen,
        study.vocabulary.labels,
        study.truth("train"),
        settings.model_dump(include={"p", "k", "fraction", "targets", "min_agreement"}),
    )
    if report["warning"]:
        logger.warning("%s", report["warning"])
    table = pa.table({"row": chosen.rows, "targets": list(targets)}).replace_schema_metadata(
        {"vocabulary": study.vocabulary.hash}
    )
    write_json(study.run / "audit.json", report | {"vocabulary": study.vocabulary.hash})
    with atomic_file(study.run / "selection.parquet") as temporary:
        pq.write_table(table, temporary)


def selected(study: Study) -> tuple[Pairs, np.ndarray]:
    """The pseudo-labelled sample, and its targets (M, E) float32.

    Raises:
        EmocapError: the selection is of another vocabulary.
    """
    table = read_parquet(study.run / "selection.parquet")
    found = (table.schema.metadata or {}).get(b"vocabulary", b"").decode()
    if found != study.vocabulary.hash:
        raise EmocapError(
            f"{study.run / 'selection.parquet'}: vocabulary {found!r}, expected {study.vocabulary.hash}; "
            "delete it and run again"
        )
    targets = np.array(table["targets"].to_pylist(), dtype=np.float32)
    return study.pairs("source").select(table["row"].to_numpy()), targets


def student(study: Study) -> None:
    """Pre-train the student on the pseudo-labelled sample."""
    sample, targets = selected(study)
    model, tokenizer = study.fresh_model(study.seed + 1)
    start_at_frequencies(model, targets)
    settings = study.config.student
    training = study.dataset(tokenizer, sample, "source", targets)
    history = pretrain(study, "student", model, training, settings, study.seed)
    finish(study, "student", model, tokenizer, history, settings.eval_batch_size)


def back_to_target(study: Study, run: str) -> None:
    """Move the layers of the student, or of the labelled source's model, to the target: frozen (AnB) or not (AnB+)."""
    settings = study.config.transfer
    saved = study.load("labelled" if run.startswith("labelled") else "student")
    copied = settings.head == "copied" and not run.startswith("labelled")
    model = move_layers(
        study, saved.model, settings.n_transferred, freeze=not run.endswith("+"), copy_head=copied, seed=study.seed + 2
    )
    fit_on_target(study, run, model, saved.tokenizer, settings.AnB_plus if run.endswith("+") else settings.AnB)


def move_layers(
    study: Study,
    base: VisualBertForEmotion,
    n: int | None,
    *,
    freeze: bool,
    seed: int,
    copy_head: bool = False,
) -> VisualBertForEmotion:
    """A model of the target with the lowest n layers of `base`, whatever emotions that knew, ready to train."""
    model = transfer(base, n, freeze=freeze, copy_head=copy_head, seed=seed, vocabulary=study.vocabulary)
    if not copy_head:
        start_at_frequencies(model, study.training_targets("train"))
    return model
