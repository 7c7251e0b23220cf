"""Predictions for a corpus, written whole or not at all in the format that the name's extension gives."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from emocap.corpora.interop.columns import library
from emocap.corpora.interop.hf_dataset import save_dataset
from emocap.corpora.interop.shards import write_shard
from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.scored_predictions import ranking
from emocap.files import atomic_file, atomic_folder
from emocap.training.checkpoint import SavedModel

DATASET = ".dataset"
DATASET_FILE = "state.json"  # what `save_to_disk` writes in every folder
DECIMALS = 6  # of probabilities as text


def require_prediction_format(out: Path) -> None:
    """Check that predictions can be written under a name, before anything is computed.

    Raises:
        EmocapError: unknown extension; for a dataset, `datasets` is not installed or another folder has the name.
    """
    if out.suffix not in WRITERS:
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected one of {', '.join(WRITERS)}")
    if out.suffix == DATASET:
        library("datasets")
        if out.exists() and not (out / DATASET_FILE).is_file():
            raise EmocapError(f"{out}: exists and is not a saved dataset; choose another name")


def require_column_names(out: Path, vocabulary: Vocabulary) -> None:
    """Check that no emotion has the name of another column, in formats with a column for each emotion.

    Raises:
        EmocapError: one has.
    """
    clash = set(vocabulary.labels) & {"pair_id", "image", "caption", "emotions"}
    if clash and out.suffix in (".csv", ".jsonl"):
        raise EmocapError(f"{out}: an emotion has the name of the column {min(clash)!r}; write .parquet")


def write_predictions(out: Path, saved: SavedModel, pairs: Pairs, probabilities: np.ndarray, p: int) -> None:
    """Write each pair's top-p emotions and all probabilities, in the order of the pairs.

    Parquet and a dataset have the columns pair_id, image, caption, emotions and probabilities. The last one holds one
    number per emotion of the model, whose names are in the Parquet's metadata `labels`, or in the dataset's
    description, a JSON object. CSV and JSONL have a column or key for each emotion; a WebDataset shard has the
    probabilities as an object in KEY.json, and the image beside it.

    Args:
        probabilities: (N, E) float.

    Raises:
        EmocapError: it cannot be written.
    """
    labels = saved.vocabulary.labels
    top = [[labels[i] for i in row] for row in ranking(probabilities)[:, :p]]
    whole = atomic_folder if out.suffix == DATASET else atomic_file
    with whole(out) as temporary:
        WRITERS[out.suffix](temporary, saved, pairs, top, probabilities)


def _parquet(path: Path, saved: SavedModel, pairs: Pairs, top: list[list[str]], probabilities: np.ndarray) -> None:
    table = pa.table(_columns(pairs) | {"emotions": top, "probabilities": list(probabilities)})
    pq.write_table(table.replace_schema_metadata(_metadata(saved)), path)


def _dataset(folder: Path, saved: SavedModel, pairs: Pairs, top: list[list[str]], probabilities: np.ndarray) -> None:
    table = pa.table(_columns(pairs) | {"emotions": top, "probabilities": list(probabilities)})
    description = _metadata(saved) | {"labels": list(saved.vocabulary.labels)}
    save_dataset(table, json.dumps(description, ensure_ascii=False), folder)


def _csv(path: Path, saved: SavedModel, pairs: Pairs, top: list[list[str]], probabilities: np.ndarray) -> None:
    cells = [json.dumps(row) for row in top]
    table = pa.table(_columns(pairs) | {"emotions": cells} | _by_label(saved, probabilities))
    pyarrow.csv.write_csv(table, path)


def _jsonl(path: Path, saved: SavedModel, pairs: Pairs, top: list[list[str]], probabilities: np.ndarray) -> None:
    table = pa.table(_columns(pairs) | {"emotions": top} | _by_label(saved, probabilities))
    lines = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _shard(path: Path, saved: SavedModel, pairs: Pairs, top: list[list[str]], probabilities: np.ndarray) -> None:
    rounded = np.round(probabilities.astype(float), DECIMALS).tolist()

    def samples() -> Iterator[tuple[dict[str, Any], Path | None]]:
        for row, record in enumerate(pa.table(_columns(pairs)).to_pylist()):
            record["emotions"] = top[row]
            record["probabilities"] = dict(zip(saved.vocabulary.labels, rounded[row], strict=True))
            image = pairs.image_root / record["image"] if pairs.image_root and record["image"] else None
            yield record, image if image is not None and image.is_file() else None

    write_shard(path, samples())


WRITERS: dict[str, Callable[[Path, SavedModel, Pairs, list[list[str]], np.ndarray], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".tar": _shard,
    DATASET: _dataset,
}


def _columns(pairs: Pairs) -> dict[str, Any]:
    return {"pair_id": pairs.pair_ids, "image": pairs.images, "caption": pairs.captions}


def _by_label(saved: SavedModel, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    labels = saved.vocabulary.labels
    return {label: np.round(probabilities[:, i].astype(float), DECIMALS) for i, label in enumerate(labels)}


def _metadata(saved: SavedModel) -> dict[str, str]:
    """What Parquet files tell of the model: its labels as JSON, its vocabulary's hash and its folder."""
    return {
        "labels": json.dumps(saved.vocabulary.labels),
        "vocabulary": saved.vocabulary.hash,
        "model": str(saved.folder),
    }
