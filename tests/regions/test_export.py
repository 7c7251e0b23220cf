"""Export: every layout can be imported again and read by public code."""

import base64
import pickle

import h5py
import lmdb
import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import export_features, import_features
from emocap.regions.interop.formats import FORMATS, detect_format
from emocap.regions.store.reader import FeatureStore

from .layouts import (
    COCO,
    a_store,
    file_names,
    imported,
    same,
)


@pytest.mark.parametrize(
    ("format_", "template"),
    [
        ("tsv", "COCO_val2014_{id:012d}.jpg"),
        ("lxmert", "{id}.jpg"),
        ("npy", "{id}.jpg"),
        ("npz", "{id}.jpg"),
        ("hdf5", "COCO_val2014_{id:012d}.jpg"),
        ("lmdb", "COCO_val2014_{id:012d}.jpg"),
    ],
)
def test_export_and_import_restore_the_store(tmp_path, format_, template):
    path = a_store(tmp_path / "store", sorted(COCO), named=format_ == "lxmert")
    assert export_features(path, tmp_path / "out", format_=format_) == 5
    assert detect_format(tmp_path / "out") == format_
    report, again = imported(tmp_path / "out", tmp_path / "again", key=template)
    assert report.rejected == ()
    assert same(FeatureStore.open(path), again, boxes=format_ != "npy", objects=format_ == "lxmert")
    beside = ["out_imgid2idx.pkl"] if format_ == "hdf5" else []
    assert file_names(tmp_path) == ["again", "out", *beside, "store"]


@pytest.mark.parametrize("format_", ["tsv", "hdf5", "lmdb"])
def test_export_keeps_the_order(tmp_path, format_, monkeypatch):
    monkeypatch.setattr("emocap.regions.interop.lmdb._IMAGES_PER_COMMIT", 2)
    path = a_store(tmp_path / "store", COCO)
    export_features(path, tmp_path / "out", format_=format_)
    _, again = imported(tmp_path / "out", tmp_path / "again", key="COCO_val2014_{id:012d}.jpg")
    assert same(FeatureStore.open(path), again)


def test_exported_tsv_is_readable_by_public_code(tmp_path):
    path = a_store(tmp_path / "store", ["val/COCO_val2014_000000000042.jpg"])
    export_features(path, tmp_path / "out.tsv", format_="tsv")
    id_, width, height, number, boxes, features = (tmp_path / "out.tsv").read_text().rstrip("\n").split("\t")
    assert (id_, width, height, number) == ("42", "640", "480", "3")
    store = FeatureStore.open(path)
    read = np.frombuffer(base64.b64decode(features), np.float32).reshape(3, -1)
    assert (read == store[store.images[0]][0]).all()
    assert (np.frombuffer(base64.b64decode(boxes), np.float32).reshape(3, 4) == store[store.images[0]][1]).all()


def test_exported_hdf5_and_lmdb_readable_by_public_code(tmp_path):
    path = a_store(tmp_path / "store", COCO)
    store = FeatureStore.open(path)
    export_features(path, tmp_path / "train.hdf5", format_="hdf5")
    rows = pickle.loads((tmp_path / "train_imgid2idx.pkl").read_bytes())
    assert rows == {42: 0, 9: 1, 100_007: 2, 3: 3, 11: 4}
    with h5py.File(tmp_path / "train.hdf5") as file:
        start, end = file["pos_boxes"][rows[3]]
        assert (file["image_features"][start:end] == store[COCO[3]][0]).all()
        spatial = file["spatial_features"][start:end]
        assert np.allclose(spatial[:, 0], store[COCO[3]][1][:, 0] / 643)
        assert np.allclose(spatial[:, 5], (store[COCO[3]][1][:, 3] - store[COCO[3]][1][:, 1]) / 480)
    export_features(path, tmp_path / "a.lmdb", format_="lmdb")
    with lmdb.open(str(tmp_path / "a.lmdb"), readonly=True, lock=False) as environment, environment.begin() as txn:
        assert pickle.loads(txn.get(b"keys")) == [b"42", b"9", b"100007", b"3", b"11"]
        item = pickle.loads(txn.get(b"3"))
    assert (int(item["image_w"]), int(item["num_boxes"])) == (643, 7)
    read = np.frombuffer(base64.b64decode(item["features"]), np.float32).reshape(7, -1)
    assert (read == store[COCO[3]][0]).all()


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        (
            ["1000268201_693b08cb0e.jpg", "1001773457_577c3a7d70.jpg"],
            ["1000268201_693b08cb0e", "1001773457_577c3a7d70"],
        ),
        # One that does not end in a number, or two that end in the same number, leave all unchanged.
        (["a_1.jpg", "b.jpg"], ["a_1", "b"]),
        (["a_1.jpg", "b_1.jpg"], ["a_1", "b_1"]),
        (["000000000139.jpg", "x/000000000285.png"], ["139", "285"]),
    ],
)
def test_ids_are_numbers_if_all_are(tmp_path, keys, ids):
    export_features(a_store(tmp_path / "store", keys), tmp_path / "a.tsv", format_="tsv")
    assert [line.split("\t")[0] for line in (tmp_path / "a.tsv").read_text().splitlines()] == ids


