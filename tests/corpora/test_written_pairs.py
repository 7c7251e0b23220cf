"""Tables that `Pairs` wrote, read back from every file that pandas and `datasets` make of them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.table import read_table

pd = pytest.importorskip("pandas")


@pytest.fixture
def pairs() -> Pairs:
    builder = PairsBuilder("synthetic")
    reasons = ['it\'s "so"\nnice, [really]', "array(['x'], dtype=object)", "caf\u00e9 \U0001f600 \\n"]
    person = {"explanations": reasons, "age": "30", "ethnicity": ["x", "y"]}
    builder.add_rating("1", "rated", "a.jpg", "A dog", ["joy", "don't care", "none"], "A", **person)
    builder.add_rating("1", "rated", "a.jpg", "A dog", [], None, explanations=[], gender="None")
    builder.add_rating("2", "NA", "", 'A cat, "sleeping"', ["joy"], "B", split="dev", group="g")
    builder.add("3", "unlabelled", "", "A lake", None)
    rated = [
        {"name": "valence", "value": 0.25, "sd": None, "n": None},
        {"name": "v", "value": 1e-7, "sd": 0.1, "n": 9.0},
    ]
    builder.add("4", "negative", "b.jpg", "A sea", [], ratings=rated, style="romantic")
    builder.add("5", "labelled", "b.jpg", "A storm", ["awe", "fear"], split="test")
    return builder.build()


def write(pairs: Pairs, kind: str, path) -> None:
    if kind == "with index":
        pairs.to_pandas().to_csv(path)
    elif kind == "lists":
        pairs.to_pandas().to_csv(path, index=False)
    elif kind == "arrays":
        pairs.table.to_pandas().to_csv(path, index=False)
    elif kind == "datasets":
        pytest.importorskip("datasets")
        pairs.to_dataset().to_csv(str(path))
    elif kind == "json":
        frame = pairs.to_pandas()
        for name in ("emotions", "annotations", "ratings"):
            frame[name] = [None if cell is None else json.dumps(cell) for cell in frame[name]]
        frame.to_csv(path, index=False)


@pytest.mark.parametrize("kind", ["with index", "lists", "arrays", "datasets", "json"])
def test_csv_of_pairs_is_read_exactly(pairs, tmp_path, kind) -> None:
    write(pairs, kind, tmp_path / "pairs.csv")
    again = read_table(tmp_path / "pairs.csv")
    assert again.table.to_pylist() == pairs.table.to_pylist()
    assert again.rejected == ()
    assert again.notes == ("1 rows have an empty cell of emotions and are unlabelled; [] is no emotion",)
    frame = pd.read_csv(tmp_path / "pairs.csv", keep_default_na=False)
    assert Pairs.from_pandas(frame).table.to_pylist() == pairs.table.to_pylist()


def test_jsonl_and_parquet_of_pairs_are_read_exactly(pairs, tmp_path) -> None:
    pairs.to_pandas().to_json(tmp_path / "pairs.jsonl", orient="records", lines=True)
    pq.write_table(pairs.table, tmp_path / "pairs.parquet")
    for name in ("pairs.jsonl", "pairs.parquet"):
        again = read_table(tmp_path / name)
        assert again.table.to_pylist() == pairs.table.to_pylist(), name
        assert again.notes == ()


def test_unlabelled_csv_stays_unlabelled(tmp_path) -> None:
    rows = dict.fromkeys(SCHEMA.names, [None] * 2) | {"pair_id": ["1", "2"], "image": ["", ""], "caption": ["a", "b"]}
    Pairs(pa.table(rows, schema=SCHEMA)).to_pandas().to_csv(tmp_path / "pairs.csv")
    assert read_table(tmp_path / "pairs.csv").emotions == [None, None]


def test_annotations_that_pandas_shortened_are_noted(tmp_path) -> None:
    builder = PairsBuilder("synthetic")
    for number in range(1001):
        builder.add_rating("x", "1", None, "a dog", ["joy"], f"person {number}")
    builder.build().table.to_pandas().to_csv(tmp_path / "pairs.csv", index=False)
    assert "..." in (tmp_path / "pairs.csv").read_text()
    again = read_table(tmp_path / "pairs.csv")
    assert (again.emotions, again.table["annotations"].to_pylist()) == ([["joy"]], [None])
    assert "annotations of 1 rows cannot be read and are left out" in again.notes[0]


@pytest.mark.parametrize(("key", "number"), [("value", 1.5), ("value", None), ("sd", -0.1), ("n", 0)])
def test_impossible_ratings_of_a_csv_are_noted(tmp_path, key: str, number: float | None) -> None:
    rating = {"name": "valence", "value": 0.5, "sd": 0.1, "n": 3.0}
    builder = PairsBuilder("synthetic")
    builder.add("1", "1", None, "a dog", ["joy"], ratings=[rating])
    builder.add("2", "2", None, "a cat", ["joy"], ratings=[rating | {key: number}])
    builder.build().table.to_pandas().to_csv(tmp_path / "pairs.csv", index=False)
    again = read_table(tmp_path / "pairs.csv")
    assert again.ratings == [{"valence": rating}, {}]
    assert "ratings of 1 rows cannot be read and are left out" in again.notes[0]


@pytest.mark.parametrize("cells", [("joy|awe", ""), ("[joy, awe]", ""), ("['joy', 'awe']", "free text")])
def test_own_table_of_the_same_columns(tmp_path, cells) -> None:
    names = ",".join(SCHEMA.names)
    emotions, annotations = (f'"{cell}"' for cell in cells)
    (tmp_path / "mine.csv").write_text(f"{names}\n1,,a,{emotions},{annotations},,,,\n2,,b,,,,,,\n")
    pairs = read_table(tmp_path / "mine.csv")
    assert pairs.emotions == [["awe", "joy"], []]
    assert pairs.notes == ()
