"""Import of MMF's folders and databases, whose pickles hold NumPy arrays, and of features in folders of folders."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features

from .layouts import BOXES, FEATURES, Malicious, holds, imported, lmdb_of, reasons


def info(**changes):
    fields = {"bbox": BOXES, "num_boxes": 2, "image_width": 640, "image_height": 480, "objects": np.arange(2)}
    return fields | {"cls_prob": np.ones((2, 9), "<f4")} | changes


def save(folder, name, features, of_image=None):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{name}.npy", features)
    if of_image is not None:
        np.save(folder / f"{name}_info.npy", of_image, allow_pickle=True)


def test_imports_npy_with_info(tmp_path):
    folder = tmp_path / "feats"
    save(folder, "a", FEATURES, info())
    save(folder, "b", FEATURES.astype("<f8"), info(num_boxes=np.int64(2), objects=np.array(["dog", None], object)))
    save(folder, "c", np.vstack([FEATURES, np.zeros((1, 3))]), info(bbox=np.vstack([BOXES, np.zeros((1, 4))])))
    save(folder, "wide", FEATURES, info(bbox=np.hstack([BOXES, BOXES[:, 2:] - BOXES[:, :2]]) / 640, image_height=640))
    report, store = imported(folder, tmp_path / "store")
    assert (report.rejected, report.n_without_boxes, report.n_without_size) == ((), 0, 0)
    assert store.images == ["a", "b", "c", "wide"]
    assert all(holds(store, key) for key in "abc")
    assert holds(store, "wide", size=(640, 640))


def test_info_that_cannot_be_used_rejects_its_image(tmp_path):
    folder = tmp_path / "feats"
    save(folder, "good", FEATURES, info())
    save(folder, "short", FEATURES, info(bbox=BOXES[:1]))
    save(folder, "cut", FEATURES, info())
    cut = folder / "cut_info.npy"
    cut.write_bytes(cut.read_bytes()[:-40])
    save(folder, "code", FEATURES, info(objects=Malicious(print, "run")))
    np.save(folder / "alone_info.npy", info(), allow_pickle=True)
    report, store = imported(folder, tmp_path / "store")
    assert store.images == ["good"]
    reason_of = {Path(row.where).name: row.reason for row in report.rejected}
    assert sorted(reason_of) == ["alone_info.npy", "code.npy", "cut.npy", "short.npy"]
    assert reason_of["code.npy"].startswith("its code_info.npy the pickle asks for 'builtins.print'")
    assert reason_of["cut.npy"].startswith("its cut_info.npy the pickle is truncated")
    assert reason_of["alone_info.npy"].startswith("has bbox, num_boxes")
    assert reason_of["short.npy"].startswith("boxes are (1, 4)")


def test_array_named_info_is_an_image(tmp_path):
    folder = tmp_path / "feats"
    save(folder, "a", FEATURES)
    save(folder, "a_info", FEATURES + 1)
    _, store = imported(folder, tmp_path / "store")
    assert store.images == ["a", "a_info"]


def test_imports_features_and_boxes_of_one_pickled_dict(tmp_path):
    save(tmp_path / "feats", "a", np.array({"image_feature": FEATURES, "image_bboxes": BOXES.astype("<i4")}, object))
    _, store = imported(tmp_path / "feats", tmp_path / "store")
    assert holds(store, "a", size=(0, 0))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_imports_mmf_lmdb(tmp_path, protocol, dtype):
    arrays = [FEATURES.astype(dtype), np.asfortranarray(FEATURES.astype(dtype)), np.repeat(FEATURES, 2, 0)[::2]]
    items = [info(features=array, feature_path=f"train/{n}") for n, array in enumerate(arrays)]
    items.append({"feature_path": "train/3", "features": FEATURES})
    values = {f"train/{n}".encode(): pickle.dumps(item, protocol) for n, item in enumerate(items)}
    values[b"keys"] = pickle.dumps(list(values), protocol)
    report, store = imported(lmdb_of(tmp_path / "a.lmdb", values), tmp_path / "store")
    assert report.rejected == ()
    assert all(holds(store, f"train/{n}") for n in range(3))
    assert holds(store, "train/3", boxes=np.zeros((2, 4)), size=(0, 0))


def test_rejects_mmf_record_of_objects(tmp_path):
    values = {b"1": pickle.dumps(info(features=FEATURES))}
    values[b"2"] = pickle.dumps(info(features=np.array([["a", "b"]], object)))
    values[b"3"] = pickle.dumps(info(features=FEATURES + 1j))
    values[b"4"] = pickle.dumps(info(features=FEATURES, num_boxes=7))
    report, store = imported(lmdb_of(tmp_path / "a.lmdb", values), tmp_path / "store")
    assert store.images == ["1"]
    assert reasons(report)[1:] == [
        "the pickle holds an array of type 'c8', expected numbers or text",
        "num_boxes is 7, but features has 2 rows",
    ]


def test_finds_features_in_folders_of_folders(tmp_path):
    folder = tmp_path / "feats"
    save(folder, "a", FEATURES)
    save(folder, "train/a", FEATURES + 1, info())
    save(folder, "val/deep/b", FEATURES + 2)
    for name in ("._a.npy", "train/._a.npy", "__MACOSX/train/._a.npy", "__MACOSX/c.npy", ".DS_Store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\26\7")
    report, store = imported(folder, tmp_path / "store", key="{id}.jpg")
    assert report.rejected == ()
    assert store.images == ["a.jpg", "train/a.jpg", "val/deep/b.jpg"]
    assert holds(store, "train/a.jpg", FEATURES + 1)


def test_same_stem_in_two_folders_is_refused(tmp_path):
    folder = tmp_path / "feats"
    save(folder, "train/7", FEATURES)
    save(folder, "val/8", FEATURES)
    _, store = imported(folder, tmp_path / "store", key="{stem:03d}.jpg")
    assert store.images == ["007.jpg", "008.jpg"]
    save(folder, "val/7", FEATURES + 1)
    with pytest.raises(EmocapError, match=r"val/7\.npy: ids 'train/7' and 'val/7' both give the key '007\.jpg'"):
        import_features(folder, tmp_path / "other", key="{stem:03d}.jpg")
    assert imported(folder, tmp_path / "other")[1].images == ["train/7", "val/7", "val/8"]


def test_warns_of_boxes_beyond_the_image(tmp_path, caplog):
    folder = tmp_path / "feats"
    save(folder, "exchanged", FEATURES, info(image_width=480, image_height=640))
    save(folder, "sides", FEATURES, info(bbox=np.array([[100, 100, 50, 60], [300, 200, 40, 90]])))
    save(folder, "good", FEATURES, info())
    with caplog.at_level(logging.WARNING, "emocap"):
        report, _ = imported(folder, tmp_path / "store")
    assert report.n_misplaced == 2
    assert "of 3 images 2 have boxes that end before they begin or beyond the image" in caplog.text
