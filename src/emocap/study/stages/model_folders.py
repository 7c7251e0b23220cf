"""The stage that makes every model usable: ensembles as model folders, a score beside each model, one recommended.

Over several folds or seeds `models/NAME/model` is an ensemble of that model's units, and `models/ensemble/model` one of
the folds' ensembles: no pair tests it, so the score beside it is that of its members, each on its own test pairs.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emocap.classifiers.ensemble import ENSEMBLE, save_ensemble
from emocap.classifiers.evaluation_file import write_evaluation
from emocap.classifiers.places import RECOMMENDED
from emocap.evaluation.calibration import Calibration, uncalibrated
from emocap.evaluation.metrics import PRIMARY
from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.evaluation.verdicts import Verdict, decide
from emocap.files import read_json, write_json
from emocap.study.model_card import calibration_card
from emocap.study.stages.choices import BEST_BASELINE, recommended
from emocap.study.stages.held_out import ensemble
from emocap.study.training_unit import TrainingUnit
from emocap.training.card_file import CARD
from emocap.training.checkpoint import ModelCard, read_card

FOLDER = "models"
LEAST_SEEDS = 3  # as the report's verdict
IN_WORDS: dict[Verdict, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "inconclusive": "is not shown to differ from",
    "cannot tell": "cannot be compared with",
}


def model_folders(units: Sequence[TrainingUnit]) -> None:
    """Write the ensembles' folders, `recommended.json`, and an `evaluation.json` beside each card.

    Args:
        units: one per seed and fold. Models whose folders a study over several units did not keep are left out.
    """
    study = units[0]
    results = read_json(study.root / "results.json")
    kept = {name: found for name in _names(study) if (found := _folders(units, name)) is not None}
    folders = {name: found[0] if len(units) == 1 else _over_units(study, name, found) for name, found in kept.items()}
    scored = {name: [*found, folders[name]] for name, found in kept.items()}
    if study.config.members and all(name in kept for name in study.config.members):
        scored[ENSEMBLE] = _ensemble(units, kept)
        folders[ENSEMBLE] = scored[ENSEMBLE][-1]
    _write_evaluations(study, results, scored, len(units) > 1)
    _write_recommended(study, results, folders)


def _names(study: TrainingUnit) -> list[str]:
    return [*study.config.baseline_names, *study.config.models]


def _folders(units: Sequence[TrainingUnit], name: str) -> list[Path] | None:
    """A model's folder in each unit; None unless every unit has it."""
    parents = [unit.run / unit.place_of(name) for unit in units]
    return [parent / "model" for parent in parents] if all((p / "model" / CARD).is_file() for p in parents) else None


def _over_units(study: TrainingUnit, name: str, members: Sequence[Path]) -> Path:
    """Write the ensemble of a model's units, each calibrated on its own validation pairs; returns its folder."""
    cards = [read_card(member) for member in members]
    thresholds = np.mean([card.thresholds or [card.threshold] * len(card.labels) for card in cards], axis=0)
    threshold = float(np.mean([card.threshold for card in cards]))
    calibration = replace(uncalibrated(len(cards[0].labels)), threshold=threshold, thresholds=thresholds)
    return _save(study, name, members, calibration, study.root / FOLDER / name / "model", calibrated_members=True)


def _ensemble(units: Sequence[TrainingUnit], kept: dict[str, list[Path]]) -> list[Path]:
    """Write the study's ensemble for each fold, and that of all folds as the last one; returns their folders."""
    study, members = units[0], units[0].config.members
    folders_of = [study.place_of(name) for name in members]
    found = ensemble(units, study.pairs("target").targets(study.vocabulary), folders_of)
    folds = list(dict.fromkeys(unit.fold for unit in units))
    folders = []
    for fold, evaluated in zip(folds, found.units, strict=True):
        rows = [row for row, unit in enumerate(units) if unit.fold == fold]
        parts = [ENSEMBLE] if len(folds) == 1 else [ENSEMBLE, f"f{fold}"]
        folders.append(
            _save(
                study,
                ENSEMBLE,
                [kept[name][row] for row in rows for name in members],
                evaluated.calibration,
                study.root.joinpath(FOLDER, *parts, "model"),
                calibrated_members=False,
            )
        )
    return [*folders, _over_units(study, ENSEMBLE, folders)] if len(folders) > 1 else folders


