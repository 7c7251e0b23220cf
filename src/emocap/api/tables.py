"""A saved model over a corpus of a user's own: labels written to a file, or measured."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from emocap.api.predictor import model_extractor
from emocap.corpora.pairs import Pairs
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import evaluate
from emocap.evaluation.scored_predictions import ranking
from emocap.files import atomic_file
from emocap.progress import logger
from emocap.regions.extract import extract, log_rejected
from emocap.regions.store.reader import FeatureStore
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import SavedModel, load_model
from emocap.training.predict import predict_probabilities

BATCH_SIZE = 64
ALONE = ": captions alone there"
ENDINGS = (".parquet", ".csv", ".jsonl")


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
    aside: Path | None = None,
) -> int:
    """Write each pair's p best emotions and all probabilities, in the data's order.

    The columns are pair_id, image, caption, emotions and probabilities; the last holds one number per emotion of the
    model, whose names in order are the Parquet's metadata `labels`; in CSV and JSONL it is one column or key each.

    Args:
        store: feature store of the images; None makes their features.
        allow_other_features: take features of another kind than the model was trained on.
        aside: CSV of `row` and `reason` to write of rows that cannot be used, those included whose picture cannot be
            read; written only where there are some. None judges a caption alone where its picture cannot be read.

    Returns:
        The number of pairs written.

    Raises:
        EmocapError: unknown ending, bad data or model; nothing is written then.
    """
    if out.suffix not in ENDINGS:
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected one of {', '.join(ENDINGS)}")
    saved = load_model(model)
    clash = set(saved.vocabulary.labels) & {"pair_id", "image", "caption", "emotions"}
    if clash and out.suffix != ".parquet":
        raise EmocapError(f"{out}: an emotion is named like the column {min(clash)!r}; write .parquet")
    p = min(4, len(saved.vocabulary)) if p is None else p
    if not 1 <= p <= len(saved.vocabulary):
        raise EmocapError(f"--p {p}: the model knows {len(saved.vocabulary)} emotions")
    pairs = _read(data, format_, images)
    with _features(saved, pairs, out.parent, store, allow_other_features, "" if aside else ALONE) as (features, faults):
        useless: list[dict[str, str]] = []
        if aside is not None:
            pairs, useless = _readable(pairs, faults)
        probabilities = _probabilities(saved, pairs, features)
    labels = saved.vocabulary.labels
    best = [[labels[i] for i in row] for row in ranking(probabilities)[:, :p]]
    columns: dict[str, Any] = {"pair_id": pairs.pair_ids, "image": pairs.images, "caption": pairs.captions}
    with atomic_file(out) as temporary:
        if out.suffix == ".parquet":
            table = pa.table(columns | {"emotions": best, "probabilities": list(probabilities)})
            meta = {"labels": json.dumps(labels), "vocabulary": saved.vocabulary.hash, "model": str(saved.folder)}
            pq.write_table(table.replace_schema_metadata(meta), temporary)
        else:
            wide = columns | {"emotions": [json.dumps(row) for row in best] if out.suffix == ".csv" else best}
            wide |= {label: np.round(probabilities[:, i].astype(float), 6) for i, label in enumerate(labels)}
            table = pa.table(wide)
            if out.suffix == ".csv":
                pyarrow.csv.write_csv(table, temporary)
            else:
                lines = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if aside is not None:
        _tell_aside(useless, aside)
    return len(pairs)


def evaluate_corpus(
    model: Path,
    data: Path,
    *,
    format_: str | None,
    images: Path | None,
    store: Path | None = None,
    allow_other_features: bool = False,
) -> dict[str, dict[str, Any]]:
    """Every metric of a model on labelled pairs, beside those of its training pairs' label frequencies (`prior`).

    F1 is taken at the model's own thresholds, and at 0.5 for the prior.

    Raises:
        EmocapError: unlabelled pairs, or labels of another vocabulary.
    """
    saved = load_model(model)
    pairs = _read(data, format_, images)
    pairs.targets(saved.vocabulary)  # refuses unlabelled or foreign data before anything is computed
    known = set(saved.vocabulary.labels)
    usable = [row for row, named in enumerate(pairs.emotions) if known & set(named or ())]
    if not usable:
        raise EmocapError(f"{data}: no pair has an emotion that the model knows")
    if len(usable) < len(pairs):
        logger.warning(
            "%s: %d of %d pairs have no emotion that the model knows", data, len(pairs) - len(usable), len(pairs)
        )
    pairs = pairs.select(usable)
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


def _read(data: Path, format_: str | None, images: Path | None) -> Pairs:
    pairs = read_corpus(format_ or guess_format(data), data, images)
    for fault in pairs.rejected[:5]:
        logger.warning("%s: set aside: %s", fault.where, fault.reason)
    if len(pairs.rejected) > 5:
        logger.warning("%d rows set aside in all", len(pairs.rejected))
    return pairs


def _readable(pairs: Pairs, faults: Mapping[str, str]) -> tuple[Pairs, list[dict[str, str]]]:
    """The pairs whose picture can be read, and of all other rows where they are and why."""
    rows = [{"row": found.where, "reason": found.reason} for found in pairs.rejected]
    rows += [
        {"row": pair_id, "reason": f"{image}: {faults[image]}"}
        for pair_id, image in zip(pairs.pair_ids, pairs.images, strict=True)
        if image in faults
    ]
    kept = [row for row, image in enumerate(pairs.images) if image not in faults]
    if not kept:
        raise EmocapError(f"no row has a picture that can be read; the first: {rows[0]['row']}: {rows[0]['reason']}")
    return pairs.select(kept), rows


def _tell_aside(rows: list[dict[str, str]], aside: Path) -> None:
    if not rows:
        aside.unlink(missing_ok=True)
        return
    with atomic_file(aside) as temporary:
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows), temporary)
    logger.warning("%s: %d rows set aside", aside, len(rows))


@contextmanager
def _features(
    saved: SavedModel, pairs: Pairs, scratch: Path, stored: Path | None, allow_other_features: bool, then: str = ALONE
) -> Iterator[tuple[FeatureStore | None, dict[str, str]]]:
    """Region features where the model uses them and there are images, and what is wrong with the other images."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise EmocapError("a model judges a corpus in one process for now; start it without torchrun")
    if stored is not None and pairs.image_root is not None:
        raise EmocapError(f"give the images ({pairs.image_root}) or their features ({stored}), not both")
    try:
        folder = tempfile.TemporaryDirectory(prefix=".emocap-", dir=scratch)
    except OSError as error:
        raise EmocapError(f"{scratch}: cannot be written ({error.strerror or error}); choose another place") from error
    with folder as name:
        store, faults = None, {}
        if stored is not None:
            store = FeatureStore.open(stored)
            saved.require_features(store.fingerprint, store.header.dim, allow_other=allow_other_features)
            absent = [image for image in pairs.distinct_images() if image not in store]
            if absent:
                logger.warning("%s: holds no features of %d images, such as %s%s", stored, len(absent), absent[0], then)
            faults = dict.fromkeys(absent, f"no features in {stored}")
        elif saved.card.features is not None and pairs.image_root is not None:
            extractor = model_extractor(saved, allow_other=allow_other_features)
            path = Path(name) / "features"
            report = extract(pairs.distinct_images(), pairs.image_root, extractor, path)
            log_rejected(report, then=then)
            faults = dict.fromkeys(report.missing, "no such image")
            faults |= {found.where: found.reason for found in report.rejected}
            store = FeatureStore.open(path)
        elif saved.card.features is not None:
            logger.warning("no --images: the model judges the captions alone")
        yield store, faults


def _probabilities(saved: SavedModel, pairs: Pairs, store: FeatureStore | None) -> np.ndarray:
    dataset = PairDataset.of(pairs, saved.tokenizer, saved.card.max_length, store)
    return predict_probabilities(saved.model, dataset, BATCH_SIZE, "scoring", saved.card.temperature)
