"""polars data frames: dtypes, ids, exploded labels."""

import pyarrow as pa
import pytest

from emocap.corpora.pairs import Pairs
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

pl = pytest.importorskip("polars")
CAPTIONS = ["a dog", "a storm", "a lake"]


@pytest.mark.parametrize(
    "dtype", [pl.String, pl.Categorical, pl.Enum(["joy", "awe"]), pl.List(pl.String), pl.List(pl.Categorical)]
)
def test_every_dtype_of_labels_is_read(dtype) -> None:
    cells = [["joy"], None, []] if dtype.is_nested() else ["joy", None, None]
    frame = pl.DataFrame({"caption": CAPTIONS, "emotions": pl.Series(cells, dtype=dtype)})
    assert Pairs.from_polars(frame).emotions == [["joy"], [], []]
    assert Pairs.from_polars(frame.lazy()).emotions == [["joy"], [], []]


def test_scores_and_arrays_are_read() -> None:
    scores = pl.Series([{"joy": 0.9, "awe": None}, None, {"joy": 0.1, "awe": 0.2}], dtype=pl.Struct(
        {"joy": pl.Float16, "awe": pl.Float16}
    ))  # fmt: skip
    arrays = pl.Series([["joy", None], None, [None, None]], dtype=pl.Array(pl.String, 2))
    for cells in (scores, arrays):
        assert Pairs.from_polars(pl.DataFrame({"caption": CAPTIONS, "emotions": cells})).emotions == [["joy"], [], []]


def test_vectors_of_floats_are_not_read() -> None:
    vectors = pl.Series([[0.5, 1.0]] * 3, dtype=pl.List(pl.Float16))
    pairs = Pairs.from_polars(pl.DataFrame({"caption": CAPTIONS, "embedding": vectors}))
    assert pairs.unused_columns == ()
    assert pairs.captions == CAPTIONS


def test_float_ids_are_whole_or_refused() -> None:
    frame = pl.DataFrame({"caption": CAPTIONS, "pair_id": [3.0, None, 7.0]})
    assert Pairs.from_polars(frame).pair_ids == ["3", "row:2", "7"]
    with pytest.raises(EmocapError, match="contains 16777216 as float, which is exact below 2\\*\\*24 only"):
        Pairs.from_polars(frame.with_columns(pair_id=pl.lit(2**24 + 1).cast(pl.Float32)))


def test_pairs_without_emotion_survive_explode_with_nulls() -> None:
    """`explode` of polars 2 drops rows with an empty list and keeps those with null; ours have empty lists."""
    pairs = Pairs.from_polars(pl.DataFrame({"caption": CAPTIONS, "emotions": [["joy", "awe"], [], ["sad"]]}))
    frame = pairs.to_polars().select("caption", "emotions")
    grouped = frame.explode("emotions", empty_as_null=True).group_by("caption", maintain_order=True).agg("emotions")
    assert Pairs.from_polars(grouped).emotions == pairs.emotions == [["awe", "joy"], [], ["sad"]]


def test_our_frame_has_lists_of_text() -> None:
    frame = Pairs.from_polars(pl.DataFrame({"caption": ["a"], "emotions": [["joy"]]})).to_polars()
    assert frame.schema["emotions"] == pl.List(pl.String)
    assert frame["emotions"].list.len().to_list() == [1]


@pytest.mark.parametrize(
    "type_",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
        pa.list_(pa.string_view()),
    ],
)
def test_parquet_of_polars_is_read(tmp_path, type_) -> None:
    table = pa.table(
        {
            "caption": pa.array(CAPTIONS, pa.large_string()).dictionary_encode(),
            "emotions": pa.array([["joy"], [], None]).cast(type_),
            "vector": pa.array([[1.5]] * 3, pa.list_(pa.float16())),
        }
    )
    frame = pl.from_arrow(table)
    frame.write_parquet(tmp_path / "t.parquet")
    for pairs in (Pairs.from_polars(frame), read_table(tmp_path / "t.parquet")):
        assert pairs.emotions == [["joy"], [], []]
        assert pairs.captions == CAPTIONS


def test_lists_of_numbers_are_no_labels() -> None:
    frame = pl.DataFrame({"caption": ["a", "b"], "labels": [[1.0, 0.0], [0.0, 1.0]], "vector": [[0.1], [0.2]]})
    with pytest.raises(EmocapError, match=r"emotions \[1\.0, 0\.0\] contain what is not a word"):
        Pairs.from_polars(frame)
