"""Import of NumPy folders, HDF5 files and LMDB databases; invalid records are rejected."""

import io
import json
import logging
import pickle
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features

from .layouts import (
    BOXES,
    FEATURES,
    b64,
    file_names,
    fixed_hdf5,
    holds,
    imported,
    lmdb_of,
    npz_folder,
    reasons,
    vilbert_item,
)


def test_imports_npy_folder_without_boxes(tmp_path, caplog):
    folder = tmp_path / "feats"
    folder.mkdir()
    np.save(folder / "9.jpg.npy", FEATURES)
    np.save(folder / "bad.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(folder / "flat.npy", np.ones(3))
    np.save(folder / "words.npy", np.array([["a", "b", "c"]]))
    (folder / "cut.npy").write_bytes((folder / "9.jpg.npy").read_bytes()[:-5])
    (folder / "empty.npy").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "emocap"):
        report, store = imported(folder, tmp_path / "store")
    assert report.format_ == "npy"
    assert store.images == ["9.jpg"]
    assert holds(store, "9.jpg", boxes=np.zeros((2, 4)), size=(0, 0))
    assert report.n_without_boxes == report.n_without_size == 1
    assert "of 1 images 1 have no boxes and 1 no size" in caplog.text
    reason_of = {Path(row.where).name: row.reason for row in report.rejected}
    assert sorted(reason_of) == ["bad.npy", "cut.npy", "empty.npy", "flat.npy", "words.npy"]
    assert "pickled" in reason_of["bad.npy"]


def test_imports_bottom_up_attention_npz_without_pickle(tmp_path):
    info = np.array({"objects_id": [1]}, dtype=object)
    sides = {"image_h": 480, "image_w": 640}
    padded = {
        "x": np.vstack([FEATURES, np.zeros((3, 3))]),
        "bbox": np.vstack([BOXES, np.zeros((3, 4))]),
        "num_bbox": 2,
    }
    folder = npz_folder(
        tmp_path,
        plain={"x": FEATURES, "bbox": BOXES, "num_bbox": 2, "info": info} | sides,
        padded=padded | sides,
        transposed={"x": FEATURES.T, "bbox": BOXES, "num_bbox": 2} | sides,
        widths={"feat": FEATURES, "boxes": BOXES, "width": [640], "height": [480]},
        over={"x": FEATURES, "bbox": BOXES, "num_bbox": 3} | sides,
        wrong={"x": FEATURES, "bbox": BOXES[:1]} | sides,
        other={"y": FEATURES},
        hidden={"x": info},
    )
    (folder / "cut.npz").write_bytes((folder / "plain.npz").read_bytes()[:200])
    report, store = imported(folder, tmp_path / "store")
    assert report.format_ == "npz"
    assert store.images == ["padded", "plain", "transposed", "widths"]
    assert all(holds(store, key) for key in store.images)
    reason_of = {Path(row.where).name: row.reason for row in report.rejected}
    assert sorted(reason_of) == ["cut.npz", "hidden.npz", "other.npz", "over.npz", "wrong.npz"]
    assert reason_of["over.npz"] == "num_bbox is 3, but features has 2 rows"
    assert reason_of["wrong.npz"].startswith("boxes are (1, 4)")
    assert reason_of["other.npz"].startswith("has y, expected features as one of x, features, feat")


def test_imports_uniter_npz_with_fractional_boxes(tmp_path):
    fractions = np.array([[0, 0, 0.5, 1, 0.5, 1], [0.25, 0.5, 1, 1, 0.75, 0.5]], "<f2")
    folder = npz_folder(
        tmp_path,
        a={"features": FEATURES.astype("<f2"), "norm_bb": fractions, "image_w": 640, "image_h": 480},
        b={"features": FEATURES.astype("<f2"), "norm_bb": fractions, "conf": np.ones(2)},
    )
    report, store = imported(folder, tmp_path / "store")
    assert holds(store, "a", boxes=[[0, 0, 320, 480], [160, 240, 640, 480]])
    assert holds(store, "b", boxes=[[0, 0, 0.5, 1], [0.25, 0.5, 1, 1]], size=(1, 1))
    assert (report.n_without_boxes, report.n_without_size) == (0, 1)


