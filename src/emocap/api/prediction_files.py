"""Predictions for a corpus, written whole or not at all in the format that the name's extension gives."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from emocap.api.prediction_columns import PairColumns, arrow_column, json_column, json_text, pair_columns, text_column
from emocap.corpora.interop.columns import library
from emocap.corpora.interop.hf_dataset import save_dataset
from emocap.corpora.interop.shards import write_shard
from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.scored_predictions import ranking
from emocap.files import atomic_file, atomic_folder

DATASET = ".dataset"
DATASET_FILE = "state.json"  # what `save_to_disk` writes in every folder
DECIMALS = 6  # of probabilities as text


class Predicting(Protocol):
    """What predictions tell of the model that made them."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its emotions in order."""

    @property
    def folder(self) -> Path:
        """The model's folder."""


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


def write_predictions(out: Path, model: Predicting, pairs: Pairs, probabilities: np.ndarray, p: int) -> None:
    """Write each pair's top-p emotions and all probabilities, in the order of the pairs.

    Parquet and a dataset have the columns of the pairs (`pair_columns`), emotions and probabilities. The last one holds
    one number per emotion of the model, whose names are in the Parquet's metadata `labels`, or in the dataset's
    description, a JSON object. CSV and JSONL have a column or key for each emotion; a WebDataset shard has the
    probabilities as an object in KEY.json, and the image beside it.

    Args:
        probabilities: (N, E) float.

    Raises:
        EmocapError: it cannot be written.
    """
    labels = model.vocabulary.labels
    top = [[labels[i] for i in row] for row in ranking(probabilities)[:, :p]]
    added = ["emotions", *(labels if out.suffix in (".csv", ".jsonl") else ["probabilities"])]
    columns = pair_columns(pairs, added, out.suffix, out)
    whole = atomic_folder if out.suffix == DATASET else atomic_file
    with whole(out) as temporary:
        WRITERS[out.suffix](temporary, Predictions(out, model, pairs, columns, top, probabilities))


@dataclass(frozen=True)
class Predictions:
    """What a writer writes: the pairs' columns, their top emotions and all probabilities (N, E)."""

    out: Path
    model: Predicting
    pairs: Pairs
    columns: PairColumns
    top: list[list[str]]
    probabilities: np.ndarray

    def table(self) -> pa.Table:
        """The columns of Parquet."""
        names, values = self.columns.names, self.columns.values
        given = {name: arrow_column(name, column, self.out) for name, column in values.items()}
        return pa.table(given | {names["emotions"]: self.top, names["probabilities"]: list(self.probabilities)})

    def by_label(self) -> dict[str, np.ndarray]:
        """The column of each emotion, with its rounded probabilities."""
        columns = zip(self.model.vocabulary.labels, self.probabilities.T, strict=True)
        return {self.columns.names[label]: np.round(column.astype(float), DECIMALS) for label, column in columns}

    def metadata(self) -> dict[str, str]:
        """What the file tells of the model: its labels as JSON, its vocabulary's hash and its folder."""
        return {
            "labels": json.dumps(self.model.vocabulary.labels),
            "vocabulary": self.model.vocabulary.hash,
            "model": str(self.model.folder),
        }


def _parquet(path: Path, predictions: Predictions) -> None:
    pq.write_table(predictions.table().replace_schema_metadata(predictions.metadata()), path)


def _dataset(folder: Path, predictions: Predictions) -> None:
    description = predictions.metadata() | {"labels": list(predictions.model.vocabulary.labels)}
    try:
        save_dataset(predictions.table(), json.dumps(description, ensure_ascii=False), folder)
    except (ValueError, NotImplementedError) as error:  # of a column's type, such as a map
        reason = str(error).splitlines()[0]
        raise EmocapError(f"{predictions.out}: datasets cannot store a column ({reason}); write .parquet") from error


def _csv(path: Path, predictions: Predictions) -> None:
    given = {name: text_column(column) for name, column in predictions.columns.values.items()}
    emotions = {predictions.columns.names["emotions"]: [json.dumps(row) for row in predictions.top]}
    pyarrow.csv.write_csv(pa.table(given | emotions | predictions.by_label()), path)


def _jsonl(path: Path, predictions: Predictions) -> None:
    columns = {name: json_column(column) for name, column in predictions.columns.values.items()}
    columns[predictions.columns.names["emotions"]] = predictions.top
    columns |= {name: column.tolist() for name, column in predictions.by_label().items()}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in zip(*columns.values(), strict=True):
            file.write(json_text(dict(zip(columns, row, strict=True))) + "\n")


def _shard(path: Path, predictions: Predictions) -> None:
    pairs, names = predictions.pairs, predictions.columns.names
    rounded = np.round(predictions.probabilities.astype(float), DECIMALS).tolist()
    columns = {name: json_column(column) for name, column in predictions.columns.values.items()}

    def samples() -> Iterator[tuple[dict[str, Any], Path | None]]:
        for row, (image, values) in enumerate(zip(pairs.images, zip(*columns.values(), strict=True), strict=True)):
            record = dict(zip(columns, values, strict=True))
            record[names["emotions"]] = predictions.top[row]
            by_label = dict(zip(predictions.model.vocabulary.labels, rounded[row], strict=True))
            record[names["probabilities"]] = by_label
            file = pairs.image_root / image if pairs.image_root and image else None
            yield record, file if file is not None and file.is_file() else None

    write_shard(path, samples())


WRITERS: dict[str, Callable[[Path, Predictions], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".tar": _shard,
    DATASET: _dataset,
}
