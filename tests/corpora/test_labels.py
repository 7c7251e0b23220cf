"""Cells of labels: every notation reads back the same labels, and what cannot be read is shown."""

import csv
import json
import string

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emocap.corpora.labels import ABSENT_LABELS, ANSWERS, LabelFault, LabelReader, detect_separator
from emocap.corpora.options import ReadOptions
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

# Words with spaces, quotes, accents and other scripts, without the marks that separate labels in some notation.
WORDS = (
    st.text(string.ascii_letters + " '-éäßłжλ愛", min_size=1, max_size=14)
    .map(str.strip)
    .filter(lambda word: word and word.lower() not in ABSENT_LABELS | ANSWERS)
)
LABELS = st.lists(WORDS, max_size=4, unique=True)


def numpy_text(labels: list[str]) -> str:
    return str(np.array(labels, dtype=object if not labels else None))


def objects_of(labels: list[str]) -> dict[str, object]:
    return {"list": labels, "tuple": tuple(labels), "set": set(labels), "array": np.array(labels, dtype=object)}


NOTATIONS = {
    "JSON list": json.dumps,
    "JSON list in ASCII": lambda labels: json.dumps(labels, ensure_ascii=True),
    "Python list": str,
    "Python tuple": lambda labels: str(tuple(labels)),
    "Python set": lambda labels: str(set(labels)),
    "frozen set": lambda labels: str(frozenset(labels)),
    "numpy text": numpy_text,
    "numpy repr": lambda labels: repr(np.array(labels, dtype=object)),
    "numpy words in a list": lambda labels: str([np.str_(word) for word in labels]),
    "object of 0 and 1": lambda labels: json.dumps(dict.fromkeys(labels, 1) | {"none of them": 0}),
    "Python object of scores": lambda labels: str(dict.fromkeys(labels, 0.9) | {"none of them": 0.2}),
    "list of scored objects": lambda labels: json.dumps([{"label": word, "score": 0.8} for word in labels]),
    "bars": "|".join,
    "spaced bars": " | ".join,
    "semicolons": ";".join,
    "ending semicolon": lambda labels: "".join(f"{word}; " for word in labels),
}


@pytest.mark.parametrize("notation", NOTATIONS)
@given(labels=LABELS)
@settings(max_examples=60, deadline=None)
def test_notation_reads_the_same_labels(notation: str, labels: list[str]) -> None:
    if notation in ("bars", "spaced bars", "semicolons", "ending semicolon"):
        labels = [word for word in labels if "'" not in word]
    assert sorted(LabelReader().read(NOTATIONS[notation](labels))) == sorted(labels)


@given(table=st.lists(LABELS, min_size=1, max_size=12), notation=st.sampled_from(sorted(NOTATIONS)))
@settings(max_examples=60, deadline=None)
def test_table_in_any_notation_and_file_type(tmp_path_factory, table: list[list[str]], notation: str) -> None:
    if notation in ("bars", "spaced bars", "semicolons", "ending semicolon"):
        table = [[word.replace("'", "") or "x" for word in labels] for labels in table]
        table = [[word.strip() or "x" for word in labels] for labels in table]
    folder = tmp_path_factory.mktemp("table")
    cells = [NOTATIONS[notation](labels) for labels in table]
    rows = [{"caption": f"caption {i}", "emotions": cell} for i, cell in enumerate(cells)]
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["caption", "emotions"])
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "t.tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows([["caption", "emotions"], *(row.values() for row in rows)])
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "t.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "t.parquet")
    expected = [sorted(set(labels)) for labels in table]
    for name in ("t.csv", "t.tsv", "t.jsonl", "t.json", "t.parquet"):
        assert read_table(folder / name).emotions == expected, name


