"""From a table to a folder with a model and a report; nothing is left behind by a run that fails."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from emocap.classifiers.ensemble import ENSEMBLE, save_ensemble
from emocap.classifiers.evaluation_file import write_evaluation
from emocap.classifiers.familiarity import (
    MIN_EXAMPLES,
    Familiarity,
    fit_captions,
    fit_images,
    signature,
    write_familiarity,
)
from emocap.classifiers.places import RECOMMENDED
from emocap.classifiers.training_pairs import pair_hashes, write_training_pairs
from emocap.corpora.languages import main_language
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.evaluation.calibration import calibrate
from emocap.files import atomic_folder, read_json, write_json
from emocap.fitting.candidates import Candidate, candidates_for
from emocap.fitting.chance import Chance, chance_level
from emocap.fitting.choice import PRIOR, Scored, choose
from emocap.fitting.cross_validation import HeldOutPredictions, cross_validate, fold_of_rows
from emocap.fitting.image_features import extracted_features
from emocap.fitting.report import TrainingReport, report_of, write_report
from emocap.fitting.table import LabelledTable, labelled_table
from emocap.progress import logger, track
from emocap.regions.store.reader import FeatureStore
from emocap.training.card_file import CARD
from emocap.training.checkpoint import FeatureCard, ModelCard

REPORT_FILE = "training.json"
MODEL = "model"
REMEDY = "delete the folder, or give another --out"


@dataclass(frozen=True, eq=False)
class _Validated:
    """What cross-validation found: the candidates, their predictions for held-out rows, and the chosen one."""

    candidates: dict[str, Candidate]
    predictions: dict[str, HeldOutPredictions]
    rows: np.ndarray
    scored: list[Scored]
    chosen: Scored
    chance: Chance


def train_table(pairs: Pairs, out: Path, *, source: str, settings: dict[str, Any] | None = None) -> TrainingReport:
    """Train what suits a table best, and write it to a folder.

    Args:
        pairs: of the table, with labels or ratings.
        out: folder to write; one that an earlier run wrote is replaced.
        source: what the table is called, in errors and in the report.
        settings: how it was read, recorded to recognise the same run.

    Returns:
        The report, which is also in `training.json` and `report.html` there.

    Raises:
        EmocapError: nothing can be learned from the table, or the folder holds something else.
    """
    require_own_output(out)
    fingerprint = fingerprint_of(pairs, settings)
    if (finished := finished_report(out, fingerprint)) is not None:
        logger.info("%s: already trained on this table with these settings; delete it to train again", out)
        return finished
    table = labelled_table(pairs, source)
    with atomic_folder(out) as folder:
        scratch = folder / ".scratch"
        scratch.mkdir()
        store, image_remarks = _features(table, scratch / "features")
        validated = _validate(table, store, scratch)
        _fit_to_all(table, validated, store, folder)
        report = report_of(
            table,
            source,
            pairs,
            validated.candidates,
            validated.scored,
            validated.chosen,
            validated.chance,
            image_remarks,
        )
        _write_model_files(table, validated, store, folder, report)
        write_report(folder, report)
        write_json(folder / REPORT_FILE, {"fingerprint": fingerprint, **asdict(report)})
        shutil.rmtree(scratch)
    return report


def require_own_output(out: Path) -> None:
    """Refuse a folder that an earlier run did not write.

    Raises:
        EmocapError: it holds something else.
    """
    if out.exists() and not (out / REPORT_FILE).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise EmocapError(f"{out}: exists and was not written by emocap train; {REMEDY}")


def finished_report(out: Path, fingerprint: str) -> TrainingReport | None:
    """The report of an earlier run on the same table with the same settings; None if there is none."""
    path = out / REPORT_FILE
    is_whole = path.is_file() and (out / MODEL / CARD).is_file()
    values = read_json(path, REMEDY) if is_whole else {}
    if not isinstance(values, dict) or values.pop("fingerprint", None) != fingerprint:
        return None
    try:
        return TrainingReport(**values)
    except TypeError:
        return None


def fingerprint_of(pairs: Pairs, settings: dict[str, Any] | None) -> str:
    """SHA-256 of the pairs, their images' names and sizes, the settings, and the version of emocap."""
    digest = hashlib.sha256(json.dumps([version("emocap"), settings], sort_keys=True, default=str).encode())
    digest.update(json.dumps(pairs.table.to_pylist(), default=str).encode("utf-8", "surrogatepass"))
    root = pairs.image_root
    for image in [] if root is None else pairs.distinct_images():
        path = Path(root or "") / image
        size = path.stat().st_size if path.is_file() else -1
        digest.update(f"{image}\0{size}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _features(table: LabelledTable, out: Path) -> tuple[FeatureStore | None, list[str]]:
    """The features of the table's images, if any, and remarks."""
    if table.has_images:
        return extracted_features(table.pairs, out)
    n_images = len(table.pairs.distinct_images())
    return None, [f"{n_images:,} images are named, but no folder of images is given"] if n_images else []


def _validate(table: LabelledTable, store: FeatureStore | None, scratch: Path) -> _Validated:
    candidates = {candidate.name: candidate for candidate in candidates_for(table, store, scratch)}
    logger.info("train: %d rows, %d emotions; tries %s", len(table.pairs), len(table.vocabulary), ", ".join(candidates))
    rows, predictions = cross_validate(table, list(candidates.values()), fold_of_rows(table))
    scored, chosen = choose(table, rows, predictions)
    logger.info("train: %s is chosen (%.3f)", chosen.name, chosen.score)
    chance = chance_level(table, rows, scored, chosen)
    return _Validated(candidates, predictions, rows, scored, chosen, chance)


def _fit_to_all(table: LabelledTable, validated: _Validated, store: FeatureStore | None, folder: Path) -> None:
    """Fit the chosen model, or the members of the chosen average, to all rows, and save it as `model`."""
    chosen, rows = validated.chosen, np.arange(len(table.pairs))
    card = _card(table, validated, store)
    is_average = len(chosen.members) > 1
    for name in track(chosen.members, "fit to all rows", len(chosen.members), "models"):
        candidate, held_out = validated.candidates[name], validated.predictions[name]
        own = _member_card(card, name, candidate) if is_average else card
        place = folder / "members" / name if is_average else folder / MODEL
        candidate.fit(table, rows).save(place, own, held_out.head, held_out.rating_head)
    if is_average:
        members = [f"../members/{name}" for name in chosen.members]
        save_ensemble(folder / MODEL, replace(card, kind=ENSEMBLE, members=members))


def _card(table: LabelledTable, validated: _Validated, store: FeatureStore | None) -> ModelCard:
    chosen = validated.chosen
    groups = table.group_of[validated.rows].astype(str).tolist()
    truth = table.truth[validated.rows]
    fitted = calibrate(chosen.probabilities, truth, groups=groups, scaled=chosen.name != PRIOR)
    scaling = fitted.scaling
    uses_images = any(validated.candidates[name].uses_images for name in chosen.members)
    return ModelCard(
        labels=list(table.vocabulary.labels),
        vocabulary=table.vocabulary.hash,
        max_length=0,
        features=_feature_card(store) if uses_images and store is not None else None,
        run=chosen.name,
        training={"command": "train", "n_rows": len(table.pairs)},
        frequencies=[float(share) for share in table.truth.mean(axis=0)],
        calibration=None
        if not fitted.is_scaled
        else {"method": fitted.method, "slopes": scaling.slopes.tolist(), "offsets": scaling.offsets.tolist()},
        threshold=fitted.threshold,
        thresholds=fitted.thresholds.tolist(),
        language=main_language(table.pairs.table["caption"]),
        ratings=table.ratings.ranges,
        uses_captions=any(validated.candidates[name].uses_captions for name in chosen.members),
    )


def _member_card(card: ModelCard, name: str, candidate: Candidate) -> ModelCard:
    """The card of a member of an average, whose probabilities are not calibrated on their own."""
    return replace(
        card,
        run=name,
        features=card.features if candidate.uses_images else None,
        uses_captions=candidate.uses_captions,
        calibration=None,
        threshold=ModelCard.threshold,
        thresholds=None,
    )


def _feature_card(store: FeatureStore) -> FeatureCard:
    header = store.header
    return {
        "fingerprint": store.fingerprint,
        "extractor": header.extractor,
        "settings": dict(header.settings),
        "dim": header.dim,
    }


def _write_model_files(
    table: LabelledTable, validated: _Validated, store: FeatureStore | None, folder: Path, report: TrainingReport
) -> None:
    """What is beside the model: its scores, what its training rows look like, and which model the folder recommends."""
    groups = table.group_of.astype(str).tolist()
    captions = fit_captions(table.pairs.captions, groups) if table.has_captions else None
    images = None
    if store is not None:
        seen = [image for image in table.pairs.distinct_images() if image in store]
        if len(seen) >= MIN_EXAMPLES:
            images = fit_images(np.stack([signature(store[image][0]) for image in seen]), None)
    model = folder / MODEL
    write_familiarity(model, Familiarity(images, captions))
    write_training_pairs(model, pair_hashes(table.pairs.images, table.pairs.captions))
    write_evaluation(model, report.evaluation(), {})
    write_json(folder / RECOMMENDED, {"model": MODEL, "name": validated.chosen.name, "reason": report.reason})