def test_ambiguous_folder_needs_format(tmp_path):
    folder = npz_folder(tmp_path, a={"x": FEATURES, "bbox": BOXES})
    np.save(folder / "b.npy", FEATURES)
    with pytest.raises(EmocapError, match="holds both .npy and .npz; specify the format"):
        import_features(folder, tmp_path / "store")
    assert import_features(folder, tmp_path / "store", format_="npy").n_images == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmocapError, match="holds neither data.mdb nor .npy nor .npz"):
        import_features(tmp_path / "empty", tmp_path / "other")
    with pytest.raises(EmocapError, match="holds no .npz files"):
        import_features(tmp_path / "empty", tmp_path / "other", format_="npz")
    with pytest.raises(EmocapError, match="tsv is a file, this is not"):
        import_features(folder, tmp_path / "other", format_="tsv")
    with pytest.raises(EmocapError, match="format is 'csv', expected one of"):
        import_features(folder, tmp_path / "other", format_="csv")


def test_fixed_hdf5_with_pickled_rows_infers_sizes(tmp_path):
    source = fixed_hdf5(tmp_path / "train36.hdf5")
    (tmp_path / "train36_imgid2idx.pkl").write_bytes(pickle.dumps({458752: 1, 139: 0}, protocol=2))
    report, store = imported(source, tmp_path / "store", key="{id:012d}.jpg")
    assert (report.format_, report.rejected) == ("hdf5", ())
    assert store.images == ["000000000139.jpg", "000000458752.jpg"]
    assert holds(store, "000000000139.jpg")
    assert holds(store, "000000458752.jpg", FEATURES + 10)


def test_imports_hdf5_with_json_or_inner_rows(tmp_path):
    source = fixed_hdf5(tmp_path / "a.hdf5", image_w=[0, 320], image_h=[0, 240])
    (tmp_path / "a_imgid2idx.json").write_text('{"x": 0, "y": 1, "z": 2}')
    report, store = imported(source, tmp_path / "json")
    assert [store.size(key) for key in ("x", "y")] == [(640, 480), (320, 240)]
    assert reasons(report) == ["its row is 2, but the file has 2 images"]
    source = fixed_hdf5(tmp_path / "b.hdf5", image_ids=[b"p", b"q"])
    assert imported(source, tmp_path / "inside")[1].images == ["p", "q"]
    source = fixed_hdf5(tmp_path / "c.hdf5", image_ids=np.array([5, 5]))
    report, store = imported(source, tmp_path / "twice")
    assert (store.images, reasons(report)) == (["5"], ["image '5' occurs twice; the first one is used"])


