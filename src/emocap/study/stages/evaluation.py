"""Every model against the held-out pairs of all units together: baselines, intervals, calibration, people, studies."""

import contextlib
import json
import logging
from collections.abc import Callable, Sequence
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
from emocap.evaluation.calibration import Calibration, calibrate, scale
from emocap.evaluation.human_agreement import human_ceiling
from emocap.evaluation.metrics import METRICS, evaluate
from emocap.evaluation.predictions import ModelPredictions, write_predictions
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.evaluation.significance import calibration_of, compare_models
from emocap.files import read_array, read_json, write_json
from emocap.study.config.study import StudyConfig
from emocap.study.gallery import write_gallery
from emocap.study.stages import modality_ablation as signal
from emocap.study.stages import pseudo_label_study, transfer_study
from emocap.study.unit import Unit

logger = logging.getLogger("emocap")
PRIMARY = "mean_average_precision"
Compared = Callable[[dict[str, list[ModelPredictions]], list[str]], dict[str, Any]]


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
            name: calibration_of(repeats, targets) | {"temperature": temperatures[name]}
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


def studies(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any]:
    """What carries the signal, the transfer study and the study of pseudo-labels; null for what was not asked for."""
    config = units[0].config
    found: dict[str, Any] = {"signal": None, "transfer_study": None, "pseudo_label_study": None}
    if config.target_has_pictures:
        found["signal"] = signal_results(units, targets, compared)
    if config.transfer.layers is not None:
        references = ["teacher", *(transfer_study.name_of("BnB+", n) for n in config.transfer.layers)]
        if not config.transfer.controls:
            references = []
        found["transfer_study"] = study_results(units, targets, transfer_study.FOLDER, references, compared)
    if config.pseudo_labels.study is not None:
        found["pseudo_label_study"] = study_results(units, targets, pseudo_label_study.FOLDER, ["base"], compared)
    return found


def _folder_of(models: Sequence[str], name: str) -> str:
    return name if name in models else f"baselines/{name}"


def _kind(models: Sequence[str], name: str) -> str:
    return "study" if name in models else "ensemble" if name == "ensemble" else "baseline"


def stored(study: Unit, folder: str, part: str) -> np.ndarray:
    """(N, E) probabilities that a run gave the "validation" or "test" pairs of a unit.

    Raises:
        EmocapError: they are missing, damaged or of other pairs; what to delete is named.
    """
    return _probabilities(study, f"{folder}/{part}_probabilities.npy", len(study.rows[part]))


def _probabilities(study: Unit, file: str, n: int) -> np.ndarray:
    path, expected = study.run / file, (n, len(study.vocabulary))
    fault = "missing, cut short or damaged"
    with contextlib.suppress(EmocapError):
        found = read_array(path)
        if found.shape == expected and found.dtype.kind == "f" and ((found >= 0) & (found <= 1)).all():
            return found
        fault = f"holds {found.dtype} {found.shape}, expected probabilities {expected}"
    raise EmocapError(f"{path}: {fault}; delete {_redone(study, file)} and run again")


def _redone(study: Unit, file: str) -> Path:
    """What has to be deleted so that a file of a unit is made again: the unit, or the folder of its stage."""
    return study.run if study.run != study.root else study.run / file.split("/")[0]


def _index(study: Unit, file: str, keys: dict[str, type]) -> dict[str, Any]:
    """The JSON object of a study's stage, its keys holding what they should."""
    path = study.run / file
    with contextlib.suppress(EmocapError):
        found = read_json(path)
        if isinstance(found, dict) and all(
            isinstance(found.get(key), kind) and found[key] for key, kind in keys.items()
        ):
            return found
    raise EmocapError(f"{path}: missing or damaged; delete {_redone(study, file)} and run again")


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


def pooled(
    units: Sequence[Unit], targets: np.ndarray, folder: str, *, scaled: bool = True
) -> tuple[list[ModelPredictions], float, list[float]]:
    """A run's answers, one repeat a seed, calibrated in each unit on its validation pairs.

    Args:
        scaled: whether by a temperature; the prior is to stay the frequencies that it is, and has thresholds alone.

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


def calibrated(unit: Study, found: Calibration, test: np.ndarray, rows: np.ndarray | None = None) -> ModelPredictions:
    """ModelPredictions (N, E) to a unit's test pairs, or to `rows` of them, scaled and with thresholds."""
    n = len(test)
    return ModelPredictions(
        rows=unit.rows["test"] if rows is None else rows,
        raw=test.astype(np.float32),
        probabilities=scale(test, found.temperature).astype(np.float32),
        threshold=np.full(n, found.threshold, dtype=np.float32),
        thresholds=np.tile(found.thresholds.astype(np.float32), (n, 1)),
    )


def joined(parts: Sequence[ModelPredictions]) -> ModelPredictions:
    """The folds of one repeat as one."""
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
    """The members' logits averaged over models and seeds, as one repeat, with what `pooled` gives beside."""
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


def human(study: Unit, pairs: Pairs, answers: dict[str, list[ModelPredictions]]) -> dict[str, Any] | None:
    """What people reach against each other, where the corpus keeps annotators apart."""
    if pairs.table["annotations"].null_count == len(pairs):
        return None
    priors = np.zeros((len(pairs), len(study.vocabulary)))
    for found in answers["prior"]:
        priors[found.rows] = found.raw  # each pair's own training pairs, which no fold shares with its test pairs
    return human_ceiling(annotator_emotions(pairs, study.vocabulary), answers, study.vocabulary.labels, priors)


def signal_results(units: Sequence[Unit], targets: np.ndarray, compared: Compared) -> dict[str, Any] | None:
    """What carries the signal, over the test pairs with a picture; None where there are none."""
    run = _index(units[0], f"{signal.FOLDER}/model.json", {"model": str})["model"]
    found: dict[str, list[ModelPredictions]] = {}
    for view in signal.VIEWS:
        for seed in dict.fromkeys(unit.seed for unit in units):
            parts = []
            for unit in (unit for unit in units if unit.seed == seed):
                rows = read_array(unit.run / signal.FOLDER / "rows.npy")
                if len(rows):
                    test = _probabilities(unit, f"{signal.FOLDER}/{view}_probabilities.npy", len(rows))
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
