"""Data frames as people have them: missing values, dtypes, indices, indicator columns; and CSV of our frames."""

import numpy as np
import pyarrow as pa
import pytest

from emocap.corpora.pairs import Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

pd = pytest.importorskip("pandas")
CAPTIONS = ["a dog", "a storm", "a lake"]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_missing_values_are_negatives_without_image(missing) -> None:
    frame = pd.DataFrame({"caption": CAPTIONS, "image": ["a.jpg", missing, "b.jpg"], "emotions": ["joy", missing, ""]})
    pairs = Pairs.from_pandas(frame.astype({"emotions": object, "image": object}))
    assert pairs.emotions == [["joy"], [], []]
    assert pairs.images == ["a.jpg", "", "b.jpg"]


@pytest.mark.parametrize(
    "cells",
    [
        [["joy", "awe"], [], None],
        [("awe", "joy"), (), float("nan")],
        [{"joy", "awe"}, frozenset(), pd.NA],
        [np.array(["awe", "joy"]), np.array([]), None],
        [np.array(["awe", "joy"], dtype=object), np.array([], dtype=object), pd.NaT],
        [["joy", None, "awe"], [float("nan")], [pd.NA]],
        [{"joy": np.float16(0.9), "awe": 1, "sad": np.float32(0.2)}, {}, {"joy": None}],
        [[np.str_("awe"), np.str_("joy")], [], None],
        ["['awe' 'joy']", "[]", "nan"],
    ],
)
def test_object_cells_of_labels_are_read(cells) -> None:
    pairs = Pairs.from_pandas(pd.DataFrame({"caption": CAPTIONS, "emotions": pd.Series(cells, dtype=object)}))
    assert pairs.emotions == [["awe", "joy"], [], []]


@pytest.mark.parametrize(
    "dtype",
    ["category", "string", "string[pyarrow]", "str", "object", pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))],
)
def test_every_text_dtype_is_read(dtype) -> None:
    columns = {"caption": CAPTIONS, "image": ["a.jpg", None, "b.jpg"], "emotion": ["joy", None, "awe"]}
    pairs = Pairs.from_pandas(pd.DataFrame({name: pd.Series(cells, dtype=dtype) for name, cells in columns.items()}))
    assert pairs.captions == CAPTIONS
    assert pairs.images == ["a.jpg", "", "b.jpg"]
    assert pairs.emotions == [["joy"], [], ["awe"]]


def test_arrow_lists_and_objects_are_read() -> None:
    lists = pd.Series([["joy"], None, []], dtype=pd.ArrowDtype(pa.large_list(pa.large_string())))
    scores = pa.struct([("joy", pa.float16()), ("awe", pa.float16())])
    objects = pd.Series([{"joy": 0.9, "awe": 0.1}, None, {"joy": 0.0, "awe": 0.0}], dtype=pd.ArrowDtype(scores))
    for cells in (lists, objects):
        pairs = Pairs.from_pandas(pd.DataFrame({"caption": CAPTIONS, "emotions": cells}))
        assert pairs.emotions == [["joy"], [], []]


@pytest.mark.parametrize("dtype", [None, "float32", "Float64", "Int64", "double[pyarrow]"])
def test_ids_beside_a_missing_one_stay_whole(dtype) -> None:
    frame = pd.DataFrame({"pair_id": pd.Series([0, None, 12], dtype=dtype), "caption": CAPTIONS})
    assert Pairs.from_pandas(frame).pair_ids == ["0", "row:2", "12"]


@pytest.mark.parametrize(
    ("dtype", "number", "exact"),
    [("float64", 2**53 + 1, False), ("float32", 2**24 + 1, False), ("float64", 2**53 - 1, True)],
)
@pytest.mark.parametrize("role", ["pair_id", "group"])
def test_ids_that_lost_digits_are_refused(role, dtype, number, exact) -> None:
    frame = pd.DataFrame({role: pd.Series([number, None, 1], dtype=dtype), "caption": CAPTIONS})
    if exact:
        assert Pairs.from_pandas(frame).table[role][0].as_py() == str(number)
    else:
        with pytest.raises(EmocapError, match=rf"column '{role}' contains {int(frame[role][0])} as float"):
            Pairs.from_pandas(frame)


def test_large_integer_ids_keep_all_digits() -> None:
    ids = pd.Series([2**63 - 1, None, 2**53 + 1], dtype="Int64")
    pairs = Pairs.from_pandas(pd.DataFrame({"pair_id": ids, "caption": CAPTIONS}))
    assert pairs.pair_ids == ["9223372036854775807", "row:2", "9007199254740993"]


def test_index_is_an_id_only_if_named_so() -> None:
    frame = pd.DataFrame({"caption": CAPTIONS}, index=[7, 7, 7])
    assert Pairs.from_pandas(frame).pair_ids == ["row:1", "row:2", "row:3"]
    frame.index = pd.Index([5, 6, 9], name="pair_id")
    assert Pairs.from_pandas(frame).pair_ids == ["5", "6", "9"]
    frame.index.name = "image"
    pairs = Pairs.from_pandas(frame)
    assert pairs.images == [""] * 3
    assert pairs.notes == ("the index 'image' is not read; frame.reset_index() makes it a column",)