def test_imports_adaptive_hdf5(tmp_path):
    with h5py.File(tmp_path / "train.hdf5", "w") as file:
        file["image_features"] = np.arange(12, dtype="<f4").reshape(4, 3)
        file["image_bb"] = np.arange(16, dtype="<f4").reshape(4, 4)
        file["pos_boxes"] = np.array([[0, 3], [3, 3], [3, 4], [3, 9], [2, 1]], "<i4")
    (tmp_path / "train_imgid2idx.json").write_text(json.dumps({str(n): n for n in range(5)}))
    report, store = imported(tmp_path / "train.hdf5", tmp_path / "store")
    assert store["0"][0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert store["1"][0].shape == (0, 3)
    assert store["2"][1].tolist() == [[12, 13, 14, 15]]
    assert store.size("0") == (0, 0)
    assert reasons(report) == ["pos_boxes is 3 to 9, of 4 regions", "pos_boxes is 2 to 1, of 4 regions"]


def test_refuses_inconsistent_hdf5(tmp_path):
    source = fixed_hdf5(tmp_path / "a.hdf5")
    with pytest.raises(EmocapError, match=r"the row of each image is missing; put a_imgid2idx\.json next to it"):
        import_features(source, tmp_path / "store")
    (tmp_path / "a_imgid2idx.json").write_text('{"x": "first"}')
    with pytest.raises(EmocapError, match=r"a_imgid2idx\.json: row is 'first', expected an integer"):
        import_features(source, tmp_path / "store")
    (tmp_path / "a_imgid2idx.json").write_text("[]")
    with pytest.raises(EmocapError, match=r"names no image"):
        import_features(source, tmp_path / "store")
    source.write_bytes(source.read_bytes()[:900])
    with pytest.raises(EmocapError, match=r"a\.hdf5: not an HDF5 file, or truncated"):
        import_features(source, tmp_path / "store")
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["features"] = FEATURES
    with pytest.raises(EmocapError, match=r"holds features, expected image_features \(N, R, D\)"):
        import_features(tmp_path / "b.hdf5", tmp_path / "store")
    with h5py.File(tmp_path / "c.hdf5", "w") as file:
        file["image_features"] = FEATURES
    with pytest.raises(EmocapError, match=r"image_features is \(2, 3\), expected image_features \(N, R, D\)"):
        import_features(tmp_path / "c.hdf5", tmp_path / "store")
    assert "store" not in file_names(tmp_path)


def test_imports_vilbert_lmdb(tmp_path):
    values = {
        b"keys": pickle.dumps([b"42", b"7", b"raw", b"gone"]),
        b"42": vilbert_item(),
        # The type of csv.DictReader's rows in Python 3.6 and 3.7.
        b"7": vilbert_item(OrderedDict),
        b"raw": vilbert_item(image_h=480, num_boxes=2, boxes=BOXES.tobytes(), features=FEATURES.tobytes()),
    }
    report, store = imported(lmdb_of(tmp_path / "a.lmdb", values), tmp_path / "store")
    assert report.format_ == "lmdb"
    assert store.images == ["42", "7", "raw"]
    assert all(holds(store, key) for key in store.images)
    assert reasons(report) == ["is in the list of ids but not in the database"]


def test_imports_volta_lmdb_with_lxmert_fields(tmp_path):
    item = {"img_id": "9", "img_h": "480", "img_w": "640", "num_boxes": "2", "boxes": b64(BOXES)}
    item |= {"features": b64(FEATURES), "objects_id": b64([4, 5], "<i8"), "objects_conf": b64([0.5, 0.5])}
    _, store = imported(lmdb_of(tmp_path / "a.lmdb", {b"9": pickle.dumps(item)}), tmp_path / "store")
    assert holds(store, "9")
    assert store.objects("9").tolist() == [(4, 0.5, -1, 0.0), (5, 0.5, -1, 0.0)]


def test_imports_uniter_lmdb(tmp_path):
    file = io.BytesIO()
    np.savez_compressed(file, features=FEATURES.astype("<f2"), norm_bb=BOXES / [640, 480, 640, 480], allow_pickle=True)
    values = {
        b"__keys__": json.dumps(["coco_000000000009.npz", "packed.npz"]).encode(),
        b"coco_000000000009.npz": file.getvalue(),
        b"packed.npz": b"\x84\xa2nd\xc3",
    }
    report, store = imported(lmdb_of(tmp_path / "a.lmdb", values), tmp_path / "store")
    assert store.images == ["coco_000000000009"]
    assert store.size("coco_000000000009") == (1, 1)
    assert np.allclose(store["coco_000000000009"][1] * [640, 480, 640, 480], BOXES)
    assert reasons(report) == ["is neither a pickle nor an .npz; give a compressed database if it is UNITER's"]


def test_refuses_damaged_lmdb(tmp_path):
    source = lmdb_of(tmp_path / "a.lmdb", {str(n).encode(): vilbert_item() for n in range(100)})
    data = source / "data.mdb"
    single = tmp_path / "one.lmdb"
    single.write_bytes(data.read_bytes())
    assert import_features(single, tmp_path / "single").n_images == 100
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(EmocapError, match=r"data\.mdb: has [0-9,]+ bytes, expected [0-9,]+; it is truncated"):
        import_features(source, tmp_path / "store")
    data.write_bytes(b"x" * 10_000)
    with pytest.raises(EmocapError, match="not an LMDB database, or damaged"):
        import_features(source, tmp_path / "store")
    assert "store" not in file_names(tmp_path)
