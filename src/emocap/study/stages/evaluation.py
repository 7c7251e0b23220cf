"""The stage that scores every model on the held-out pairs of all units, with intervals, calibration and sub-studies."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.annotators import annotator_emotions
from emocap.corpora.groups import image_key
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import emotion_notes
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.human_agreement import human_ceiling
from emocap.evaluation.metrics import METRICS, PRIMARY, evaluate, varying_metrics
from emocap.evaluation.predictions import ModelPredictions, write_predictions
from emocap.evaluation.rating_ceiling import noise_ceiling
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.evaluation.reliability import calibration_report
from emocap.evaluation.significance import compare_models, without_emotions
from emocap.files import write_json
from emocap.ratings import Ratings
from emocap.study.gallery import write_gallery
from emocap.study.stages.choices import BEST_BASELINE, chosen, comparison_baseline, recommended
from emocap.study.stages.held_out import HeldOut, calibrated, ensemble, fitted_calibration, joined, pooled
from emocap.study.stages.sub_studies import studies
from emocap.study.training_unit import TrainingUnit

logger = logging.getLogger("emocap")


def evaluation(units: Sequence[TrainingUnit]) -> None:
    """Score every model on the held-out pairs of all units: `results.json`, `predictions.parquet` and the gallery.

    Args:
        units: one per seed and fold; a seed's folds are pooled, seeds are repeats.
    """
    study = units[0]
    config, vocabulary, pairs = study.config, study.vocabulary, study.pairs("target")
    targets, ratings = pairs.targets(vocabulary), study.ratings
    held_out = held_out_of(units, targets)
    baseline, chosen_in, of_baseline = comparison_baseline({name: held_out[name] for name in config.baseline_names})
    if baseline == BEST_BASELINE:
        held_out = _inserted(held_out, BEST_BASELINE, of_baseline, after=config.baseline_names[-1])
    predictions = {name: found.repeats for name, found in held_out.items()}
    validation = {name: found.validation for name, found in held_out.items()}

    compared = partial(_compared, study)
    results = {
        **_description(units, image_key(pairs, study.same_content)),
        "kinds": {name: study.models[name].kind for name in predictions},
        "validation": {name: _validation(found, vocabulary, ratings) for name, found in held_out.items()},
        "chosen": chosen(config, validation),
        "recommended": recommended({name: validation[name] for name in validation if name not in config.controls}),
        "uses_images": uses_images(study, predictions, chosen_in),
        "comparison_baseline": {"model": baseline, "chosen_in": chosen_in},
        **compared(predictions, _references(study, predictions)),
        "calibration": _calibration(study, held_out, targets),
        "emotions": _emotions(units, targets),
        "human": human(study, pairs, predictions),
        **studies(units, targets, compared),
    }
    if ratings:
        results["ratings"]["ceiling"] = rating_ceiling(units, ratings)
    if len(vocabulary) and results["human"] is None and pairs.table["annotations"].null_count < len(pairs):
        results["emotions"]["notes"].append(
            "No test pair has two annotators who named an emotion, so human agreement cannot be measured."
        )
    if config.target.oracle is not None:
        results["ceiling"] = ceiling(units, targets, read_oracle(study.place(config.target.oracle), pairs, vocabulary))
    best = predictions[results["chosen"]][0]
    shown = pairs.select(best.rows)
    write_gallery(study.root, results["chosen"], shown, best.probabilities, targets[best.rows], vocabulary)
    write_predictions(
        study.root / "predictions.parquet",
        predictions,
        pair_ids=pairs.pair_ids,
        images=study.groups,
        targets=targets,
        labels=vocabulary.labels,
        seeds=config.all_seeds,
        ratings=pairs.rating_values(ratings.names),
        rating_names=ratings.names,
    )
    write_json(study.root / "results.json", results)


def _compared(study: TrainingUnit, models: dict[str, list[ModelPredictions]], references: list[str]) -> dict[str, Any]:
    """The models' scores of emotions, as `compare_models`, and of ratings, as `compare_ratings`, in `ratings`."""
    config, pairs, vocabulary, ratings = study.config, study.pairs("target"), study.vocabulary, study.ratings
    settings: dict[str, Any] = {"n_bootstrap": config.evaluation.n_bootstrap, "seed": config.seed}
    settings |= {"references": references}
    found = without_emotions(models, study.groups, references)
    if len(vocabulary):
        found = compare_models(models, pairs.targets(vocabulary), study.groups, vocabulary.labels, **settings)
    if not ratings:
        return found
    true = pairs.rating_values(ratings.names)
    return found | {"ratings": compare_ratings(models, true, study.groups, ratings, **settings)}


