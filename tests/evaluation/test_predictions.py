"""The predictions file: writing and reading, and damaged files."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.errors import EmocapError
from emocap.evaluation.predictions import ModelPredictions, read_predictions, write_predictions

FIELDS = ("rows", "raw", "probabilities", "threshold", "thresholds")
TABLE = {
    "pair_ids": [f"pair {i}" for i in range(6)],
    "images": ["a", "a", "b", "c", "d\udcff".encode("utf-8", "replace").decode(), "é"],
    "targets": np.eye(6, 3),
    "labels": ["joy", "fear", "/odd/raw"],
    "seeds": [0, 7],
}


def synthetic(rows: list[int], seed: int = 0) -> ModelPredictions:
    rng = np.random.default_rng(seed)
    a, b, c, d = (rng.random((len(rows), 3), dtype=np.float32) for _ in range(4))
    return ModelPredictions(np.array(rows, dtype=np.int64), a, b, d[:, 0], c)


def test_reads_what_was_written(tmp_path: Path) -> None:
    by_model = {
        "AnB+": [synthetic([4, 0, 3]), synthetic([0, 3, 4], 1)],
        "prior/x": [synthetic([5])],
        "none": [synthetic([])],
    }
    write_predictions(tmp_path / "predictions.parquet", by_model, **TABLE)
    stored = read_predictions(tmp_path / "predictions.parquet")
    assert {name: getattr(stored, name) for name in TABLE if name != "targets"} == {
        name: value for name, value in TABLE.items() if name != "targets"
    }
    assert stored.targets.tolist() == TABLE["targets"].tolist()
    assert {name: len(repeats) for name, repeats in stored.by_model.items()} == {"AnB+": 2, "prior/x": 1, "none": 1}
    assert stored.by_model["AnB+"][0].rows.tolist() == [0, 3, 4]
    for name, repeats in by_model.items():
        for written, read in zip(repeats, stored.by_model[name], strict=True):
            for field in FIELDS:
                assert np.array_equal(getattr(written.ordered(), field), getattr(read, field)), field
                assert getattr(read, field).dtype == (np.int64 if field == "rows" else np.float32)


def test_ordered_sorts_every_field_by_row() -> None:
    written = synthetic([4, 0, 3])
    assert written.ordered().rows.tolist() == [0, 3, 4]
    for field in FIELDS[1:]:
        assert np.array_equal(getattr(written.ordered(), field), getattr(written, field)[[1, 2, 0]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([0, 0])}, "row 0 occurs twice"),
        ({"rows": np.array([0, -1])}, "row -1 is below 0"),
        ({"rows": np.array([0.0, 1.0])}, "whole numbers"),
        ({"rows": np.array([0, 1, 2])}, r"raw is \(2, 3\), expected \(3, 3\)"),
        ({"raw": np.zeros(2)}, "expected \\(N, E\\)"),
        ({"probabilities": np.zeros((2, 2))}, "probabilities is"),
        ({"threshold": np.zeros((2, 1))}, "threshold is"),
        ({"thresholds": np.zeros((1, 3))}, "thresholds is"),
        ({"probabilities": np.full((2, 3), np.nan)}, "NaN"),
        ({"threshold": np.full(2, np.inf)}, "infinity"),
        ({"raw": np.full((2, 3), 1.5)}, "expected 0 to 1"),
        ({"probabilities": np.full((2, 3), -0.1)}, "expected 0 to 1"),
    ],
)
def test_rejects_inconsistent_predictions(change: dict, message: str) -> None:
    good = synthetic([0, 1])
    with pytest.raises(EmocapError, match=message):
        ModelPredictions(**{field: getattr(good, field) for field in FIELDS} | change)


@pytest.mark.parametrize(
    ("change", "rows"),
    [({"images": ["a"]}, [0]), ({"targets": np.zeros((6, 2))}, [0]), ({}, [6]), ({"labels": list("abcd")}, [0])],
)
def test_rejects_inconsistent_tables(tmp_path: Path, change: dict, rows: list[int]) -> None:
    with pytest.raises(EmocapError, match="predictions.parquet"):
        write_predictions(tmp_path / "predictions.parquet", {"m": [synthetic(rows)]}, **TABLE | change)
    assert not list(tmp_path.iterdir())


def test_reports_missing_or_damaged_file_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(EmocapError, match="no such file"):
        read_predictions(path)
    write_predictions(path, {"m": [synthetic([1, 2])]}, **TABLE)
    whole = path.read_bytes()
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"emocap"])

    def saved(table: pa.Table, **change) -> None:
        pq.write_table(table.replace_schema_metadata({"emocap": json.dumps(about | change)}), path)

    def flipped(place: int) -> bytes:
        return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]

    row_group = pq.read_metadata(path).row_group(0)
    raw = next(c for c in map(row_group.column, range(row_group.num_columns)) if c.path_in_schema.startswith("m/0/raw"))
    in_raw = raw.data_page_offset + raw.total_compressed_size - 1

    damages = [
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(whole[: len(whole) // 2]),
        lambda: path.write_bytes(flipped(in_raw)),
        lambda: path.write_text("pair_id,image\n"),
        lambda: pq.write_table(pa.table({"a": [1]}), path),
        lambda: saved(table, schema=9),
        lambda: saved(table, models={"m": 2}),
        lambda: saved(table, models=["m"]),
        lambda: saved(table, labels=["joy"]),
        lambda: saved(table, labels=None),
        lambda: saved(table.drop_columns(["m/0/threshold"])),
        lambda: saved(table.drop_columns(["targets"])),
        lambda: saved(table.set_column(0, "pair_id", pa.array([None] * 6, pa.string()))),
        lambda: saved(table.set_column(2, "targets", pa.array(range(6)))),
    ]
    for damage in damages:
        damage()
        with pytest.raises(EmocapError, match="predictions.parquet") as caught:
            read_predictions(path)
        assert "\n" not in str(caught.value)
