"""Predictions in every format: the same numbers, read by the libraries that the formats are for, and whole files."""

import csv
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.api.prediction_files import WRITERS, require_prediction_format, write_predictions
from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError
from emocap.ratings import Ratings

PROBABILITIES = np.array([[0.9, 0.25, 0.5], [0.1, 0.75, 0.625], [0.0, 1e-4, 1.0]], dtype=np.float32)
TOP = [["happy", "awe"], ["sad", "awe"], ["awe", "sad"]]


@pytest.fixture
def saved(vocabulary):
    return SimpleNamespace(vocabulary=vocabulary, ratings=Ratings(), folder=Path("models/teacher"))


@pytest.fixture
def pairs(tmp_path, monkeypatch) -> Pairs:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.b.jpg").write_bytes(b"bytes of an image")
    rows = dict.fromkeys(SCHEMA.names, [None] * 3)
    rows |= {"pair_id": ["2.x/1", "1", "0"], "image": ["a.b.jpg", "gone.jpg", ""], "caption": ["é", "two", "three"]}
    return Pairs(pa.table(rows, schema=SCHEMA), tmp_path / "pics")


def test_csv_and_jsonl_have_a_column_per_emotion(saved, pairs, tmp_path) -> None:
    for name in ("out.csv", "out.jsonl"):
        write_predictions(tmp_path / name, saved, pairs, PROBABILITIES, 2)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [json.loads(row["emotions"]) for row in rows] == [line["emotions"] for line in lines] == TOP
    assert [line["sad"] for line in lines] == [float(row["sad"]) for row in rows] == [0.25, 0.75, 0.0001]
    assert [line["pair_id"] for line in lines] == pairs.pair_ids


def test_pandas_and_polars_read_parquet(saved, pairs, tmp_path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    write_predictions(tmp_path / "out.parquet", saved, pairs, PROBABILITIES, 2)
    assert json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"labels"]) == ["happy", "sad", "awe"]
    frame, other = pandas.read_parquet(tmp_path / "out.parquet"), polars.read_parquet(tmp_path / "out.parquet")
    assert [list(row) for row in frame["emotions"]] == other["emotions"].to_list() == TOP
    np.testing.assert_array_equal(np.stack(frame["probabilities"]), PROBABILITIES)
    np.testing.assert_array_equal(np.array(other["probabilities"].to_list(), np.float32), PROBABILITIES)
    frame.to_csv(tmp_path / "again.csv")
    assert read_table(tmp_path / "again.csv").emotions == [sorted(row) for row in TOP]


def test_dataset_is_loaded_from_disk(saved, pairs, tmp_path, capfd) -> None:
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out.dataset"
    for probabilities in (PROBABILITIES[::-1], PROBABILITIES):  # the second replaces the first
        require_prediction_format(out)
        write_predictions(out, saved, pairs, probabilities, 2)
    assert capfd.readouterr().err == ""
    dataset = datasets.load_from_disk(out)
    assert dataset["emotions"][:] == TOP
    assert dataset.features["probabilities"] == datasets.List(datasets.Value("float32"))
    np.testing.assert_array_equal(np.array(dataset["probabilities"][:], np.float32), PROBABILITIES)
    description = json.loads(dataset.info.description)
    assert description == {
        "labels": ["happy", "sad", "awe"],
        "vocabulary": saved.vocabulary.hash,
        "model": "models/teacher",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.dataset", "pics"]


def test_shard_is_read_by_webdataset(saved, pairs, tmp_path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write_predictions(tmp_path / "out.tar", saved, pairs, PROBABILITIES, 2)
    samples = list(webdataset.WebDataset(str(tmp_path / "out.tar"), shardshuffle=False))
    records = [json.loads(sample["json"]) for sample in samples]
    assert [sample.get("jpg") for sample in samples] == [b"bytes of an image", None, None]
    assert [record["pair_id"] for record in records] == ["2.x/1", "1", "0"]
    assert [record["image"] for record in records] == ["a.b.jpg", "gone.jpg", ""]
    assert records[0]["probabilities"] == {"happy": 0.9, "sad": 0.25, "awe": 0.5}
    again = Pairs.from_webdataset(tmp_path / "out.tar")
    assert again.pair_ids == pairs.pair_ids
    assert again.emotions == [sorted(row) for row in TOP]


@pytest.mark.parametrize("extension", WRITERS)
def test_nothing_is_left_of_a_failure(saved, pairs, tmp_path, extension, monkeypatch) -> None:
    if extension == ".dataset":
        pytest.importorskip("datasets")
    out = tmp_path / "new" / f"out{extension}"

    def fail(path, *_) -> None:
        (path / "a" if path.is_dir() else path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(WRITERS, extension, fail)
    with pytest.raises(EmocapError, match="No space left on device"):
        write_predictions(out, saved, pairs, PROBABILITIES, 2)
    assert list(out.parent.iterdir()) == []


def test_other_folder_is_not_replaced(tmp_path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "mine.dataset").mkdir()
    with pytest.raises(EmocapError, match=r"mine\.dataset: exists and is not a saved dataset; choose another name"):
        require_prediction_format(tmp_path / "mine.dataset")


def test_dataset_needs_the_library(tmp_path, monkeypatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("emocap.corpora.interop.columns.import_module", absent)
    with pytest.raises(EmocapError, match="datasets is not installed"):
        require_prediction_format(tmp_path / "out.dataset")


def test_same_predictions_give_the_same_shard(saved, pairs, tmp_path) -> None:
    for name in ("a.tar", "b.tar"):
        write_predictions(tmp_path / name, saved, pairs, PROBABILITIES, 2)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["000000000.json", "000000000.jpg", "000000001.json", "000000002.json"]
