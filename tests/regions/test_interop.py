"""Import and export: each layout is written here by independent code, and invalid records are rejected."""

import base64
import builtins
import io
import json
import logging
import os
import pickle
import re
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.interop.convert import export_features, import_features
from emocap.regions.interop.formats import FORMATS, detect_format
from emocap.regions.interop.pickle import plain_pickle
from emocap.regions.store.format import FeatureSource
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import write_store

FEATURES = np.array([[1, 2, 3], [4, 5, 6]], "<f4")
BOXES = np.array([[0, 0, 64, 48], [32, 24, 640, 480]], "<f4")


def b64(values, dtype="<f4"):
    return base64.b64encode(np.array(values, dtype).tobytes()).decode()


def tsv_line(id_, features=FEATURES, boxes=BOXES, width=640, height=480, number=None):
    number = len(features) if number is None else number
    return f"{id_}\t{width}\t{height}\t{number}\t{b64(boxes)}\t{b64(features)}\n"


def lxmert_line(
    id_, objects, object_probabilities, attributes, attribute_probabilities, features=FEATURES, boxes=BOXES
):
    columns = [id_, "480", "640", b64(objects, "<i8"), b64(object_probabilities)]
    columns += [b64(attributes, "<i8"), b64(attribute_probabilities)]
    return "\t".join([*columns, str(len(features)), b64(boxes), b64(features)]) + "\n"


def write_lines(path, *lines):
    path.write_text("".join(lines))
    return path


def imported(source, out, **options):
    report = import_features(source, out, **options)
    store = FeatureStore.open(out)
    store.verify()
    assert len(store) == report.n_images
    return report, store


def file_names(folder):
    return sorted(file.name for file in folder.iterdir())


def reasons(report):
    return [row.reason for row in report.rejected]


def holds(store, key, features=FEATURES, boxes=BOXES, size=(640, 480)):
    stored, stored_boxes = store[key]
    assert stored.dtype == np.float16
    assert stored.tolist() == np.asarray(features).tolist()
    assert stored_boxes.tolist() == np.asarray(boxes).tolist()
    assert store.size(key) == size
    return True


def a_store(path, keys, named=False, dim=5):
    rng = np.random.default_rng(3)
    with write_store(path, FeatureSource("grid", {}, "", dim, Names() if named else None)) as writer:
        for number, key in enumerate(keys):
            n = (3, 0, 2, 7)[number % 4]
            objects = None
            if named:
                objects = np.zeros(n, OBJECT)
                objects["object"] = rng.integers(-1, 1600, n)
                objects["attribute"] = rng.integers(-1, 400, n)
                objects["object_probability"] = rng.random(n)
                objects["attribute_probability"] = rng.random(n)
            boxes = rng.uniform(0, 400, (n, 4)).astype(np.float32)
            features = rng.standard_normal((n, dim)).astype(np.float32)
            writer.add(key, Regions(features, boxes, (640 + number, 480), objects))
    return path


def same(a, b, boxes=True, objects=False):
    assert a.images == b.images
    for key in a.images:
        assert (a[key][0] == b[key][0]).all()
        assert a[key][0].shape == b[key][0].shape
        if boxes:
            assert (a[key][1] == b[key][1]).all()
            assert a.size(key) == b.size(key)
        if objects:
            assert (a.objects(key) == b.objects(key)).all()
    return True


def test_imports_bottom_up_attention_tsv(tmp_path):
    source = write_lines(tmp_path / "val.tsv", tsv_line(42), tsv_line(7, [[9, 8, 7]], [[1, 2, 3, 4]], 500, 375))
    report, store = imported(source, tmp_path / "store", key="COCO_val2014_{id:012d}.jpg")
    assert (report.format_, report.n_images, report.rejected) == ("tsv", 2, ())
    assert store.images == ["COCO_val2014_000000000042.jpg", "COCO_val2014_000000000007.jpg"]
    assert holds(store, "COCO_val2014_000000000042.jpg")
    assert holds(store, "COCO_val2014_000000000007.jpg", [[9, 8, 7]], [[1, 2, 3, 4]], (500, 375))
    assert store.objects("COCO_val2014_000000000042.jpg") is None
    header = store.header
    assert (header.extractor, header.settings, header.weights_hash, header.dim) == (
        "imported from val.tsv",
        {"format": "tsv"},
        "",
        3,
    )
    assert file_names(tmp_path) == ["store", "val.tsv"]


