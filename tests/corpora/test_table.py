"""A data set as one table, in three file types and with four ways to write labels."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.corpora.table import read_table
from emocap.errors import EmocapError


def test_csv_labels_in_every_notation(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufeffimage,caption,emotions\n"
        'a.jpg,one,"[""joy"", ""very calm""]"\n'
        "a.jpg,two,\"['joy']\"\n"
        "b.jpg,three,joy | calm\n"
        ",four,joy\n"
        "b.jpg,five,a||b\n"
    )
    pairs = read_table(path)
    assert pairs.emotions == [["joy", "very calm"], ["joy"], ["calm", "joy"], ["joy"]]
    assert pairs.images == ["a.jpg", "a.jpg", "b.jpg", ""]
    assert [q.reason for q in pairs.rejected] == ["emotions 'a||b' contain an empty word"]


def test_jsonl_and_parquet_give_the_same_pairs(tmp_path) -> None:
    rows = [
        {"image": "a.jpg", "caption": "one", "emotions": ["joy"], "pair_id": "x"},
        {"image": None, "caption": "two", "emotions": ["calm"], "pair_id": "y"},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    first, second = read_table(tmp_path / "t.jsonl"), read_table(tmp_path / "t.parquet")
    assert first.table.equals(second.table)
    assert first.pair_ids == ["x", "y"]


def test_table_without_emotions_is_unlabelled(tmp_path) -> None:
    (tmp_path / "t.csv").write_text("caption\nhello\n")
    pairs = read_table(tmp_path / "t.csv")
    assert not pairs.is_labelled
    assert pairs.emotions == [None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"caption": "x", "emotions": 3}', "emotions are 3, expected words, such as joy|calm"),
        ('{"caption": "x", "emotions": [3]}', "emotions [3] contain what is not a word, expected a list of words"),
        ('{"caption": 4, "emotions": ["a"]}', "caption is int, expected text"),
        ('{"caption": "x", "image": 4.5, "emotions": ["a"]}', "image is float, expected a file name"),
        ('{"caption": "x", "image": "../passwd", "emotions": ["a"]}', "points outside the image folder"),
        ("[1]", "is list, expected an object"),
        ("{", "is not JSON"),
    ],
)
def test_invalid_row_is_rejected(tmp_path, row: str, reason: str) -> None:
    (tmp_path / "t.jsonl").write_text(row + '\n{"caption": "fine", "emotions": ["a"]}\n')
    pairs = read_table(tmp_path / "t.jsonl")
    assert pairs.captions == ["fine"]
    assert reason in pairs.rejected[0].reason


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"caption\nx", r"extension is '\.xlsx', expected \.csv, \.tsv, \.jsonl, \.json or \.parquet"),
        ("t.csv", b"", "is empty, expected a header"),
        ("t.csv", b"image,text\na,b\n", "has no column 'caption', found image, text"),
        ("t.csv", b"caption\n\xff\xfe\n", "not UTF-8 text at byte 8"),
        ("t.csv", b"caption\n" + b"x" * 1_100_000, "contains no usable pair; the first of 1 rejected rows: is not CSV"),
        ("t.parquet", b"PAR1 no", "not a Parquet file"),
        ("t.jsonl", b"\n", "contains no usable pair"),
    ],
)
def test_damaged_file_is_one_line(tmp_path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EmocapError, match=message) as error:
        read_table(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.real_data
def test_reads_real_posts(real_data) -> None:
    pairs = read_table(real_data / "posts" / "posts.csv", real_data / "posts" / "images")
    assert len(pairs) + len(pairs.rejected) == 1655
    assert {e for named in pairs.emotions for e in named or ()} == {"positive", "negative", "neutral"}


def test_number_too_long_rejects_one_row(tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text('{"caption": "x", "n": ' + "9" * 5000 + '}\n{"caption": "fine"}\n')
    pairs = read_table(tmp_path / "t.jsonl")
    assert (pairs.captions, len(pairs.rejected)) == (["fine"], 1)


def test_parquet_reads_needed_columns_and_rejects_broken_text(tmp_path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"caption": ["x"], "vector": [[1.0] * 768]}), path)
    assert read_table(path).captions == ["x"]
    offsets = pa.py_buffer((0).to_bytes(4, "little") + (1).to_bytes(4, "little"))
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"caption": broken}), path)
    with pytest.raises(EmocapError, match="not a Parquet file .*Invalid UTF8"):
        read_table(path)


@pytest.mark.parametrize("twice", ['{"caption": "a", "caption": "b"}', '{"caption": "a", "x": {"k": 1, "k": 2}}'])
def test_row_with_a_key_twice_is_rejected(tmp_path, twice) -> None:
    (tmp_path / "t.jsonl").write_text(twice + '\n{"caption": "fine"}\n')
    pairs = read_table(tmp_path / "t.jsonl")
    assert pairs.captions == ["fine"]
    key = "caption" if "x" not in twice else "k"
    assert [(row.reason, row.line) for row in pairs.rejected] == [(f"has the key {key!r} twice", twice)]


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path) -> None:
    table = pa.table([["a"], ["b"]], names=["caption", "caption"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(EmocapError, match=r"t\.parquet: has two columns 'caption'; rename one"):
        read_table(tmp_path / "t.parquet")