def _calibration(study: TrainingUnit, held_out: Mapping[str, HeldOut], targets: np.ndarray) -> dict[str, Any]:
    """How reliable each model's probabilities of the emotions are; nothing without emotions."""
    prior, labels = held_out["prior"].repeats, study.vocabulary.labels
    settings: dict[str, Any] = {"n_bootstrap": study.config.evaluation.n_bootstrap, "seed": study.config.seed}
    return {
        name: calibration_report(found.repeats, prior, targets, labels, images=study.groups, **settings)
        | {"methods": found.methods}
        for name, found in held_out.items()
        if labels
    }


def _validation(found: HeldOut, vocabulary: Vocabulary, ratings: Ratings) -> dict[str, float]:
    """A model's scores on the validation pairs; the first one chooses models."""
    of_emotions = {PRIMARY: found.validation} if len(vocabulary) else {}
    return of_emotions | ({RATING_PRIMARY: found.rating_validation} if ratings else {})


def rating_ceiling(units: Sequence[TrainingUnit], ratings: Ratings) -> dict[str, dict[str, float] | None]:
    """What the true mean ratings would reach against those of the test pairs, by rating; None where it is unknown."""
    tested = units[0].pairs("target").select(_tested(units))
    columns = (tested.rating_values(ratings.names, key) for key in ("value", "sd", "n"))
    by_rating = zip(ratings, *(column.T for column in columns), strict=True)
    return {rating.name: noise_ceiling(values, sds, numbers, rating.span) for rating, values, sds, numbers in by_rating}


def _description(units: Sequence[TrainingUnit], images: Sequence[str]) -> dict[str, Any]:
    """What was evaluated, and how."""
    config, vocabulary, tested = units[0].config, units[0].vocabulary, _tested(units)
    return {
        "schema": 3,
        "labels": list(vocabulary.labels),
        "vocabulary": vocabulary.hash,
        "n_test_pairs": len(tested),
        "n_test_images": len({images[row] for row in tested}),
        "has_captions": units[0].has_captions("target"),
        "folds": config.folds,
        "seeds": config.all_seeds,
        "n_bootstrap": config.evaluation.n_bootstrap,
        "reference": config.evaluation.reference,
        "metrics": {
            name: {"higher_is_better": METRICS[name].higher_is_better} for name in varying_metrics(len(vocabulary))
        },
    }


def uses_images(study: TrainingUnit, names: Iterable[str], selected: Iterable[str]) -> dict[str, bool]:
    """Whether each model reads region features; an ensemble reads what its members read.

    Args:
        names: of the models.
        selected: the baselines whose predictions are those of `best_baseline`.
    """

    def reads_features(name: str) -> bool:
        model = study.models[name]
        if model.kind in ("ensemble", "selection"):
            return any(map(reads_features, study.config.members if model.kind == "ensemble" else selected))
        if model.kind == "baseline":
            return "image" in model.reads
        return model.kind in ("study", "control") and any(
            study.store_path(domain) is not None for domain in model.features_from
        )

    return {name: reads_features(name) for name in names}


def _tested(units: Sequence[TrainingUnit]) -> np.ndarray:
    """Rows of the pairs that any unit tests."""
    return np.unique(np.concatenate([unit.rows["test"] for unit in units]))


