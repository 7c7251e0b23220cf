"""A saved model applied to a corpus of the user: predictions written to a file, or metrics."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv

from emocap.api.images import model_extractor
from emocap.api.prediction_files import require_column_names, require_prediction_format, write_predictions
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import evaluate
from emocap.files import atomic_file
from emocap.progress import logger
from emocap.regions.extract import extract
from emocap.regions.extraction_report import log_rejected, require_described
from emocap.regions.store.reader import FeatureStore
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import SavedModel, load_model
from emocap.training.predict import predict_calibrated

BATCH_SIZE = 64
CAPTION_ONLY = "; only their captions are scored"


def label_corpus(
    model: Path,
    data: Path,
    out: Path,
    *,
    format_: str | None,
    images: Path | None,
    p: int | None = None,
    store: Path | None = None,
    allow_other_features: bool = False,
    rejected: Path | None = None,
    options: ReadOptions | None = None,
) -> int:
    """Write each pair's top-p emotions and all probabilities, in the data's order; labels of the data are not read.

    The columns are pair_id, image, caption, emotions and probabilities. The last one holds one number per emotion of
    the model, whose names are the Parquet's metadata `labels`; CSV and JSONL have a column or key for each emotion.

    Args:
        store: feature store of the images; None extracts their features.
        allow_other_features: accept features that differ from those that the model was trained on.
        rejected: CSV file of `row` and `reason` for unusable rows, including those whose image cannot be read; written
            only if there are any. None scores the caption without its image if that cannot be read.
        options: names of the data's columns.

    Returns:
        The number of pairs written.

    Raises:
        EmocapError: unknown ending, bad data or model, or no image of those that are named; then nothing is written.
    """
    require_prediction_format(out)
    if out.exists() and data.exists() and out.samefile(data):
        raise EmocapError(f"{out}: is the corpus that is to be labelled; choose another file to write")
    saved = load_model(model)
    require_column_names(out, saved.vocabulary)
    p = min(4, len(saved.vocabulary)) if p is None else p
    if not 1 <= p <= len(saved.vocabulary):
        raise EmocapError(f"--p {p}: the model knows {len(saved.vocabulary)} emotions")
    pairs = _read(data, format_, images, replace(options or ReadOptions(), labels=False))
    consequence = "" if rejected else CAPTION_ONLY
    scratch = next(folder for folder in out.absolute().parents if folder.is_dir())
    with _features(saved, pairs, scratch, store, allow_other_features, consequence) as (features, faults):
        rejected_rows: list[dict[str, str]] = []
        if rejected is not None:
            pairs, rejected_rows = _readable(pairs, faults)
        probabilities = _probabilities(saved, pairs, features)
    write_predictions(out, saved, pairs, probabilities, p)
    if rejected is not None:
        _write_rejected(rejected_rows, rejected)
    return len(pairs)


def evaluate_corpus(
    model: Path,
    data: Path,
    *,
    format_: str | None,
    images: Path | None,
    store: Path | None = None,
    allow_other_features: bool = False,
    options: ReadOptions | None = None,
    negatives: Literal["keep", "drop"] = "keep",
) -> dict[str, dict[str, Any]]:
    """All metrics of a model on labelled pairs, and those of its training pairs' label frequencies (`prior`).

    F1 uses the model's own thresholds, and 0.5 for the prior.

    Args:
        options: names of the data's columns, and the notation of its labels.
        negatives: whether pairs with no emotion that the model knows are kept, as pairs that evoke none of them.

    Raises:
        EmocapError: unlabelled pairs, labels of a different vocabulary, no label that the model knows, or no image of
            those that are named.
    """
    saved = load_model(model)
    pairs = _read(data, format_, images, options)
    pairs.targets(saved.vocabulary)  # refuses unlabelled data and unknown labels before anything is computed
    known = set(saved.vocabulary.labels)
    positive = [row for row, named in enumerate(pairs.emotions) if known & set(named or ())]
    if not positive:
        raise EmocapError(f"{data}: no pair has an emotion that the model knows")
    if len(positive) < len(pairs):
        kept = "counted as evoking none" if negatives == "keep" else "left out"
        count = len(pairs) - len(positive)
        logger.warning("%s: %d of %d pairs have no emotion that the model knows: %s", data, count, len(pairs), kept)
    if negatives == "drop":
        pairs = pairs.select(positive)
    with _features(saved, pairs, Path(tempfile.gettempdir()), store, allow_other_features) as (features, _):
        probabilities = _probabilities(saved, pairs, features)
    targets, labels = pairs.targets(saved.vocabulary), saved.vocabulary.labels
    card = saved.card
    thresholds = np.full(len(labels), card.threshold) if card.thresholds is None else np.array(card.thresholds)
    rows = {
        card.run: evaluate(
            probabilities, targets, labels, threshold=card.threshold, thresholds=np.tile(thresholds, (len(pairs), 1))
        )
    }
    if saved.card.frequencies is None:
        return rows
    return {"prior": evaluate(prior(np.array([saved.card.frequencies]), len(pairs)), targets, labels)} | rows


def _read(data: Path, format_: str | None, images: Path | None, options: ReadOptions | None) -> Pairs:
    pairs = read_corpus(format_ or guess_format(data, options), data, images, options)
    for fault in pairs.rejected[:5]:
        logger.warning("%s: rejected: %s", fault.where, fault.reason)
    if len(pairs.rejected) > 5:
        logger.warning("%d rows rejected in total", len(pairs.rejected))
    return pairs


def _readable(pairs: Pairs, faults: Mapping[str, str]) -> tuple[Pairs, list[dict[str, str]]]:
    """The pairs whose image can be read, and the place and reason of all other rows."""
    rows = [{"row": fault.where, "reason": fault.reason} for fault in pairs.rejected]
    rows += [
        {"row": pair_id, "reason": f"{image}: {faults[image]}"}
        for pair_id, image in zip(pairs.pair_ids, pairs.images, strict=True)
        if image in faults
    ]
    readable = [row for row, image in enumerate(pairs.images) if image not in faults]
    return pairs.select(readable), rows


def _write_rejected(rows: list[dict[str, str]], path: Path) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with atomic_file(path) as temporary:
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), temporary)
    logger.warning("%s: %d rejected rows", path, len(rows))


@contextmanager
def _features(
    saved: SavedModel,
    pairs: Pairs,
    scratch: Path,
    stored: Path | None,
    allow_other_features: bool,
    consequence: str = CAPTION_ONLY,
) -> Iterator[tuple[FeatureStore | None, dict[str, str]]]:
    """Region features, if the model uses them and there are images, and the faults of unreadable images."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EmocapError("a corpus is scored in one process only; start it without torchrun")
    if stored is not None and pairs.image_root is not None:
        raise EmocapError(f"give the images ({pairs.image_root}) or their features ({stored}), not both")
    try:
        folder = tempfile.TemporaryDirectory(prefix=".emocap-", dir=scratch)
    except OSError as error:
        raise EmocapError(
            f"{scratch}: cannot be written ({error.strerror or error}); choose a different folder"
        ) from error
    with folder as name:
        store, faults = None, {}
        if stored is not None:
            store = FeatureStore.open(stored)
            saved.require_features(store.fingerprint, store.header.dim, allow_other=allow_other_features)
            faults = dict.fromkeys(_absent(pairs, store, stored, consequence), f"no features in {stored}")
        elif saved.card.features is not None and pairs.image_root is not None:
            extractor = model_extractor(saved, allow_other=allow_other_features)
            path = Path(name) / "features"
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, path)
            log_rejected(report, consequence=consequence)
            require_described(report)
            faults = dict.fromkeys(report.missing, "no such image")
            faults |= {fault.where: fault.reason for fault in report.rejected}
            store = FeatureStore.open(path)
        elif saved.card.features is not None:
            logger.warning("no --images: the model scores only the captions")
        if store is not None and not len(pairs.distinct_images()):
            logger.warning("the data name no image: the model scores only the captions")
        yield store, faults


def _absent(pairs: Pairs, store: FeatureStore, where: Path, consequence: str) -> list[str]:
    """The images that a store has no features of; they are counted, and must not be all."""
    images = pairs.distinct_images()
    absent = [image for image in images if image not in store]
    if absent and len(absent) == len(images):
        raise EmocapError(
            f"{where}: contains no features of any of the {len(images):,} images that are named, such as {absent[0]}; "
            "its images must have the names that the data give them"
        )
    if absent:
        logger.warning(
            "%s: contains no features of %d of %d images, such as %s%s",
            where, len(absent), len(images), absent[0], consequence,
        )  # fmt: skip
    return absent


def _probabilities(saved: SavedModel, pairs: Pairs, store: FeatureStore | None) -> np.ndarray:
    dataset = PairDataset.of(pairs, saved.tokenizer, saved.card.max_length, store)
    return predict_calibrated(saved, dataset, BATCH_SIZE, "scoring")
