"""What models answered to held-out pairs, and the one file that keeps it.

`predictions.parquet` has a row for every pair of the table: `pair_id`, `image` (what may not be divided between parts),
`targets`, and for each model and repeat `MODEL/REPEAT/raw`, `.../probabilities`, `.../threshold` and `.../thresholds`,
null where the pair was not tested. The labels' order, the seeds and the models are JSON in the metadata `emocap`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emocap.errors import EmocapError
from emocap.files import atomic_file

SCHEMA = 1
KEY = b"emocap"
AS_MATRIX = ("raw", "probabilities", "thresholds")


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """One model's answers in one repeat (a seed, its folds pooled).

    Attributes:
        rows: (N,) int64 numbers of the answered pairs in a table of M pairs, each once.
        raw: (N, E) float32 probabilities as the model gave them.
        probabilities: (N, E) float32 after temperature scaling.
        threshold: (N,) float32; an emotion whose scaled probability reaches it is answered with yes.
        thresholds: (N, E) float32; the same, one for each emotion.

    Raises:
        EmocapError: shapes do not fit, a number is not finite or no probability, or a row occurs twice.

    >>> p = np.array([[.2, .8]])
    >>> ModelPredictions(np.array([3]), p, p, np.array([.5]), np.array([[.5, .5]])).rows.tolist()
    [3]
    """

    rows: np.ndarray
    raw: np.ndarray
    probabilities: np.ndarray
    threshold: np.ndarray
    thresholds: np.ndarray

    def __post_init__(self) -> None:
        if self.rows.ndim != 1 or self.rows.dtype.kind not in "iu":
            raise EmocapError(f"answers: rows are {self.rows.dtype} {self.rows.shape}, expected (N,) whole numbers")
        n = len(self.rows)
        if self.raw.ndim != 2:
            raise EmocapError(f"answers: raw probabilities are {self.raw.shape}, expected (N, E)")
        shapes = {"raw": (n, self.raw.shape[1]), "threshold": (n,)}
        shapes |= dict.fromkeys(("probabilities", "thresholds"), shapes["raw"])
        for name, expected in shapes.items():
            values = getattr(self, name)
            if values.shape != expected:
                raise EmocapError(f"answers: {name} is {values.shape}, expected {expected}, one row for each of rows")
            if not np.isfinite(values).all():
                raise EmocapError(f"answers: {name} holds NaN or infinity")
        for name in ("raw", "probabilities"):
            values = getattr(self, name)
            if n and (values.min() < 0 or values.max() > 1):
                raise EmocapError(f"answers: {name} holds {values.min():g} to {values.max():g}, expected 0 to 1")
        distinct, counts = np.unique(self.rows, return_counts=True)
        if n and distinct[0] < 0:
            raise EmocapError(f"answers: row {distinct[0]} is below 0")
        if (counts > 1).any():
            raise EmocapError(f"answers: row {distinct[counts > 1][0]} is answered twice in one repeat")

    def ordered(self) -> "ModelPredictions":
        """The same with rows ascending."""
        order = np.argsort(self.rows)
        return ModelPredictions(**{name: getattr(self, name)[order] for name in self.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class Predictions:
    """What `predictions.parquet` holds of M pairs.

    Attributes:
        answers: each model's repeats, rows ascending.
        pair_ids: (M,) names.
        images: (M,) keys of what may not be divided between training and test.
        targets: (M, E) float32.
        labels: E emotions.
        seeds: of the repeats; an ensemble over the seeds has one repeat only.
    """

    answers: dict[str, list[ModelPredictions]]
    pair_ids: list[str]
    images: list[str]
    targets: np.ndarray
    labels: list[str]
    seeds: list[int]


def write_predictions(
    path: Path,
    answers: Mapping[str, Sequence[ModelPredictions]],
    *,
    pair_ids: Sequence[str],
    images: Sequence[str],
    targets: np.ndarray,
    labels: Sequence[str],
    seeds: Sequence[int],
) -> None:
    """Write answers whole or not at all; arguments as `Predictions`.

    Raises:
        EmocapError: sizes do not fit, or the file cannot be written.
    """
    path, m, targets = Path(path), len(pair_ids), np.asarray(targets, dtype=np.float32)
    if len(images) != m or targets.shape != (m, len(labels)):
        raise EmocapError(
            f"{path}: {m} pairs with {len(images)} images, targets {targets.shape} and {len(labels)} labels do not fit"
        )
    columns: dict[str, pa.Array] = {
        "pair_id": pa.array([str(pair_id) for pair_id in pair_ids], pa.string()),
        "image": pa.array([str(image) for image in images], pa.string()),
        "targets": _lists(np.arange(m), targets, m),
    }
    for name, repeats in answers.items():
        for repeat, given in enumerate(repeats):
            found = given.ordered()
            if found.raw.shape[1] != len(labels) or (len(found.rows) and found.rows[-1] >= m):
                raise EmocapError(
                    f"{path}: {name} answers other pairs or emotions than the {m} and {len(labels)} given"
                )
            for column in AS_MATRIX:
                columns[f"{name}/{repeat}/{column}"] = _lists(found.rows, getattr(found, column), m)
            threshold = np.full(m, np.nan, dtype=np.float32)
            threshold[found.rows] = found.threshold
            columns[f"{name}/{repeat}/threshold"] = pa.array(threshold, mask=np.isnan(threshold))
    about = {
        "schema": SCHEMA,
        "labels": list(labels),
        "seeds": [int(seed) for seed in seeds],
        "models": {name: len(repeats) for name, repeats in answers.items()},
    }
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(about)})
    repeated = [f"{name}.list.element" for name in columns if name == "targets" or name.endswith("/thresholds")]
    split = [f"{name}.list.element" for name in columns if name.endswith(("/raw", "/probabilities"))]
    with atomic_file(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            use_dictionary=["image", *repeated],
            use_byte_stream_split=split,
            write_page_checksum=True,
        )


def read_predictions(path: Path) -> Predictions:
    """What `write_predictions` wrote; nothing is unpickled.

    Raises:
        EmocapError: missing, damaged or not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise EmocapError(f"{path}: no such file; run the study again")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        about = json.loads(table.schema.metadata[KEY])
        if about["schema"] != SCHEMA:
            raise EmocapError(f"{path}: schema {about['schema']!r}, expected {SCHEMA}; run the study again")
        labels = [str(label) for label in about["labels"]]
        _, targets = _matrix(table, "targets", len(labels))
        answers = {
            name: [_answers(table, f"{name}/{repeat}", len(labels)) for repeat in range(n)]
            for name, n in about["models"].items()
        }
        pair_ids, images = (table[name].to_pylist() for name in ("pair_id", "image"))
        if len(targets) != len(table) or not all(isinstance(value, str) for value in (*pair_ids, *images)):
            raise ValueError("a pair lacks its name, image or targets")
        seeds = [int(seed) for seed in about["seeds"]]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        found = " ".join(str(error).split())[:120]
        raise EmocapError(f"{path}: damaged or not emocap's predictions ({found}); run the study again") from None
    return Predictions(answers, pair_ids, images, targets, labels, seeds)


