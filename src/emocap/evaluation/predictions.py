"""Predictions of models for held-out pairs, and the file that stores them.

`predictions.parquet` has a row for every pair of the table: `pair_id`, `image` (the key of a group that is never
split), `targets`, and for each model and repeat `MODEL/REPEAT/raw`, `.../probabilities`, `.../threshold` and
`.../thresholds`, null if the pair was not tested. Where there are ratings, `ratings` and `MODEL/REPEAT/ratings` hold
them from 0 to 1 on their scales, NaN for a missing one. The orders of the labels and ratings, the seeds and the models
are JSON in the metadata `emocap`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
NO_RATINGS = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """One model's predictions in one repeat (a seed, its folds pooled).

    Attributes:
        rows: (N,) int64 numbers of the predicted pairs in a table of M pairs, each once.
        raw: (N, E) float32 uncalibrated probabilities.
        probabilities: (N, E) float32 calibrated probabilities, as a saved model predicts.
        threshold: (N,) float32; an emotion is predicted if its calibrated probability is at least this.
        thresholds: (N, E) float32; the same, one per emotion.
        ratings: (N, R) float32 predicted ratings from 0 to 1 on their scales; without them R is 0.

    Raises:
        EmocapError: shapes do not match, a number is not finite or no probability, or a row occurs twice.

    >>> p = np.array([[.2, .8]])
    >>> ModelPredictions(np.array([3]), p, p, np.array([.5]), np.array([[.5, .5]])).rows.tolist()
    [3]
    """

    rows: np.ndarray
    raw: np.ndarray
    probabilities: np.ndarray
    threshold: np.ndarray
    thresholds: np.ndarray
    ratings: np.ndarray = field(default_factory=lambda: NO_RATINGS)

    def __post_init__(self) -> None:
        if self.rows.ndim != 1 or self.rows.dtype.kind not in "iu":
            raise EmocapError(f"predictions: rows are {self.rows.dtype} {self.rows.shape}, expected (N,) whole numbers")
        n = len(self.rows)
        if self.ratings is NO_RATINGS:
            object.__setattr__(self, "ratings", np.empty((n, 0), dtype=np.float32))
        if self.raw.ndim != 2:
            raise EmocapError(f"predictions: raw probabilities are {self.raw.shape}, expected (N, E)")
        shapes = {"raw": (n, self.raw.shape[1]), "threshold": (n,)}
        shapes |= dict.fromkeys(("probabilities", "thresholds"), shapes["raw"])
        shapes["ratings"] = (n, *self.ratings.shape[1:2])
        for name, expected in shapes.items():
            values = getattr(self, name)
            if values.shape != expected:
                raise EmocapError(f"predictions: {name} is {values.shape}, expected {expected}")
            if not np.isfinite(values).all():
                raise EmocapError(f"predictions: {name} contains NaN or infinity")
        for name in ("raw", "probabilities", "ratings"):
            values = getattr(self, name)
            if values.size and (values.min() < 0 or values.max() > 1):
                raise EmocapError(f"predictions: {name} is {values.min():g} to {values.max():g}, expected 0 to 1")
        distinct, counts = np.unique(self.rows, return_counts=True)
        if n and distinct[0] < 0:
            raise EmocapError(f"predictions: row {distinct[0]} is below 0")
        if (counts > 1).any():
            raise EmocapError(f"predictions: row {distinct[counts > 1][0]} occurs twice in one repeat")

    def ordered(self) -> "ModelPredictions":
        """The same with rows ascending."""
        order = np.argsort(self.rows)
        return ModelPredictions(**{name: getattr(self, name)[order] for name in self.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class Predictions:
    """The contents of `predictions.parquet` for M pairs.

    Attributes:
        by_model: each model's repeats, rows ascending.
        pair_ids: (M,) names.
        images: (M,) keys of groups that are never split between training and test.
        targets: (M, E) float32.
        labels: E emotions.
        seeds: of the repeats; an ensemble over the seeds has one repeat only.
        ratings: (M, R) float32 from 0 to 1, NaN where missing.
        rating_names: of the R ratings.
    """

    by_model: dict[str, list[ModelPredictions]]
    pair_ids: list[str]
    images: list[str]
    targets: np.ndarray
    labels: list[str]
    seeds: list[int]
    ratings: np.ndarray = field(default_factory=lambda: NO_RATINGS)
    rating_names: list[str] = field(default_factory=list)


def write_predictions(
    path: Path,
    by_model: Mapping[str, Sequence[ModelPredictions]],
    *,
    pair_ids: Sequence[str],
    images: Sequence[str],
    targets: np.ndarray,
    labels: Sequence[str],
    seeds: Sequence[int],
    ratings: np.ndarray | None = None,
    rating_names: Sequence[str] = (),
) -> None:
    """Write predictions atomically; arguments as `Predictions`.

    Raises:
        EmocapError: sizes do not match, or the file cannot be written.
    """
    path, m, targets = Path(path), len(pair_ids), np.asarray(targets, dtype=np.float32)
    true = np.asarray(np.empty((m, 0)) if ratings is None else ratings, dtype=np.float32)
    if len(images) != m or targets.shape != (m, len(labels)) or true.shape != (m, len(rating_names)):
        raise EmocapError(
            f"{path}: {m} pairs with {len(images)} images, targets {targets.shape}, {len(labels)} labels and "
            f"ratings {true.shape} differ"
        )
    columns: dict[str, pa.Array] = {
        "pair_id": pa.array([str(pair_id) for pair_id in pair_ids], pa.string()),
        "image": pa.array([str(image) for image in images], pa.string()),
        "targets": _lists(np.arange(m), targets, m),
    }
    matrices: tuple[str, ...] = AS_MATRIX
    if rating_names:
        columns["ratings"], matrices = _lists(np.arange(m), true, m), (*AS_MATRIX, "ratings")
    for name, repeats in by_model.items():
        for repeat, predictions in enumerate(repeats):
            ordered = predictions.ordered()
            widths = (ordered.raw.shape[1], ordered.ratings.shape[1])
            if widths != (len(labels), len(rating_names)) or (len(ordered.rows) and ordered.rows[-1] >= m):
                raise EmocapError(
                    f"{path}: {name} predicts other pairs or emotions than the {m} and {len(labels)} expected"
                )
            columns |= _repeat_columns(f"{name}/{repeat}", ordered, matrices, m)
    about = {
        "schema": SCHEMA,
        "labels": list(labels),
        "seeds": [int(seed) for seed in seeds],
        "models": {name: len(repeats) for name, repeats in by_model.items()},
    } | ({"ratings": list(rating_names)} if rating_names else {})
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(about)})
    repeated = [f"{name}.list.element" for name in columns if name == "targets" or name.endswith("/thresholds")]
    split = [f"{name}.list.element" for name in columns if name.endswith(("/raw", "/probabilities", "/ratings"))]
    with atomic_file(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            use_dictionary=["image", *repeated],
            use_byte_stream_split=split,
            write_page_checksum=True,
        )


def _repeat_columns(prefix: str, ordered: ModelPredictions, matrices: Sequence[str], m: int) -> dict[str, pa.Array]:
    """The columns of one repeat in a table of m pairs; null where it predicts none."""
    threshold = np.full(m, np.nan, dtype=np.float32)
    threshold[ordered.rows] = ordered.threshold
    columns = {f"{prefix}/{name}": _lists(ordered.rows, getattr(ordered, name), m) for name in matrices}
    return columns | {f"{prefix}/threshold": pa.array(threshold, mask=np.isnan(threshold))}


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; nothing is unpickled.

    Raises:
        EmocapError: the file is missing, damaged or not such a file.
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
        names = [str(name) for name in about.get("ratings", [])]
        true = _matrix(table, "ratings", len(names))[1] if names else np.empty((len(table), 0), dtype=np.float32)
        by_model = {
            name: [_read_repeat(table, f"{name}/{repeat}", len(labels), len(names)) for repeat in range(n)]
            for name, n in about["models"].items()
        }
        pair_ids, images = (table[name].to_pylist() for name in ("pair_id", "image"))
        if len(targets) != len(table) or not all(isinstance(value, str) for value in (*pair_ids, *images)):
            raise ValueError("a pair has no name, image or targets")
        seeds = [int(seed) for seed in about["seeds"]]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise EmocapError(f"{path}: damaged or not emocap's predictions ({reason}); run the study again") from None
    return Predictions(by_model, pair_ids, images, targets, labels, seeds, true, names)


def _lists(rows: np.ndarray, values: np.ndarray, m: int) -> pa.Array:
    """A column of m lists: `values` (N, E) at `rows` (ascending), null elsewhere."""
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
        raise ValueError(f"{name} does not have {n_labels} numbers per pair")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return rows.astype(np.int64), flat.astype(np.float32).reshape(len(rows), n_labels)


def _read_repeat(table: pa.Table, prefix: str, n_labels: int, n_ratings: int) -> ModelPredictions:
    columns: dict[str, Any] = {}
    for name in AS_MATRIX:
        columns["rows"], columns[name] = _matrix(table, f"{prefix}/{name}", n_labels)
    if n_ratings:
        columns["ratings"] = _matrix(table, f"{prefix}/ratings", n_ratings)[1]
    threshold = table[f"{prefix}/threshold"].combine_chunks().to_numpy(zero_copy_only=False)
    return ModelPredictions(**columns, threshold=threshold[columns["rows"]].astype(np.float32))