@pytest.mark.parametrize("format_", FORMATS)
def test_export_refuses_equal_ids(tmp_path, format_):
    path = a_store(tmp_path / "store", ["a/x.jpg", "b/x.jpg"], named=True)
    with pytest.raises(EmocapError, match=r"'a/x\.jpg' and 'b/x\.jpg' would both have the id 'x'; use the comp"):
        export_features(path, tmp_path / "out", format_=format_)
    assert file_names(tmp_path) == ["store"]
    if format_ in ("npy", "npz"):
        with pytest.raises(EmocapError, match="is not a valid file name"):
            export_features(path, tmp_path / "out", format_=format_, id_of="key")
        assert file_names(tmp_path) == ["store"]
    else:
        export_features(path, tmp_path / "out", format_=format_, id_of="key")
        assert imported(tmp_path / "out", tmp_path / "again")[1].images == ["a/x.jpg", "b/x.jpg"]


def test_refuses_impossible_exports(tmp_path):
    path = a_store(tmp_path / "store", ["a\tb.jpg"])
    with pytest.raises(EmocapError, match="has no objects, which lxmert needs; choose tsv"):
        export_features(path, tmp_path / "out", format_="lxmert")
    with pytest.raises(EmocapError, match="its id contains a tab or line break"):
        export_features(path, tmp_path / "out", format_="tsv")
    with pytest.raises(EmocapError, match="format is 'csv', expected one of"):
        export_features(path, tmp_path / "out", format_="csv")
    with pytest.raises(EmocapError, match="id_of is 'x', expected stem or key"):
        export_features(path, tmp_path / "out", format_="tsv", id_of="x")
    with pytest.raises(EmocapError, match="not a feature store"):
        export_features(tmp_path, tmp_path / "out", format_="tsv")
    with pytest.raises(EmocapError, match="has no images"):
        export_features(a_store(tmp_path / "empty", []), tmp_path / "out", format_="tsv")
    long = a_store(tmp_path / "long", ["x" * 600])
    with pytest.raises(EmocapError, match="its id cannot be a key of LMDB"):
        export_features(long, tmp_path / "out", format_="lmdb")
    assert file_names(tmp_path) == ["empty", "long", "store"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out_imgid2idx.pkl").write_text("mine")
    for place, format_ in (("out", "npz"), ("out.hdf5", "hdf5")):
        with pytest.raises(EmocapError, match="exists; give a different path"):
            export_features(path, tmp_path / place, format_=format_)
    assert (tmp_path / "out_imgid2idx.pkl").read_text() == "mine"


@pytest.mark.parametrize(("module", "format_"), [("h5py", "hdf5"), ("lmdb", "lmdb")])
def test_reports_package_that_is_not_installed(tmp_path, monkeypatch, module, format_):
    path = a_store(tmp_path / "store", ["1.jpg"])
    export_features(path, tmp_path / "here", format_=format_)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    for act in (
        lambda: export_features(path, tmp_path / "out", format_=format_),
        lambda: import_features(tmp_path / "here", tmp_path / "again"),
    ):
        with pytest.raises(
            EmocapError, match=rf"needs {module}, which is not installed: pip install 'emocap\[formats\]'"
        ):
            act()