def test_imports_tsv_with_other_line_endings(tmp_path):
    text = tsv_line(1).replace("\n", "\r\n") + tsv_line(2).rstrip("\n")
    (tmp_path / "a.tsv").write_bytes(text.encode())
    _, store = imported(tmp_path / "a.tsv", tmp_path / "store")
    assert store.images == ["1", "2"]
    assert holds(store, "2")


def test_imports_lxmert_tsv_with_objects(tmp_path):
    source = write_lines(
        tmp_path / "mscoco.tsv",
        lxmert_line("COCO_train2014_000000000123", [17, 1599], [0.5, 0.25], [3, -1], [0.75, 0]),
    )
    report, store = imported(source, tmp_path / "store", name="lxmert-obj36", key="{id}.jpg")
    key = "COCO_train2014_000000000123.jpg"
    assert report.format_ == "lxmert"
    assert holds(store, key)
    assert store.objects(key).tolist() == [(17, 0.5, 3, 0.75), (1599, 0.25, -1, 0.0)]
    assert store.header.extractor == "lxmert-obj36"


def test_rejects_invalid_records_and_keeps_the_rest(tmp_path):
    good = tsv_line(1)
    lines = [
        good,
        tsv_line(2, number=3),
        tsv_line(3, number="two"),
        tsv_line(4).replace(b64(BOXES), "%%%"),
        tsv_line(5, boxes=[[0, 0, 1, 1]]),
        tsv_line(1),
        tsv_line(7, [[1, 2, np.nan], [0, 0, 0]]),
        tsv_line(8, [[1, 2, 70_000], [0, 0, 0]]),
        tsv_line(9, [[1, 2], [3, 4]]),
        "10\t640\t480\n",
        tsv_line(11, width=-4),
        tsv_line("", FEATURES),
        tsv_line(13, boxes=[[0, 0, 1, np.inf], [0, 0, 1, 1]]),
        "\n",
        tsv_line(15, features=np.zeros((0, 3)), boxes=np.zeros((0, 4))),
        tsv_line(16, features=np.zeros((0, 3)), number=2),
        tsv_line(17)[:-30],
    ]
    report, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    assert store.images == ["1", "15"]
    assert store["15"][0].shape == (0, 3)
    expected = {
        2: "boxes has 32 bytes, expected 48",
        3: "num_boxes is 'two', expected an integer",
        4: "boxes is truncated or not base64",
        5: "boxes has 16 bytes, expected 32 for num_boxes 2",
        6: "image '1' occurs twice",
        7: "a feature is not finite or exceeds half precision",
        8: "a feature is not finite or exceeds half precision",
        9: "has 2 features per region, the first image has 3",
        10: "has 3 columns, expected 6",
        11: "image width is '-4'",
        12: "id is '', expected text",
        13: "a box is not finite",
        14: "has 1 columns",
        16: "features has 0 bytes|boxes has 32",
        17: "features is truncated|features has",
    }
    reason_of = {row.where: row.reason for row in report.rejected}
    assert list(reason_of) == sorted(reason_of, key=lambda where: int(where.split()[-1]))
    assert len(reason_of) == len(expected)
    for line, reason in expected.items():
        text = reason_of[f"{tmp_path / 'a.tsv'}: line {line}"]
        assert any(text.startswith(start) for start in reason.split("|")), (line, text)
        assert "\n" not in text


def test_rejects_lxmert_record_with_wrong_objects(tmp_path):
    lines = [
        lxmert_line("a", [1, 2], [0, 0], [1, 2], [0, 0]),
        lxmert_line("b", [1], [0, 0], [1, 2], [0, 0]),
        lxmert_line("c", [1, 2**40], [0, 0], [1, 2], [0, 0]),
        lxmert_line("d", [1, 2], [0, np.nan], [1, 2], [0, 0]),
    ]
    report, store = imported(write_lines(tmp_path / "a.tsv", *lines), tmp_path / "store")
    assert store.images == ["a"]
    assert [reason.split(" h")[0] for reason in reasons(report)] == ["objects_id", "objects_id", "objects_conf"]


def test_first_image_with_regions_determines_dimension(tmp_path):
    none = {"features": np.zeros((0, 3)), "boxes": np.zeros((0, 4))}
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, **none), tsv_line(2))
    _, store = imported(source, tmp_path / "store")
    assert store.images == ["1", "2"]
    assert store.header.dim == 3