def _save(
    study: TrainingUnit,
    name: str,
    members: Sequence[Path],
    calibration: Calibration,
    folder: Path,
    *,
    calibrated_members: bool,
) -> Path:
    cards = [read_card(member) for member in members]
    languages = {card.language for card in cards}
    card: ModelCard = replace(
        cards[0],
        kind=ENSEMBLE,
        run=name,
        members=[Path(os.path.relpath(member, folder)).as_posix() for member in members],
        calibrated_members=calibrated_members,
        temperature=1.0,
        calibration=calibration_card(calibration),
        threshold=calibration.threshold,
        thresholds=[float(threshold) for threshold in calibration.thresholds],
        max_length=max(card.max_length for card in cards),
        features=next((card.features for card in cards if card.features is not None), None),
        frequencies=[float(share) for share in np.mean([card.frequencies or [] for card in cards], axis=0)],
        language=languages.pop() if len(languages) == 1 else None,
        training={"study": study.config.name},
        uses_captions=any(card.uses_captions for card in cards),
    )
    save_ensemble(folder, card)
    return folder


def _write_evaluations(
    study: TrainingUnit, results: dict[str, Any], scored: dict[str, list[Path]], is_over_units: bool
) -> None:
    ranker = study.root / "captioner" / "model" / "ranker"
    known: dict[Path, str] = {}
    for name, folders in scored.items():
        evaluation = evaluation_of(study, results, name)
        copies = [ranker] if (ranker / CARD).is_file() and read_card(ranker).run == name else []
        for folder in dict.fromkeys([*folders, *copies]):
            is_untested = is_over_units and folder == folders[-1] and len(folders) > 1
            note = " The score is that of its members, each on its own test pairs." if is_untested else ""
            write_evaluation(folder, {**evaluation, "verdict": evaluation["verdict"] + note}, known)


def evaluation_of(study: TrainingUnit, results: dict[str, Any], name: str) -> dict[str, Any]:
    """What a model scored on the study's test pairs, beside the baseline that the validation pairs chose.

    That baseline is compared with the prior, and the prior with nothing.

    Args:
        results: contents of `results.json`.
        name: of the model.
    """
    on_validation = results["comparison_baseline"]["model"]
    baseline = on_validation if name != on_validation else "prior"
    metric, scores = primary_scores(results)
    difference = scores["differences"].get(baseline, {}).get(name, {}).get(metric)
    decision = None if difference is None else _decision(results, difference)
    return {
        "data": study.config.name,
        "n_pairs": results["n_test_pairs"],
        "n_images": results["n_test_images"],
        "metric": metric,
        "score": scores["models"][name].get(metric),
        "interval": scores["intervals"][name].get(metric),
        "baseline": baseline,
        "baseline_score": scores["models"][baseline].get(metric),
        "baseline_interval": scores["intervals"][baseline].get(metric),
        "difference": {key: difference[key] for key in ("difference", "low", "high")} if difference else None,
        "decision": decision,
        "verdict": _verdict(study, results, name, baseline, decision),
        "version": version("emocap"),
    } | _ratings_of(results, name)


