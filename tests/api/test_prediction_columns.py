"""Predictions keep the columns of the table that they are made for."""

import csv
import json
import tarfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap import EmocapError
from emocap.api.prediction_files import write_predictions
from emocap.corpora.options import ReadOptions
from emocap.corpora.table import read_table
from emocap.ratings import Ratings

BIG = 2**53 + 1


@pytest.fixture
def written(vocabulary, tmp_path):
    """Reads a table and writes predictions for it: `written("in.csv", "out.csv", columns)`."""

    def write(name, out, columns=None):
        pairs = read_table(tmp_path / name, None, ReadOptions(columns or {}, labels=False, keep_columns=True))
        model = SimpleNamespace(vocabulary=vocabulary, ratings=Ratings(), folder=tmp_path / "model")
        write_predictions(tmp_path / out, model, pairs, np.tile([0.5, 0.25, 0.75], (len(pairs), 1)), 1)
        return tmp_path / out

    return write


def rows_of(path):
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_csv_keeps_every_column_with_ids_first(written, tmp_path) -> None:
    (tmp_path / "in.csv").write_text('caption,code,pair_id,\na dog,007,p1,\n,008,p2,\n"sea, far",,p3,\n')
    rows = rows_of(written("in.csv", "out.csv"))
    assert list(rows[0]) == ["pair_id", "caption", "code", "image", "emotions", "happy", "sad", "awe"]
    assert [(row["pair_id"], row["code"], row["caption"]) for row in rows] == [
        ("p1", "007", "a dog"),
        ("p3", "", "sea, far"),
    ]
    lines = rows_of(written("in.csv", "out.jsonl"))
    assert [line["code"] for line in lines] == ["007", ""]
    assert pq.read_table(written("in.csv", "out.parquet"))["code"].to_pylist() == ["007", ""]


def test_index_column_of_pandas_is_kept(written, tmp_path) -> None:
    (tmp_path / "in.csv").write_text(",caption,,\n0,a dog,,\n1,sea,,\n")
    rows = rows_of(written("in.csv", "out.csv"))
    assert [(row["Unnamed: 0"], row["caption"]) for row in rows] == [("0", "a dog"), ("1", "sea")]
    assert "Unnamed: 2" not in rows[0], "a column of neither name nor value is nothing"


def test_parquet_keeps_types_and_large_numbers(written, tmp_path) -> None:
    table = pa.table(
        {
            "text": ["a dog", "", "sea"],
            "item_id": pa.array([BIG, 2, BIG + 1], pa.int64()),
            "when": pa.array([1, 2, 3], pa.timestamp("ns", "UTC")),
            "vector": pa.array([[0.5], [1.5], [2.5]], pa.list_(pa.float32())),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    kept = pq.read_table(written("in.parquet", "out.parquet", {"caption": "text"}))
    assert kept.column_names[:3] == ["item_id", "pair_id", "text"]
    given = table.take([0, 2])
    for name in table.column_names:
        assert kept[name].to_pylist() == given[name].to_pylist()
        assert kept[name].type == given[name].type
    rows = rows_of(written("in.parquet", "out.csv", {"caption": "text"}))
    assert [row["item_id"] for row in rows] == [str(BIG), str(BIG + 1)]
    assert [json.loads(row["vector"]) for row in rows] == [[0.5], [2.5]]
    assert [line["item_id"] for line in rows_of(written("in.parquet", "out.jsonl", {"caption": "text"}))] == [
        BIG,
        BIG + 1,
    ]


def test_jsonl_keeps_values_of_any_type(written, tmp_path, caplog) -> None:
    lines = [{"caption": "a dog", "n": 2**70, "mixed": 1, "nested": {"a": [1, None]}}, {"caption": "sea", "mixed": "x"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second = rows_of(written("in.jsonl", "out.jsonl"))
    assert (first["n"], first["mixed"], first["nested"]) == (2**70, 1, {"a": [1, None]})
    assert (second["n"], second["mixed"], second["nested"]) == (None, "x", None)
    table = pq.read_table(written("in.jsonl", "out.parquet"))
    assert table["mixed"].to_pylist() == ["1", '"x"']
    assert "column 'mixed' has values of several types and is written as JSON text" in caplog.text
    assert table["nested"].to_pylist() == [{"a": [1, None]}, None]


def test_taken_names_get_a_suffix_and_are_said(written, tmp_path, caplog) -> None:
    (tmp_path / "in.csv").write_text("caption,emotions,sad,sad_emocap\na dog,joy,0.3,no\n")
    (row,) = rows_of(written("in.csv", "out.csv"))
    assert (row["emotions"], row["sad"], row["sad_emocap"]) == ("joy", "0.3", "no")
    assert (row["emotions_emocap"], row["sad_emocap_emocap"], row["awe"]) == ('["awe"]', "0.25", "0.75")
    assert "columns named emotions, sad; the predictions are in emotions_emocap, sad_emocap_emocap" in caplog.text
    (tmp_path / "in.csv").write_text("caption,emotions\na dog,joy\n")
    written("in.csv", "out.csv")
    assert "a column named emotions; the predictions are in emotions_emocap" in caplog.text


def test_bytes_are_left_out_of_text(written, tmp_path, caplog) -> None:
    pq.write_table(pa.table({"caption": ["a dog"], "blob": [b"\x00"], "n": [1]}), tmp_path / "in.parquet")
    (row,) = rows_of(written("in.parquet", "out.csv"))
    assert (row["n"], "blob" in row) == ("1", False)
    assert "columns blob contain bytes and are left out; write .parquet" in caplog.text
    assert pq.read_table(written("in.parquet", "out.parquet"))["blob"].to_pylist() == [b"\x00"]


def test_objects_of_several_forms_stay_as_they_are(written, tmp_path) -> None:
    lines = [{"caption": "a dog", "votes": {"joy": 1}}, {"caption": "sea", "votes": {"awe": 2}}, {"caption": "night"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert pq.read_table(written("in.jsonl", "out.parquet"))["votes"].to_pylist() == ['{"joy": 1}', '{"awe": 2}', None]
    assert [line["votes"] for line in rows_of(written("in.jsonl", "out.jsonl"))] == [{"joy": 1}, {"awe": 2}, None]


def test_half_a_surrogate_pair_is_escaped(written, tmp_path) -> None:
    (tmp_path / "in.jsonl").write_text('{"caption": "a dog", "note": "\\ud800"}')
    assert rows_of(written("in.jsonl", "out.jsonl"))[0]["note"] == "\ud800"
    assert rows_of(written("in.jsonl", "out.csv"))[0]["note"] == '"\\ud800"'
    with tarfile.open(written("in.jsonl", "out.tar")) as tar:
        assert json.loads(tar.extractfile("000000000.json").read())["note"] == "\ud800"


def test_type_that_datasets_lacks_is_one_error(written, tmp_path) -> None:
    pytest.importorskip("datasets")
    column = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"caption": ["a dog"], "scores": column}), tmp_path / "in.parquet")
    with pytest.raises(EmocapError, match=r"out\.dataset: datasets cannot store a column .*; write \.parquet"):
        written("in.parquet", "out.dataset")
    assert not (tmp_path / "out.dataset").exists()