def test_warns_once_about_unknown_sizes(tmp_path, caplog):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, width=0, height=0), tsv_line(2))
    with caplog.at_level(logging.WARNING, "emocap"):
        report, store = imported(source, tmp_path / "store")
    assert store.size("1") == (0, 0)
    assert (report.n_without_size, report.n_without_boxes) == (1, 0)
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected one of tsv, lxmert, npy, npz, hdf5, lmdb"),
        (b"\x00\x01\x02" * 999, "is not a TSV, HDF5 or LMDB file; expected one of"),
        (b"just words\n", "is not a TSV, HDF5 or LMDB file; expected one of"),
        (b"a\tb\tc\n", "has 3 columns; expected one of"),
    ],
)
def test_refuses_file_without_features(tmp_path, content, message):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(EmocapError, match=message):
        import_features(tmp_path / "a.tsv", tmp_path / "store")
    for format_ in FORMATS:
        with pytest.raises(EmocapError) as error:
            import_features(tmp_path / "a.tsv", tmp_path / "store", format_=format_)
        assert "\n" not in str(error.value)
        assert str(tmp_path / "a.tsv") in str(error.value)
    assert file_names(tmp_path) == ["a.tsv"]


def test_error_names_first_rejected_record(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1, number=5), tsv_line(2, number=5))
    with pytest.raises(EmocapError, match=r"no usable image as tsv; the first of 2 rejected.*line 1: boxes has 32"):
        import_features(source, tmp_path / "store")
    assert file_names(tmp_path) == ["a.tsv"]


def test_failed_import_leaves_nothing(tmp_path, monkeypatch):
    source = write_lines(tmp_path / "a.tsv", *(tsv_line(n) for n in range(5)))
    monkeypatch.setattr("emocap.regions.interop.tsv.MAX_LINE_BYTES", 200)
    source.write_text(source.read_text() + "x" * 500)
    with pytest.raises(EmocapError, match=r"line 6 has more than"):
        import_features(source, tmp_path / "store")
    assert file_names(tmp_path) == ["a.tsv"]


def test_import_refuses_existing_output(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line(1))
    import_features(source, tmp_path / "store")
    with pytest.raises(EmocapError, match="a feature store exists there already"):
        import_features(source, tmp_path / "store")
    with pytest.raises(EmocapError, match="is a feature store already"):
        import_features(tmp_path / "store", tmp_path / "other")
    with pytest.raises(EmocapError, match="no such file or folder"):
        import_features(tmp_path / "nowhere", tmp_path / "other")