def _references(study: TrainingUnit, predictions: Mapping[str, Any]) -> list[str]:
    """The models that all others are compared with."""
    config = study.config
    rivals = ["AnB+"] if {"labelled_AnB+", "AnB+"} <= set(predictions) else []
    rivals += [name for name in config.controls if study.models[name].starts_from != "backbone"]
    rivals += ["teacher_text"] if config.evaluation.text_alone else []
    selection = [BEST_BASELINE] if BEST_BASELINE in predictions else []
    return list(dict.fromkeys([config.evaluation.reference, *config.baseline_names, *selection, *rivals]))


def _emotions(units: Sequence[TrainingUnit], targets: np.ndarray) -> dict[str, Any]:
    labels = units[0].vocabulary.labels
    positives = targets[_tested(units)].sum(axis=0).astype(int).tolist()
    return {
        "positives": dict(zip(labels, positives, strict=True)),
        "notes": emotion_notes(targets, [unit.rows for unit in units], labels),
    }


def held_out_of(units: Sequence[TrainingUnit], targets: np.ndarray) -> dict[str, HeldOut]:
    """Every model's predictions for the test pairs, baselines first."""
    config = units[0].config
    found: dict[str, HeldOut] = {}
    for name in [*config.baseline_names, *config.models, *config.controls]:
        found[name] = pooled(units, targets, units[0].place_of(name), scaled=name != "prior")
    if config.members:
        found["ensemble"] = ensemble(units, targets, [units[0].place_of(name) for name in config.members])
    return found


def _inserted(held_out: dict[str, HeldOut], name: str, found: HeldOut, *, after: str) -> dict[str, HeldOut]:
    """The same with one more model after another one."""
    models = list(held_out.items())
    place = list(held_out).index(after) + 1
    return dict([*models[:place], (name, found), *models[place:]])


def ceiling(units: Sequence[TrainingUnit], targets: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Scores of the true probabilities (M, E), with F1 at thresholds from the validation pairs as for every model."""
    seed = units[0].seed
    parts = []
    for unit in (unit for unit in units if unit.seed == seed):
        calibration = fitted_calibration(unit, targets, truth[unit.rows["validation"]])
        parts.append(calibrated(unit, calibration, truth[unit.rows["test"]]))
    oracle, labels = joined(parts), units[0].vocabulary.labels
    own = targets[oracle.rows]
    tuned = evaluate(oracle.probabilities, own, labels, threshold=oracle.threshold, thresholds=oracle.thresholds)
    fitted = ("micro_f1", "micro_f1_per_label", "macro_f1")
    return evaluate(oracle.raw, own, labels) | {name: tuned[name] for name in fitted}


def human(study: TrainingUnit, pairs: Pairs, predictions: dict[str, list[ModelPredictions]]) -> dict[str, Any] | None:
    """Human agreement on emotions, where the corpus has separate annotators; else None."""
    if not len(study.vocabulary) or pairs.table["annotations"].null_count == len(pairs):
        return None
    priors = np.zeros((len(pairs), len(study.vocabulary)))
    for repeat in predictions["prior"]:
        priors[repeat.rows] = repeat.raw  # each pair's own training pairs, which no fold shares with its test pairs
    return human_ceiling(
        annotator_emotions(pairs, study.vocabulary),
        predictions,
        study.vocabulary.labels,
        priors,
        images=study.groups,
        n_bootstrap=study.config.evaluation.n_bootstrap,
    )


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
            f"{path}: not an oracle of the synthetic corpora ({type(error).__name__}); write the corpora again"
        ) from None
    rows = {pair_id: row for row, pair_id in enumerate(table["pair_id"].to_pylist())}
    missing = [pair_id for pair_id in pairs.pair_ids if pair_id not in rows]
    absent = [label for label in vocabulary.labels if label not in labels]
    if missing or absent:
        raise EmocapError(f"{path}: lacks {(missing or absent)[0]!r}; write the corpora again")
    probabilities = np.array(table["probabilities"].to_pylist(), dtype=np.float64)
    columns = [labels.index(label) for label in vocabulary.labels]
    return probabilities[[rows[pair_id] for pair_id in pairs.pair_ids]][:, columns]
