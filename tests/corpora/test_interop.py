"""Pairs to another library and back are the same pairs, in every form in which that library keeps a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emocap.corpora.interop.columns import plain
from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

PERSON = {"annotator": "w1", "emotions": ["joy", "awe"], "explanations": [], "age": None, "gender": "f"}
ANNOTATIONS = [
    [PERSON | {"education": None, "ethnicity": None}, dict.fromkeys([*PERSON, "education", "ethnicity"])],
    [],
    None,
]
VALENCE = {"name": "valence", "value": 0.25, "sd": None, "n": None}


@pytest.fixture
def pairs() -> Pairs:
    """1,503 pairs, of which the first 1,500 have an empty or no list of emotions and no annotations."""
    emotions = [None if row % 2 else [] for row in range(1500)] + [["awe", "joy"], [], None]
    rows = {
        "pair_id": [str(row) for row in range(1503)],
        "image": ["" if row % 3 else f"{row}.jpg" for row in range(1503)],
        "caption": [f"caption {row}, “{row}”" for row in range(1503)],
        "emotions": emotions,
        "annotations": [None] * 1500 + ANNOTATIONS,
        "group": [None] * 1502 + ["g"],
        "split": ["train"] * 1502 + [None],
        "ratings": [None] * 1500 + [[VALENCE, VALENCE | {"name": "arousal", "n": 12.0}], [], None],
        "style": [None] * 1502 + ["humorous"],
    }
    return Pairs(pa.table(rows, schema=SCHEMA))


def _pandas_parquet(pairs: Pairs, path: Path) -> Pairs:
    pandas = pytest.importorskip("pandas")
    pairs.to_pandas().to_parquet(path)
    return Pairs.from_pandas(pandas.read_parquet(path))


def _pandas_arrow(pairs: Pairs, path: Path) -> Pairs:
    pandas = pytest.importorskip("pandas")
    pairs.to_pandas().to_parquet(path)
    return Pairs.from_pandas(pandas.read_parquet(path, dtype_backend="pyarrow"))


def _pandas_pickle(pairs: Pairs, path: Path) -> Pairs:
    pandas = pytest.importorskip("pandas")
    pairs.to_pandas().set_index("pair_id").to_pickle(path)
    return Pairs.from_pandas(pandas.read_pickle(path))


def _polars_parquet(pairs: Pairs, path: Path) -> Pairs:
    polars = pytest.importorskip("polars")
    pairs.to_polars().write_parquet(path)
    return Pairs.from_polars(polars.scan_parquet(path))


def _polars_ndjson(pairs: Pairs, path: Path) -> Pairs:
    polars = pytest.importorskip("polars")
    frame = pairs.to_polars()
    frame.write_ndjson(path)
    return Pairs.from_polars(polars.read_ndjson(path, schema=frame.schema))


def _dataset_on_disk(pairs: Pairs, path: Path) -> Pairs:
    datasets = pytest.importorskip("datasets")
    pairs.to_dataset().save_to_disk(path)
    return Pairs.from_dataset(datasets.load_from_disk(path))


def _dataset_parquet(pairs: Pairs, path: Path) -> Pairs:
    datasets = pytest.importorskip("datasets")
    pairs.to_dataset().to_parquet(path)
    return Pairs.from_dataset(datasets.Dataset.from_parquet(str(path), cache_dir=path.parent))


def _dataset_stream(pairs: Pairs, path: Path) -> Pairs:
    return Pairs.from_dataset(pairs.to_dataset().to_iterable_dataset(num_shards=2))


def _dataset_json(pairs: Pairs, path: Path) -> Pairs:
    datasets = pytest.importorskip("datasets")
    dataset = pairs.to_dataset()
    dataset.to_json(path)
    return Pairs.from_dataset(datasets.Dataset.from_json(str(path), features=dataset.features, cache_dir=path.parent))


def _polars_of_dataset(pairs: Pairs, path: Path) -> Pairs:
    return Pairs.from_polars(pairs.to_dataset().to_polars())


def _pandas_of_polars(pairs: Pairs, path: Path) -> Pairs:
    return Pairs.from_pandas(pairs.to_polars().to_pandas())


@pytest.mark.parametrize(
    "through",
    [
        lambda pairs, _: Pairs.from_pandas(pairs.to_pandas()),
        lambda pairs, _: Pairs.from_polars(pairs.to_polars()),
        lambda pairs, _: Pairs.from_dataset(pairs.to_dataset()),
        _pandas_parquet,
        _pandas_arrow,
        _pandas_pickle,
        _polars_parquet,
        _polars_ndjson,
        _dataset_on_disk,
        _dataset_parquet,
        _dataset_stream,
        _dataset_json,
        _polars_of_dataset,
        _pandas_of_polars,
    ],
)
def test_round_trip_loses_nothing(pairs, tmp_path, through: Callable[[Pairs, Path], Pairs]) -> None:
    again = through(pairs, tmp_path / "table.bin")
    assert again.table.to_pylist() == pairs.table.to_pylist()
    assert again.table.schema == SCHEMA
    assert again.rejected == ()


def test_pairs_without_labels_stay_so(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("caption\na storm\n")
    pairs = read_table(tmp_path / "t.csv")
    for again in (Pairs.from_pandas(pairs.to_pandas()), Pairs.from_polars(pairs.to_polars())):
        assert again.emotions == [None]


@pytest.mark.parametrize("of", [Pairs.from_pandas, Pairs.from_polars, Pairs.from_dataset])
def test_other_object_is_refused(of) -> None:
    with pytest.raises(EmocapError, match="is list, expected"):
        of([{"caption": "a"}])


def test_folder_of_images_must_exist(pairs, tmp_path) -> None:
    for of, table in ((Pairs.from_pandas, pairs.to_pandas()), (Pairs.from_dataset, pairs.to_dataset())):
        with pytest.raises(EmocapError, match="no such folder of images"):
            of(table, tmp_path / "none")


def test_key_of_the_last_row_is_read(tmp_path) -> None:
    """pyarrow, polars and `datasets` take the columns of a JSONL from its first rows; polars drops the others."""
    lines = ['{"caption": "a dog"}'] * 50_000 + ['{"caption": "a storm", "emotions": ["awe"], "group": "g"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    pairs = read_table(tmp_path / "t.jsonl")
    assert pairs.emotions[-2:] == [[], ["awe"]]
    assert pairs.groups[-1] == "g"


def test_library_that_is_absent_is_named(pairs, monkeypatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("emocap.corpora.interop.columns.import_module", absent)
    with pytest.raises(EmocapError, match="polars is not installed; install it with: pip install polars"):
        pairs.to_polars()


def test_plain_keeps_words_that_mean_absent() -> None:
    assert plain(["nan", float("nan"), {"a": float("nan")}]) == ["nan", None, {"a": None}]