def test_columns_of_same_name_are_refused() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=["caption", "caption "])
    with pytest.raises(EmocapError, match="column 'caption' occurs 2 times"):
        Pairs.from_pandas(frame)


def test_columns_of_two_levels_are_refused() -> None:
    frame = pd.DataFrame([["a", 1]], columns=pd.MultiIndex.from_tuples([("caption", "x"), ("n", "y")]))
    with pytest.raises(EmocapError, match="columns have 2 levels, expected one"):
        Pairs.from_pandas(frame)


@pytest.mark.parametrize("sparse", [False, True])
def test_get_dummies_makes_no_nameless_label(sparse) -> None:
    """pandas makes one of empty pieces where pyarrow stores the text."""
    dummies = pd.Series(["joy|awe", "joy|", "|"], dtype="string[pyarrow]").str.get_dummies("|")
    assert "" in dummies.columns
    if sparse:
        dummies = dummies.astype(pd.SparseDtype(int))
    pairs = Pairs.from_pandas(dummies.assign(caption=CAPTIONS))
    assert pairs.emotions == [["awe", "joy"], ["joy"], []]
    assert "columns without a name are not read: ''" in pairs.notes


def test_saved_index_is_no_label(tmp_path) -> None:
    frame = pd.DataFrame({"caption": CAPTIONS[:2], "joy": [True, False], "awe": [True, True]})
    frame.to_csv(tmp_path / "t.csv")
    pairs = Pairs.from_pandas(pd.read_csv(tmp_path / "t.csv"))  # with "Unnamed: 0", which is 0 and 1
    assert pairs.emotions == [["awe", "joy"], ["awe"]]


def test_columns_named_by_numbers() -> None:
    frame = pd.DataFrame([["a dog", "joy"], ["a storm", "awe"]])
    pairs = Pairs.from_pandas(frame, columns={"caption": "0", "emotions": "1"})
    assert pairs.emotions == [["joy"], ["awe"]]


def test_ratings_of_one_pair_are_joined() -> None:
    frame = pd.DataFrame({"caption": ["a dog"] * 3, "annotator": [1, 2.0, None], "emotions": ["joy", "awe", "joy"]})
    pairs = Pairs.from_pandas(frame)
    assert pairs.emotions == [["awe", "joy"]]
    assert [one["annotator"] for one in pairs.table["annotations"][0].as_py()] == ["1", "2", None]


def test_image_cells_of_bytes_and_paths(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    cells = [{"bytes": b"one", "path": "x/a.PNG"}, None, b"two"]
    pairs = Pairs.from_pandas(pd.DataFrame({"caption": CAPTIONS, "image": cells}))
    assert [name and (pairs.image_root / name).read_bytes() for name in pairs.images] == [b"one", "", b"two"]
    (tmp_path / "a.jpg").write_bytes(b"")
    named = [{"bytes": None, "path": str(tmp_path / "a.jpg")}, None, {"bytes": None, "path": "a.jpg"}]
    pairs = Pairs.from_pandas(pd.DataFrame({"caption": CAPTIONS, "image": named}), tmp_path)
    assert pairs.images == ["a.jpg", "", "a.jpg"]


def test_rejected_row_is_shown() -> None:
    frame = pd.DataFrame({"caption": [None, "a storm", "a lake"], "emotions": [["joy"], [3], ["awe"]]})
    pairs = Pairs.from_pandas(frame)
    assert pairs.emotions == [["awe"]]
    assert [(row.where, row.reason[:19]) for row in pairs.rejected] == [
        ("data frame: row 1", "caption is NoneType"),
        ("data frame: row 2", "emotions [3] contai"),
    ]


def test_csv_of_our_frame_has_lists(tmp_path) -> None:
    """`DataFrame.to_csv` writes the arrays that `Table.to_pandas` makes of lists as ['awe' 'joy'], without a comma."""
    pairs = Pairs.from_pandas(pd.DataFrame({"caption": CAPTIONS, "emotions": [["joy", "awe"], ["sad"], []]}))
    pairs.to_pandas().to_csv(tmp_path / "ours.csv", index=False)
    assert "\"['awe', 'joy']\"" in (tmp_path / "ours.csv").read_text()
    pairs.table.to_pandas().to_csv(tmp_path / "theirs.csv", index=False)
    assert "['awe' 'joy']" in (tmp_path / "theirs.csv").read_text()
    for name in ("ours.csv", "theirs.csv"):
        assert read_table(tmp_path / name).emotions == pairs.emotions
        assert Pairs.from_pandas(pd.read_csv(tmp_path / name)).emotions == pairs.emotions
