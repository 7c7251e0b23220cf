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
from emocap.ratings import Ratings

DATASET = ".dataset"
SHARD = ".tar"
DATASET_FILE = "state.json"  # what `save_to_disk` writes in every folder
DECIMALS = 6  # of probabilities as text


class Predicting(Protocol):
    """What predictions tell of the model that made them."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its emotions in order."""

    @property
    def ratings(self) -> Ratings:
        """Its ratings in order."""

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


def write_predictions(out: Path, model: Predicting, pairs: Pairs, outputs: np.ndarray, p: int) -> None:
    """Write each pair's top-p emotions, all probabilities and all ratings, in the order of the pairs.

    All formats but a WebDataset shard have the columns or keys of the pairs (`pair_columns`), the top emotions, and one
    column of probabilities for each emotion. Parquet and a dataset also have all probabilities of a pair as one list,
    in the order of the labels in the Parquet's metadata `labels`, or in the dataset's description, a JSON object. A
    shard has the probabilities as an object in KEY.json, and the image beside it. Every format has a column or key
    `rating_NAME` for each rating of the model, in the rating's own units; a model of ratings alone has no emotions and
    probabilities.

    Args:
        outputs: (N, E + R) float, probabilities and then ratings from 0 to 1 on their scales.

    Raises:
        EmocapError: it cannot be written.
    """
    labels = model.vocabulary.labels
    probabilities, values = outputs[:, : len(labels)], model.ratings.in_units(outputs[:, len(labels) :])
    top = [[labels[i] for i in row] for row in ranking(probabilities)[:, :p]]
    of_emotions = ["emotions", *(labels if out.suffix != SHARD else ())]
    of_emotions += [] if out.suffix in (".csv", ".jsonl") else ["probabilities"]
    added = [*(of_emotions if labels else []), *map(rating_column, model.ratings.names)]
    columns = pair_columns(pairs, added, out.suffix, out)
    whole = atomic_folder if out.suffix == DATASET else atomic_file
    with whole(out) as temporary:
        WRITERS[out.suffix](temporary, Predictions(out, model, pairs, columns, top, probabilities, values))


def rating_column(name: str) -> str:
    """The column of a rating.

    >>> rating_column("valence")
    'rating_valence'
    """
    return f"rating_{name}"


@dataclass(frozen=True)
class Predictions:
    """What a writer writes: the pairs' columns, their top emotions, all probabilities (N, E) and ratings (N, R)."""

    out: Path
    model: Predicting
    pairs: Pairs
    columns: PairColumns
    top: list[list[str]]
    probabilities: np.ndarray
    values: np.ndarray

    def table(self) -> pa.Table:
        """The columns of Parquet."""
        names, values = self.columns.names, self.columns.values
        given = {name: arrow_column(name, column, self.out) for name, column in values.items()}
        if self.model.vocabulary.labels:
            given |= {names["emotions"]: self.top, names["probabilities"]: list(self.probabilities)}
            labels = self.model.vocabulary.labels
            given |= {names[label]: column for label, column in zip(labels, self.probabilities.T, strict=True)}
        return pa.table(given | self.by_rating())

    def by_label(self) -> dict[str, np.ndarray]:
        """The column of each emotion, with its rounded probabilities."""
        columns = zip(self.model.vocabulary.labels, self.probabilities.T, strict=True)
        return {self.columns.names[label]: np.round(column.astype(float), DECIMALS) for label, column in columns}

    def by_rating(self) -> dict[str, np.ndarray]:
        """The column of each rating, rounded, in its own units."""
        columns = zip(self.model.ratings.names, np.round(self.values, DECIMALS).T, strict=True)
        return {self.columns.names[rating_column(name)]: column for name, column in columns}

    def metadata(self) -> dict[str, str]:
        """What the file tells of the model: its labels and ratings as JSON, its vocabulary's hash and its folder."""
        ratings = {"ratings": json.dumps(self.model.ratings.ranges)} if self.model.ratings else {}
        return ratings | {
            "labels": json.dumps(self.model.vocabulary.labels),
            "vocabulary": self.model.vocabulary.hash,
            "model": str(self.model.folder),
        }


def _parquet(path: Path, predictions: Predictions) -> None:
    pq.write_table(predictions.table().replace_schema_metadata(predictions.metadata()), path)


def _dataset(folder: Path, predictions: Predictions) -> None:
    model = predictions.model
    ratings = {"ratings": model.ratings.ranges} if model.ratings else {}
    description = predictions.metadata() | {"labels": list(model.vocabulary.labels)} | ratings
    try:
        save_dataset(predictions.table(), json.dumps(description, ensure_ascii=False), folder)
    except (ValueError, NotImplementedError) as error:  # of a column's type, such as a map
        reason = str(error).splitlines()[0]
        raise EmocapError(f"{predictions.out}: datasets cannot store a column ({reason}); write .parquet") from error


def _csv(path: Path, predictions: Predictions) -> None:
    given = {name: text_column(column) for name, column in predictions.columns.values.items()}
    if predictions.model.vocabulary.labels:
        given |= {predictions.columns.names["emotions"]: [json.dumps(row) for row in predictions.top]}
    pyarrow.csv.write_csv(pa.table(given | predictions.by_label() | predictions.by_rating()), path)


def _jsonl(path: Path, predictions: Predictions) -> None:
    columns = {name: json_column(column) for name, column in predictions.columns.values.items()}
    if predictions.model.vocabulary.labels:
        columns[predictions.columns.names["emotions"]] = predictions.top
    added = predictions.by_label() | predictions.by_rating()
    columns |= {name: column.tolist() for name, column in added.items()}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in zip(*columns.values(), strict=True):
            file.write(json_text(dict(zip(columns, row, strict=True))) + "\n")


def _shard(path: Path, predictions: Predictions) -> None:
    pairs, names = predictions.pairs, predictions.columns.names
    rounded = np.round(predictions.probabilities.astype(float), DECIMALS).tolist()
    columns = {name: json_column(column) for name, column in predictions.columns.values.items()}
    labels, ratings = predictions.model.vocabulary.labels, predictions.by_rating()

    def samples() -> Iterator[tuple[dict[str, Any], Path | None]]:
        for row, (image, values) in enumerate(zip(pairs.images, zip(*columns.values(), strict=True), strict=True)):
            record = dict(zip(columns, values, strict=True))
            if labels:
                record[names["emotions"]] = predictions.top[row]
                record[names["probabilities"]] = dict(zip(labels, rounded[row], strict=True))
            record |= {name: float(column[row]) for name, column in ratings.items()}
            file = pairs.image_root / image if pairs.image_root and image else None
            yield record, file if file is not None and file.is_file() else None

    write_shard(path, samples())


WRITERS: dict[str, Callable[[Path, Predictions], None]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _jsonl,
    SHARD: _shard,
    DATASET: _dataset,
}