def primary_scores(results: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The metric by which models are chosen, and where its `models`, `intervals` and `differences` are.

    It is mean average precision, and in a study of ratings alone the mean over ratings of Pearson's r.
    """
    return (PRIMARY, results) if results["labels"] else (RATING_PRIMARY, results["ratings"]["mean"])


def _ratings_of(results: dict[str, Any], name: str) -> dict[str, Any]:
    """What a model scored on each rating, with intervals; nothing where there are none."""
    if "ratings" not in results:
        return {}
    scored = results["ratings"]
    ratings = {
        rating: {"range": scored["range"][rating], "scores": scored["models"][name][rating]}
        | {"intervals": scored["intervals"][name][rating]}
        for rating in scored["names"]
    }
    return {"ratings": ratings}


def _decision(results: dict[str, Any], difference: dict[str, Any]) -> Verdict:
    return decide(
        difference["low"],
        difference["high"],
        higher_is_better=True,  # of both metrics that choose models
        is_enough=results["sample"]["is_enough"],
        deciding_images=difference.get("deciding_images"),
    )


def _verdict(study: TrainingUnit, results: dict[str, Any], name: str, baseline: str, decision: Verdict | None) -> str:
    """One sentence or two on a model and a baseline."""
    label = study.models[name].label
    model = f"T{label[1:]}" if label.startswith("the ") else label
    metric = _metric_in_words(results)
    if decision is None:
        return f"{model} is the model that others are compared with."
    n_pairs, n_images = results["n_test_pairs"], results["n_test_images"]
    sentence = (
        f"{model} {IN_WORDS[decision]} {_baseline_in_words(study, results, baseline)} by "
        f"{metric} on {_sizes(study, n_pairs, n_images)}"
    )
    if decision == "cannot tell":
        return f"{sentence}, {'which is' if n_pairs == 1 else 'which are'} too few."
    return f"{sentence}{_training_runs(study, results, name)}."


def _metric_in_words(results: dict[str, Any]) -> str:
    return "mean average precision" if results["labels"] else "mean Pearson's r of the ratings"


def _baseline_in_words(study: TrainingUnit, results: dict[str, Any], baseline: str) -> str:
    """A baseline's name within a sentence; of the one that each unit chose for itself, how many chose which."""
    if baseline != BEST_BASELINE:
        return study.models[baseline].label
    units = [*(["seed"] if len(results["seeds"]) > 1 else []), *(["fold"] if results["folds"] else [])]
    chosen_in = sorted(results["comparison_baseline"]["chosen_in"].items(), key=lambda item: -item[1])
    counts = ", ".join(f"{study.models[name].label} in {n}" for name, n in chosen_in if n)
    return f"the baseline that the validation pairs of each {' and '.join(units)} preferred ({counts})"


def _sizes(study: TrainingUnit, n_pairs: int, n_images: int) -> str:
    pairs = f"{n_pairs:,} test {'pair' if n_pairs == 1 else 'pairs'}"
    if not study.config.target_has_images:
        return pairs
    return f"{pairs} of {n_images:,} {'image' if n_images == 1 else 'images'}"


def _training_runs(study: TrainingUnit, results: dict[str, Any], name: str) -> str:
    """How often a model was trained, where that is too rare to know how much it varies; otherwise empty."""
    kind, n_seeds = study.models[name].kind, len(results["seeds"])
    n_runs = 1 if kind == "ensemble" else n_seeds
    if kind == "baseline" or n_runs >= LEAST_SEEDS:
        return ""
    runs = "one training run" if n_runs == 1 else "two training runs"
    averaged = f" of an ensemble over {n_seeds} seeds" if n_runs < n_seeds else ""
    return f", in {runs}{averaged}{' per fold' if results['folds'] else ''}"


def _write_recommended(study: TrainingUnit, results: dict[str, Any], folders: dict[str, Path]) -> None:
    metric, _ = primary_scores(results)
    validation = {name: float(scores[metric]) for name, scores in results["validation"].items()}
    name = recommended({model: score for model, score in validation.items() if model in folders})
    n_models = len(folders) - 1
    reason = f"highest {_metric_in_words(results)} on validation pairs, {validation[name]:.3f}, of {n_models} models"
    if name != (best := results["recommended"]):
        reason += f" that are kept; {best} had {validation[best]:.3f}, but keep_models is false"
    model = folders[name].relative_to(study.root).as_posix()
    write_json(study.root / RECOMMENDED, {"model": model, "name": name, "reason": reason})
