"""Every model against the held-out pairs of all units together: baselines, intervals, calibration, people, studies."""

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
from emocap.evaluation.calibration import calibrate, scale
from emocap.evaluation.human import human_ceiling
from emocap.evaluation.metrics import HIGHER_IS_BETTER, evaluate, mean_average_precision
from emocap.evaluation.predictions import Answers, write_predictions
from emocap.evaluation.significance import calibration_of, compare_models
from emocap.files import read_array, read_json, write_json
from emocap.study import pseudo_label_study, signal, transfer_study
from emocap.study.gallery import write_gallery
from emocap.study.study import Study

logger = logging.getLogger("emocap")
PRIMARY = "mean_average_precision"
Probabilities = Callable[[Study, str], np.ndarray]


def evaluation(units: Sequence[Study]) -> None:
    """Score every model on the held-out pairs of all units: `results.json`, `predictions.parquet` and the gallery.

    Args:
        units: one per seed and fold; a seed's folds are pooled, seeds are repeats.
    """
    study = units[0]
    config, vocabulary, pairs = study.config, study.vocabulary, study.pairs("target")
    targets, labels = pairs.targets(vocabulary), vocabulary.labels
    images = group_key(pairs, study.same_content)
    names = ["prior", *config.baselines.names, *config.models]
    answers = {name: pooled(units, targets, _folder_of(config.models, name)) for name in names}
    if config.members:
        answers["ensemble"] = ensemble(units, targets, config.members)
    found = {name: repeats for name, (repeats, _) in answers.items()}
    n_bootstrap = config.evaluation.n_bootstrap

    def compared(given: dict[str, list[Answers]], references: list[str]) -> dict[str, Any]:
        return compare_models(
            given, targets, images, labels, references=references, n_bootstrap=n_bootstrap, seed=config.seed
        )

    references = list(dict.fromkeys([config.evaluation.reference, "prior", *config.baselines.names]))
    tested = np.unique(np.concatenate([unit.rows["test"] for unit in units]))
    validated = {name: score for name, (_, score) in answers.items()}
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
        "metrics": {name: {"higher_is_better": higher} for name, higher in HIGHER_IS_BETTER.items()},
        "kinds": {name: _kind(config.models, name) for name in found},
        "validation": {name: {PRIMARY: score} for name, score in validated.items()},
        "chosen": max((name for name in found if _kind(config.models, name) != "baseline"), key=validated.__getitem__),
        **compared(found, references),
        "calibration": {
            name: calibration_of(repeats, targets)
            | {"temperature": temperatures_of(units, targets, name, config.models)}
            for name, repeats in found.items()
        },
        "emotions": {
            "positives": dict(zip(labels, targets[tested].sum(axis=0).astype(int).tolist(), strict=True)),
            "notes": emotion_notes(targets, [unit.rows for unit in units], labels),
        },
        "human": human(study, pairs, found),
        "signal": signal_results(units, targets, compared),
        "transfer_study": study_results(units, targets, transfer_study.FOLDER, "teacher", compared),
        "pseudo_label_study": study_results(units, targets, pseudo_label_study.FOLDER, "base", compared),
    }
    if config.target.oracle is not None:
        truth = read_oracle(study.place(config.target.oracle), pairs, vocabulary)
        results["ceiling"] = evaluate(truth[tested], targets[tested], labels)
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


def _folder_of(models: Sequence[str], name: str) -> str:
    return name if name in models else f"baselines/{name}"


def _kind(models: Sequence[str], name: str) -> str:
    return "study" if name in models else "ensemble" if name == "ensemble" else "baseline"


def stored(study: Study, folder: str, part: str) -> np.ndarray:
    """(N, E) probabilities that a run gave the "validation" or "test" pairs of a unit.

    Raises:
        EmocapError: they are damaged or of other pairs.
    """
    path = study.run / folder / f"{part}_probabilities.npy"
    probabilities = read_array(path)
    expected = (len(study.rows[part]), len(study.vocabulary))
    if probabilities.shape != expected:
        raise EmocapError(f"{path}: holds {probabilities.shape}, expected {expected}; delete its folder and run again")
    return probabilities


def pooled(units: Sequence[Study], targets: np.ndarray, folder: str) -> tuple[list[Answers], float]:
    """A run's answers, one repeat a seed, calibrated in each unit on its validation pairs; and its validation mAP."""
    repeats, scores = [], []
    for seed in dict.fromkeys(unit.seed for unit in units):
        parts = []
        for unit in (unit for unit in units if unit.seed == seed):
            validation = stored(unit, folder, "validation")
            parts.append(calibrated(unit, targets, validation, stored(unit, folder, "test")))
            scores.append(mean_average_precision(validation, targets[unit.rows["validation"]]))
        repeats.append(joined(parts))
    return repeats, float(np.mean(scores))