def _lists(rows: np.ndarray, values: np.ndarray, m: int) -> pa.Array:
    """A column of m lists, those of `rows` (ascending) being `values` (N, E) and the others null."""
    present = np.zeros(m, dtype=bool)
    present[rows] = True
    offsets = np.concatenate([[0], np.cumsum(present) * values.shape[1]]).astype(np.int32)
    flat = np.ascontiguousarray(values, dtype=np.float32).ravel()
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), mask=pa.array(~present))


def _matrix(table: pa.Table, name: str, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a column that are not null, and their values (N, E)."""
    column = table[name].combine_chunks()
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)[rows]
    if (lengths != n_labels).any():
        raise ValueError(f"{name} does not hold {n_labels} numbers a pair")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return rows.astype(np.int64), flat.astype(np.float32).reshape(len(rows), n_labels)


def _answers(table: pa.Table, prefix: str, n_labels: int) -> ModelPredictions:
    found: dict[str, Any] = {}
    for name in AS_MATRIX:
        found["rows"], found[name] = _matrix(table, f"{prefix}/{name}", n_labels)
    threshold = table[f"{prefix}/threshold"].combine_chunks().to_numpy(zero_copy_only=False)
    return ModelPredictions(**found, threshold=threshold[found["rows"]].astype(np.float32))