@given(table=st.lists(st.lists(WORDS.map(lambda word: word.replace("'", "")), max_size=3), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_declared_separator_reads_the_same_labels(tmp_path_factory, table: list[list[str]]) -> None:
    table = [[word.strip() or "x" for word in labels] for labels in table]
    path = tmp_path_factory.mktemp("table") / "t.jsonl"
    for mark in (",", "/", " & ", "\t"):
        rows = [{"caption": f"caption {i}", "emotions": mark.join(labels)} for i, labels in enumerate(table)]
        path.write_text("\n".join(map(json.dumps, rows)))
        pairs = read_table(path, options=ReadOptions(label_separator=mark))
        assert pairs.emotions == [sorted(set(labels)) for labels in table], mark


@given(table=st.lists(st.lists(st.sampled_from(["joy", "awe", "sad", "calm"]), min_size=1, unique=True), min_size=1))
@settings(max_examples=60, deadline=None)
def test_commas_between_single_words_are_detected(tmp_path_factory, table: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("table") / "t.jsonl"
    rows = [{"caption": f"caption {i}", "labels": ", ".join(labels)} for i, labels in enumerate(table)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_table(path).emotions == [sorted(labels) for labels in table]


@given(table=st.lists(st.sets(st.sampled_from(["joy", "awe", "sad", "at ease"])), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_columns_of_zero_and_one(tmp_path_factory, table: list[set[str]]) -> None:
    path = tmp_path_factory.mktemp("table") / "t.csv"
    names = ["joy", "awe", "sad", "at ease"]
    frame = pandas.DataFrame({name: [int(name in labels) for labels in table] for name in names})
    frame.insert(0, "caption", [f"caption {i}" for i in range(len(table))])
    frame.to_csv(path)  # with pandas' unnamed index
    pairs = read_table(path, options=ReadOptions({"emotions": names}))
    assert pairs.emotions == [sorted(labels) for labels in table]
    seen = set().union(*table)
    if len(seen) > 1:  # a column without any 1 says nothing of what it is
        assert read_table(path).emotions == [sorted(labels) for labels in table]


@pytest.mark.parametrize("kind", ["list", "tuple", "set", "array"])
def test_objects_of_python(kind: str) -> None:
    assert sorted(LabelReader().read(objects_of(["joy", "at ease"])[kind])) == ["at ease", "joy"]


@pytest.mark.parametrize(
    "cell",
    [
        None,
        "",
        "  ",
        "nan",
        "NaN",
        "None",
        "null",
        "N/A",
        "#N/A",
        "\\N",
        "-",
        "[]",
        "()",
        "{}",
        "set()",
        float("nan"),
        pandas.NA,
        [],
    ],
)
def test_absent_labels_are_no_emotion(cell) -> None:
    assert LabelReader().read(cell) == []


@pytest.mark.parametrize(
    "cell",
    [70317, True, "3", "-1.5", b"joy", ["joy", 3], "['joy', 3]", "['joy' ... 'awe']", "['joy'", "joy']",
     "{'joy': 'much'}", "joy||awe", "joy|awe;sad", "['', 'joy']", ["", "joy"], "x" * 101, {"joy": "much"}, [["joy"]],
     "[{'name': 'joy'}]", object(), "[joy|awe]", "[joy awe]", '["joy|awe"]', "joy:1;awe:0", "joy: 0.9", "joy(0.9)",
     "f(joy)", "70%", "1,5",
     "[['joy']\n ['awe']]", "0    joy\n1    awe\ndtype: object", "2024-01-01", "#REF!", "http://x/joy",
     "<b>joy</b>", "??", "joy\x00awe", "'joy' 'awe', 'sad'"],
)  # fmt: skip
def test_unreadable_cell_is_shown(cell) -> None:
    with pytest.raises(LabelFault) as fault:
        LabelReader().read(cell)
    assert repr(cell)[:40] in str(fault.value)


def test_scores_count_from_the_threshold() -> None:
    cell = {"joy": 0.4, "awe": 0.7, "sad": None, "calm": float("nan")}
    assert LabelReader().read(cell) == ["awe"]
    assert LabelReader(threshold=0.4).read(cell) == ["joy", "awe"]
    assert LabelReader(threshold=0.4).read(json.dumps({"joy": 0.4, "awe": 0.1})) == ["joy"]


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["joy, awe", "sad", "awe"], ","),
        (["joy,awe", "calm,sad"], ","),
        (["at ease, joy", "at ease", "sad"], ","),
        (["joy|awe", "joy"], None),
        (["joy", "awe"], None),
        (["['joy', 'awe']", "sad"], None),
        ([3, None, "joy,awe"], ","),
    ],
)
def test_commas_separate_where_pieces_recur(cells, separator) -> None:
    assert detect_separator(cells, "t.csv") == separator


def test_unclear_commas_are_refused(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('caption,emotion\none,"calm, at peace"\ntwo,"calm, at peace"\nthree,angry\n')
    with pytest.raises(EmocapError, match=r"'calm, at peace' may be one label or several; give label_separator"):
        read_table(path)
    assert read_table(path, options=ReadOptions(label_separator="none")).emotions[0] == ["calm, at peace"]
    assert read_table(path, options=ReadOptions(label_separator=",")).emotions[0] == ["at peace", "calm"]


def test_declared_separator_alone_separates() -> None:
    assert LabelReader("/").read("joy/awe") == ["joy", "awe"]
    assert LabelReader("none").read("joy|awe") == ["joy|awe"]
    assert LabelReader(",").read("['joy', 'awe']") == ["joy", "awe"]


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("joy\nawe", ["joy", "awe"]),  # several lines of one cell of a spreadsheet
        ('{joy,"very sad"}', ["joy", "very sad"]),  # Postgres
        ("WrappedArray(joy, awe)", ["joy", "awe"]),  # Spark
        ("[joy, very sad]", ["joy", "very sad"]),  # Java
        ("['joy', nan]", ["joy"]),
        ('["joy", NaN, null]', ["joy"]),
        ("{'joy': np.float64(0.9), 'awe': nan}", ["joy"]),
        ('{"choices": ["joy", "awe"]}', ["joy", "awe"]),  # Label Studio
        ('[{"label": "joy", "score": "0.3"}, {"label": "awe", "score": 0.7}]', ["awe"]),
        ("Counter({'joy': 3, 'awe': 0})", ["joy"]),
        ('c("joy", "very sad")', ["joy", "very sad"]),  # R
        ("character(0)", []),
        ("[b'joy' b'awe']", ["joy", "awe"]),  # h5py
        ("{joy=1, sad=0}", ["joy"]),  # Java
        ("joy &amp; awe|sad", ["joy & awe", "sad"]),
        ("joy、awe", ["joy", "awe"]),
        ("- joy\n- awe", ["joy", "awe"]),
        ("[“joy”, “awe”]", ["joy", "awe"]),
        ('[["joy", 0.98], ["awe", 0.1]]', ["joy"]),
        ('{"label": "joy", "score": 0.9}', ["joy"]),
        ('{"labels": ["joy", "awe"], "scores": [0.2, 0.7]}', ["awe"]),
        ("|joy|awe|", ["joy", "awe"]),
        ("[‘joy’, ‘awe’]", ["joy", "awe"]),
        ("joy\ufeff", ["joy"]),
        ('[""]', []),  # what splitting an empty text gives
        ("fear (mild)|joy", ["fear (mild)", "joy"]),
        ("['anger, annoyance']", ["anger, annoyance"]),
        ("it's fine", ["it's fine"]),
    ],
)
def test_notations_of_other_tools(cell: str, labels: list[str]) -> None:
    assert LabelReader().read(cell) == labels


@pytest.mark.parametrize("cells", [["joy,awe", "sad|calm", "joy"], ["joy,awe|sad", "calm"], ["a b, c d", "e"]])
def test_commas_beside_other_separators_are_asked_about(cells: list[str]) -> None:
    with pytest.raises(EmocapError, match="may be one label or several; give label_separator"):
        detect_separator(cells, "t.csv")


def test_threshold_must_be_a_number() -> None:
    with pytest.raises(EmocapError, match="label_threshold is nan"):
        ReadOptions(label_threshold=float("nan"))