def test_memory_does_not_grow_with_the_file(tmp_path):
    line = tsv_line("ID", np.ones((36, 512)), np.ones((36, 4)))
    source = tmp_path / "a.tsv"
    with source.open("w") as file:
        for number in range(400):
            file.write(line.replace("ID", str(number), 1))
    assert source.stat().st_size > 35e6
    tracemalloc.start()
    import_features(source, tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


@pytest.mark.parametrize(
    ("template", "id_", "key"),
    [
        ("{id}", "a b", "a b"),
        ("{id}.jpg", "COCO_1", "COCO_1.jpg"),
        ("{id:012d}.jpg", "139", "000000000139.jpg"),
        ("{id:d}/{id}.jpg", "007", "7/007.jpg"),
        ("{{x}}{id}", "1", "{x}1"),
    ],
)
def test_template_makes_the_key(tmp_path, template, id_, key):
    _, store = imported(write_lines(tmp_path / "a.tsv", tsv_line(id_)), tmp_path / "store", key=template)
    assert store.images == [key]


@pytest.mark.parametrize(
    "template",
    ["", "x.jpg", "{}", "{0}", "{name}", "{id", "{id.__class__}", "{id[0]}", "{id!r}", "{id:x}", "{id:9999999999d}"],
)
def test_refuses_invalid_template(tmp_path, template):
    with pytest.raises(EmocapError, match=r"key is .*expected text with \{id\}"):
        import_features(write_lines(tmp_path / "a.tsv", tsv_line(1)), tmp_path / "store", key=template)


def test_rejects_id_that_must_be_a_number(tmp_path):
    source = write_lines(tmp_path / "a.tsv", tsv_line("x1"))
    with pytest.raises(EmocapError, match=r"line 1: id 'x1' is not a number, which the key '\{id:012d\}' needs"):
        import_features(source, tmp_path / "store", key="{id:012d}")


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


def npz_folder(tmp_path, **images):
    folder = tmp_path / "feats"
    folder.mkdir()
    for name, arrays in images.items():
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


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


def fixed_hdf5(path, **more):
    with h5py.File(path, "w") as file:
        file["image_features"] = np.stack([FEATURES, FEATURES + 10])
        file["image_bb"] = np.stack([BOXES, BOXES])
        fractions = BOXES / np.array([640, 480, 640, 480], "<f4")
        six = np.concatenate([fractions, fractions[:, 2:] - fractions[:, :2]], axis=1)
        file["spatial_features"] = np.stack([six, six])
        for name, values in more.items():
            file[name] = values
    return path


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


def lmdb_of(path, values):
    with lmdb.open(str(path), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return path


def vilbert_item(kind=dict, **changes):
    fields = {"image_id": "42", "image_h": "480", "image_w": "640", "num_boxes": "2"}
    return pickle.dumps(kind(fields | {"boxes": b64(BOXES), "features": b64(FEATURES)} | changes))


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


class Malicious:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def malicious_pickles(trace):
    command = f"open({str(trace)!r}, 'w')"
    return [
        pickle.dumps({"a": Malicious(os.system, f"touch {trace}")}),
        pickle.dumps(Malicious(builtins.eval, command)),
        pickle.dumps(Malicious(builtins.exec, command), protocol=0),
        pickle.dumps([Malicious(open, str(trace), "w")], protocol=2),
        # The opcodes by hand: INST, OBJ, an attribute of what is allowed, an extension, a persistent id.
        b"(S'touch " + str(trace).encode() + b"'\nios\nsystem\n.",
        b"(cos\nsystem\nS'touch " + str(trace).encode() + b"'\no.",
        b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93.",
        b"\x80\x02\x82\x01.",
        b"Pos.system\n.",
    ]


@pytest.mark.parametrize("number", range(9))
def test_malicious_pickle_is_refused_and_not_run(tmp_path, number):
    trace = tmp_path / "trace"
    with pytest.raises(EmocapError, match=r"^the pickle ") as error:
        plain_pickle(malicious_pickles(trace)[number])
    assert "\n" not in str(error.value)
    assert not trace.exists()


def test_malicious_pickle_runs_with_standard_unpickler(tmp_path):
    pickle.loads(malicious_pickles(tmp_path / "trace")[0])
    assert (tmp_path / "trace").exists()


def test_allowed_type_cannot_run_code_or_change():
    assert plain_pickle(pickle.dumps(OrderedDict(a=1))) == {"a": 1}
    with pytest.raises(EmocapError, match="damaged"):
        plain_pickle(b"ccollections\nOrderedDict\n(dS'get'\nI1\nsb.")
    with pytest.raises(EmocapError, match="damaged"):
        plain_pickle(b"ccollections\nOrderedDict\n(N(dS'get'\nI1\nstb.")
    assert {}.get("a") is None


def test_refuses_malicious_pickles_in_files(tmp_path):
    trace = tmp_path / "trace"
    source = fixed_hdf5(tmp_path / "a.hdf5")
    (tmp_path / "a_imgid2idx.pkl").write_bytes(malicious_pickles(trace)[0])
    with pytest.raises(
        EmocapError, match=r"a_imgid2idx\.pkl: the pickle asks for '(posix|nt)\.system', which could run"
    ):
        import_features(source, tmp_path / "store")
    source = lmdb_of(tmp_path / "a.lmdb", {b"keys": malicious_pickles(trace)[1], b"42": vilbert_item()})
    with pytest.raises(EmocapError, match=r"its list of ids cannot be read: the pickle asks for 'builtins\.eval'"):
        import_features(source, tmp_path / "store")
    arrays = vilbert_item(features=FEATURES)
    source = lmdb_of(
        tmp_path / "b.lmdb",
        {b"1": malicious_pickles(trace)[2], b"2": arrays, b"3": pickle.dumps([1]), b"42": vilbert_item()},
    )
    report, store = imported(source, tmp_path / "store")
    assert store.images == ["42"]
    refused = [re.sub("'[^']*'", "X", reason).split(",")[0] for reason in reasons(report)]
    assert refused == ["the pickle asks for X", "the pickle asks for X", "is a pickled list"]
    assert not trace.exists()


COCO = [f"COCO_val2014_{n:012d}.jpg" for n in (42, 9, 100_007, 3, 11)]


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