def calibrated(
    unit: Study, targets: np.ndarray, validation: np.ndarray, test: np.ndarray, rows: np.ndarray | None = None
) -> Answers:
    """Answers (N, E) to a unit's test pairs, scaled and with thresholds as its validation pairs (V, E) say."""
    found = calibrate(validation, targets[unit.rows["validation"]])
    n = len(test)
    return Answers(
        rows=unit.rows["test"] if rows is None else rows,
        raw=test.astype(np.float32),
        probabilities=scale(test, found.temperature).astype(np.float32),
        threshold=np.full(n, found.threshold, dtype=np.float32),
        thresholds=np.tile(found.thresholds.astype(np.float32), (n, 1)),
    )


def joined(parts: Sequence[Answers]) -> Answers:
    """The folds of one repeat as one."""
    names = ("rows", "raw", "probabilities", "threshold", "thresholds")
    return Answers(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def mean_of_logits(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """(N, E) probabilities at the mean of the models' logits.

    >>> mean_of_logits([np.array([[.5]]), np.array([[.5]])]).tolist()
    [[0.5]]
    """
    clipped = [np.clip(np.asarray(p, dtype=np.float64), 1e-7, 1 - 1e-7) for p in probabilities]
    logits = np.mean([np.log(p) - np.log1p(-p) for p in clipped], axis=0)
    return 1 / (1 + np.exp(-logits))


def ensemble(units: Sequence[Study], targets: np.ndarray, members: Sequence[str]) -> tuple[list[Answers], float]:
    """The members' logits averaged over models and seeds, as one repeat; and its validation mAP."""
    parts, scores = [], []
    for fold in dict.fromkeys(unit.fold for unit in units):
        same = [unit for unit in units if unit.fold == fold]
        validation, test = (
            mean_of_logits([stored(unit, member, part) for unit in same for member in members])
            for part in ("validation", "test")
        )
        parts.append(calibrated(same[0], targets, validation, test))
        scores.append(mean_average_precision(validation, targets[same[0].rows["validation"]]))
    return [joined(parts)], float(np.mean(scores))


def temperatures_of(units: Sequence[Study], targets: np.ndarray, name: str, models: Sequence[str]) -> list[float]:
    """The temperature of every unit; none for the ensemble's, which has one a fold."""
    if name == "ensemble":
        return []
    folder = _folder_of(models, name)
    return [
        calibrate(stored(unit, folder, "validation"), targets[unit.rows["validation"]]).temperature for unit in units
    ]


def human(study: Study, pairs: Pairs, answers: dict[str, list[Answers]]) -> dict[str, Any] | None:
    """What people reach against each other, where the corpus keeps annotators apart."""
    if pairs.table["annotations"].null_count == len(pairs):
        return None
    named = annotator_emotions(pairs, study.vocabulary)
    return human_ceiling(named, answers, study.vocabulary.labels, study.truth("train").mean(axis=0))


def signal_results(
    units: Sequence[Study], targets: np.ndarray, compared: Callable[[dict[str, list[Answers]], list[str]], Any]
) -> dict[str, Any] | None:
    """What carries the signal, over the test pairs with a picture; None where there are none."""
    if not (units[0].run / signal.FOLDER).is_dir():
        return None
    run = read_json(units[0].run / signal.FOLDER / "model.json")["model"]
    found: dict[str, list[Answers]] = {}
    for view in signal.VIEWS:
        for seed in dict.fromkeys(unit.seed for unit in units):
            parts = []
            for unit in (unit for unit in units if unit.seed == seed):
                rows = read_array(unit.run / signal.FOLDER / "rows.npy")
                if len(rows):
                    test = read_array(unit.run / signal.FOLDER / f"{view}_probabilities.npy")
                    parts.append(calibrated(unit, targets, stored(unit, run, "validation"), test, rows))
            if parts:
                found.setdefault(view, []).append(joined(parts))
    if not found:
        return None
    n = len(found["both"][0].rows)
    return {"model": run, "n_pairs": n} | compared(found, ["both"])


def study_results(
    units: Sequence[Study],
    targets: np.ndarray,
    folder: str,
    reference: str,
    compared: Callable[[dict[str, list[Answers]], list[str]], Any],
) -> dict[str, Any] | None:
    """The points of the transfer study or the study of pseudo-labels; None where the study has none."""
    path = units[0].run / folder / "points.json"
    if not path.is_file():
        return None
    index = read_json(path)
    found: dict[str, list[Answers]] = {}
    for point in index["points"]:
        for seed in index["seeds"]:
            repeats, _ = pooled(units, targets, f"{folder}/{point['model']}_s{seed}")
            found.setdefault(point["model"], []).extend(repeats)
    return index | compared(found, [reference] if reference in found else [])


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
