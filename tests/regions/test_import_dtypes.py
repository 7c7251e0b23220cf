"""The dtype of features in base64 is inferred, given, or the import is refused; never read as other numbers."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features
from emocap.regions.interop.dtypes import infer_dtype, require_inferred

from .layouts import BOXES, b64, file_names, imported, lmdb_of, npz_folder, tsv_line, vilbert_item, write_lines

RNG = np.random.default_rng(26)
OUTPUTS = {
    "uniform": lambda shape: RNG.random(shape),
    "normal": lambda shape: RNG.normal(size=shape),
    "rectified": lambda shape: np.maximum(RNG.normal(size=shape) - 1, 0),
    "large": lambda shape: RNG.random(shape) * 300,
    "normalised": lambda shape: RNG.normal(size=shape) * 0.02,
    "integers": lambda shape: RNG.integers(0, 9, shape),
    "log_normal": lambda shape: np.exp(2 * RNG.normal(size=shape)),
}


def line(id_, features, dtype, boxes_dtype="<f4"):
    boxes = np.tile(BOXES[:1], (len(features), 1))
    columns = [str(id_), "640", "480", str(len(features)), b64(boxes, boxes_dtype), b64(features, dtype)]
    return "\t".join(columns) + "\n"


@pytest.mark.parametrize("values", OUTPUTS)
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(4, 32), (10, 64), (36, 512)])
def test_infers_the_dtype(values, dtype, shape):
    features = OUTPUTS[values](shape)
    name = np.dtype(dtype).name
    assert infer_dtype([(len(features), features.astype(dtype).tobytes())]) == name
    rounded = features.astype("<f2").astype(dtype)
    assert infer_dtype([(len(rounded), rounded.tobytes())] * 3) == name


@pytest.mark.parametrize(("dtype", "boxes_dtype"), [("<f2", "<f4"), ("<f2", "<f2"), ("<f8", "<f4"), ("<f8", "<f8")])
def test_tsv_of_other_dtype_keeps_its_numbers(tmp_path, dtype, boxes_dtype):
    features = RNG.normal(size=(3, 5, 24)).astype("<f2")
    lines = [line(n, features[n], dtype, boxes_dtype) for n in range(3)]
    _, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    for n in range(3):
        assert store[str(n)][0].tolist() == features[n].tolist()
        assert store[str(n)][1].tolist() == [BOXES[0].tolist()] * 5


def test_truncated_and_empty_records_do_not_decide(tmp_path):
    features = RNG.random((4, 24))
    zeros = np.zeros((4, 24))
    lines = [line(0, zeros, "<f4"), line(1, features[:, :23], "<f2"), *(line(n, features, "<f4") for n in (2, 3, 4))]
    report, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    assert store.images == ["0", "2", "3", "4"]
    assert len(report.rejected) == 1
    assert store["2"][0].shape == (4, 24)


def test_refuses_ambiguous_dtype_until_it_is_given(tmp_path):
    features = np.array([[9, 8, 7]])
    source = write_lines(tmp_path / "a.tsv", line(1, features, "<f4"))
    with pytest.raises(EmocapError, match=r"could be float16 or float32.*--dtype") as error:
        import_features(source, tmp_path / "store")
    assert "\n" not in str(error.value)
    assert file_names(tmp_path) == ["a.tsv"]
    _, store = imported(source, tmp_path / "store", dtype="float32")
    assert store["1"][0].tolist() == features.tolist()


def test_refuses_dtype_that_cannot_be(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1))
    with pytest.raises(EmocapError, match="dtype is 'half', expected one of float16, float32, float64"):
        import_features(source, tmp_path / "store", dtype="half")
    with pytest.raises(EmocapError, match=r"features has 24 bytes, expected a multiple of 16"):
        import_features(source, tmp_path / "store", dtype="float64")
    folder = npz_folder(tmp_path, a={"x": RNG.random((2, 3))})
    with pytest.raises(EmocapError, match="npz records the dtype"):
        import_features(folder, tmp_path / "store", dtype="float32")


def test_lmdb_in_base64_of_half_precision(tmp_path):
    features = RNG.random((2, 48)).astype("<f2")
    item = vilbert_item(features=b64(features, "<f2"))
    _, store = imported(lmdb_of(tmp_path / "a.lmdb", {b"42": item, b"7": pickle.dumps([1])}), tmp_path / "store")
    assert store["42"][0].tolist() == features.tolist()


def test_features_of_zeros_alone_have_no_dtype() -> None:
    with pytest.raises(EmocapError, match="could be float16 or float32.*--dtype"):
        require_inferred(Path("x.tsv"), [(2, bytes(128))] * 3)
    assert require_inferred(Path("x.tsv"), []) == "float32"
