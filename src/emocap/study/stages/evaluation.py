"""Every model against the held-out pairs of all units together: baselines, intervals, calibration, people, studies."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.annotators import annotator_emotions
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import emotion_notes, group_key
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.calibration import calibrate
from emocap.evaluation.human_agreement import human_ceiling
from emocap.evaluation.metrics import METRICS, evaluate
from emocap.evaluation.predictions import ModelPredictions, write_predictions
from emocap.evaluation.significance import calibration_report, compare_models
from emocap.files import write_json
from emocap.study.config.study import StudyConfig
from emocap.study.gallery import write_gallery
from emocap.study.stages.held_out import calibrated, ensemble, joined, pooled
from emocap.study.stages.sub_studies import studies
from emocap.study.unit import Unit

logger = logging.getLogger("emocap")
PRIMARY = "mean_average_precision"


def evaluation(units: Sequence[Unit]) -> None:
    """Score every model on the held-out pairs of all units: `results.json`, `predictions.parquet` and the gallery.

    Args:
        units: one per seed and fold; a seed's folds are pooled, seeds are repeats.
    """
    study = units[0]
    config, vocabulary, pairs = study.config, study.vocabulary, study.pairs("target")
    targets, labels = pairs.targets(vocabulary), vocabulary.labels
    images = group_key(pairs, study.same_content)
    found, validation, temperatures = answers_of(units, targets)
    n_bootstrap = config.evaluation.n_bootstrap

    def compared(given: dict[str, list[ModelPredictions]], references: list[str]) -> dict[str, Any]:
        return compare_models(
            given, targets, images, labels, references=references, n_bootstrap=n_bootstrap, seed=config.seed
        )

    rivals = ["AnB+"] if "labelled_AnB+" in found and "AnB+" in found else []
    references = list(dict.fromkeys([config.evaluation.reference, "prior", *config.baselines.names, *rivals]))
    tested = np.unique(np.concatenate([unit.rows["test"] for unit in units]))
    results: dict[str, Any] = {
        "schema": 2,
        "labels": list(labels),
        "vocabulary": vocabulary.hash,
        "n_test_pairs": len(tested),
        "n_test_images": len({images[row] for row in tested}),
        "folds": config.folds,
        "seeds": config.all_seeds,
        "n_bootstrap": n_bootstrap,
        "reference": config.evaluation.reference,
        "metrics": {name: {"higher_is_better": metric.higher_is_better} for name, metric in METRICS.items()},
        "kinds": {name: _kind(config.models, name) for name in found},
        "validation": {name: {PRIMARY: score} for name, score in validation.items()},
        "chosen": chosen(config, validation),
        **compared(found, references),
        "calibration": {
            name: calibration_report(repeats, targets) | {"temperature": temperatures[name]}
            for name, repeats in found.items()
        },
        "emotions": {
            "positives": dict(zip(labels, targets[tested].sum(axis=0).astype(int).tolist(), strict=True)),
            "notes": emotion_notes(targets, [unit.rows for unit in units], labels),
        },
        "human": human(study, pairs, found),
        **studies(units, targets, compared),
    }
    if results["human"] is None and pairs.table["annotations"].null_count < len(pairs):
        results["emotions"]["notes"].append(
            "No tested pair has two annotators, so that nothing tells what people reach."
        )
    if config.target.oracle is not None:
        results["ceiling"] = ceiling(units, targets, read_oracle(study.place(config.target.oracle), pairs, vocabulary))
    best = found[results["chosen"]][0]
    shown = pairs.select(best.rows)
    write_gallery(study.root, results["chosen"], shown, best.probabilities, targets[best.rows], vocabulary)
    write_predictions(
        study.root / "predictions.parquet",
        found,
        pair_ids=pairs.pair_ids,
        images=images,
        targets=targets,
        labels=labels,
        seeds=config.all_seeds,
    )
    write_json(study.root / "results.json", results)


def answers_of(
    units: Sequence[Unit], targets: np.ndarray
) -> tuple[dict[str, list[ModelPredictions]], dict[str, float], dict[str, list[float]]]:
    """By model, baselines first: its repeats, its validation mAP, and its temperatures."""
    config = units[0].config
    found: dict[str, list[ModelPredictions]] = {}
    validation: dict[str, float] = {}
    temperatures: dict[str, list[float]] = {}
    for name in ["prior", *config.baselines.names, *config.models]:
        folder = _folder_of(config.models, name)
        found[name], validation[name], temperatures[name] = pooled(units, targets, folder, scaled=name != "prior")
    if config.members:
        found["ensemble"], validation["ensemble"], temperatures["ensemble"] = ensemble(units, targets, config.members)
    return found, validation, temperatures


def _folder_of(models: Sequence[str], name: str) -> str:
    return name if name in models else f"baselines/{name}"


def _kind(models: Sequence[str], name: str) -> str:
    return "study" if name in models else "ensemble" if name == "ensemble" else "baseline"


def chosen(config: StudyConfig, validation: dict[str, float]) -> str:
    """The model that speaks for the study, chosen without a look at any test pair.

    The ensemble where there is one: what it holds is fixed beforehand. Else the best on the validation pairs of a
    single split, but over folds, whose validation pairs are test pairs of others, the last model of the study.
    """
    if config.members:
        return "ensemble"
    return config.models[-1] if config.folds is not None else max(config.models, key=validation.__getitem__)


def ceiling(units: Sequence[Unit], targets: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """What the true probabilities (M, E) score, F1 at thresholds from the validation pairs as for every model."""
    seed = units[0].seed
    parts = []
    for unit in (unit for unit in units if unit.seed == seed):
        validation = unit.rows["validation"]
        parts.append(calibrated(unit, calibrate(truth[validation], targets[validation]), truth[unit.rows["test"]]))
    answers, labels = joined(parts), units[0].vocabulary.labels
    own = targets[answers.rows]
    tuned = evaluate(answers.probabilities, own, labels, threshold=answers.threshold, thresholds=answers.thresholds)
    return evaluate(answers.raw, own, labels) | {name: tuned[name] for name in ("micro_f1", "macro_f1")}


def human(study: Unit, pairs: Pairs, answers: dict[str, list[ModelPredictions]]) -> dict[str, Any] | None:
    """What people reach against each other, where the corpus keeps annotators apart."""
    if pairs.table["annotations"].null_count == len(pairs):
        return None
    priors = np.zeros((len(pairs), len(study.vocabulary)))
    for found in answers["prior"]:
        priors[found.rows] = found.raw  # each pair's own training pairs, which no fold shares with its test pairs
    return human_ceiling(annotator_emotions(pairs, study.vocabulary), answers, study.vocabulary.labels, priors)


def read_oracle(path: Path, pairs: Pairs, vocabulary: Vocabulary) -> np.ndarray:
    """(N, E) true probabilities of these pairs, in the vocabulary's order.

    Raises:
        EmocapError: the file cannot be read, or lacks a pair or an emotion.
    """
    try:
        table = pq.read_table(path)
        labels = json.loads(table.schema.metadata[b"labels"])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise EmocapError(
            f"{path}: not an oracle of emocap's scenes ({type(error).__name__}); write the corpora again"
        ) from None
    rows = {pair_id: row for row, pair_id in enumerate(table["pair_id"].to_pylist())}
    missing = [pair_id for pair_id in pairs.pair_ids if pair_id not in rows]
    absent = [label for label in vocabulary.labels if label not in labels]
    if missing or absent:
        raise EmocapError(f"{path}: lacks {(missing or absent)[0]!r}; write the corpora again")
    probabilities = np.array(table["probabilities"].to_pylist(), dtype=np.float64)
    columns = [labels.index(label) for label in vocabulary.labels]
    return probabilities[[rows[pair_id] for pair_id in pairs.pair_ids]][:, columns]
