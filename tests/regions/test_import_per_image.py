"""Import of VinVL's features.tsv and of HDF5 files with datasets of each image."""

import json

import h5py
import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.interop.convert import import_features

from .layouts import BOXES, FEATURES, b64, holds, imported, reasons, write_lines

RNG = np.random.default_rng(4)
FRACTIONS = np.hstack([BOXES, BOXES[:, 2:] - BOXES[:, :2]]) / [640, 480, 640, 480, 640, 480]
REGIONS = np.hstack([RNG.random((2, 58)), FRACTIONS]).astype("<f2")


def json_line(id_, dtype, features=REGIONS):
    return f"{id_}\t{json.dumps({'num_boxes': len(features), 'features': b64(features, dtype)})}\n"


def three_columns(id_, dtype, features=REGIONS):
    return f"{id_}\t{len(features)}\t{b64(features, dtype)}\n"


@pytest.mark.parametrize("line", [json_line, three_columns])
@pytest.mark.parametrize("dtype", ["<f2", "<f4"])
def test_imports_vinvl_with_boxes(tmp_path, line, dtype):
    lines = [line("139", dtype), line("285", dtype)[:-9] + "\n", line("785", dtype, REGIONS[:1])]
    report, store = imported(write_lines(tmp_path / "features.tsv", *lines), tmp_path / "store", key="{id:012d}.jpg")
    assert report.format_ == "tsv"
    assert store.images == ["000000000139.jpg", "000000000785.jpg"]
    assert store["000000000139.jpg"][0].tolist() == REGIONS.tolist()
    assert np.allclose(store["000000000139.jpg"][1], FRACTIONS[:, :4], atol=1e-3)
    assert (report.n_without_boxes, report.n_without_size, len(report.rejected)) == (0, 2, 1)


def test_vinvl_features_without_boxes(tmp_path):
    plain = RNG.normal(size=(2, 64)).astype("<f4")
    report, store = imported(write_lines(tmp_path / "a.tsv", three_columns("1", "<f4", plain)), tmp_path / "store")
    assert report.n_without_boxes == 1
    assert np.allclose(store["1"][0], plain, atol=1e-2)


def test_imports_datasets_named_by_image(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for id_ in ("42", "7"):
            file[f"{id_}_features"] = FEATURES
            file[f"{id_}_boxes"] = BOXES
            file[f"{id_}_cls_prob"] = np.ones((2, 9))
        file["9_features"] = np.ones(3)
    report, store = imported(tmp_path / "a.hdf5", tmp_path / "store")
    assert store.images == ["42", "7"]
    assert all(holds(store, id_, size=(0, 0)) for id_ in store.images)
    assert reasons(report) == ["features are (3,) float64, expected (regions, numbers) of numbers"]


def test_imports_group_of_each_image(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        group = file.create_group("COCO_1")
        for name, value in {"features": FEATURES, "bbox": BOXES, "image_width": 640, "image_height": 480}.items():
            group[name] = value
        file.create_group("5")["features"] = FEATURES
    report, store = imported(tmp_path / "a.hdf5", tmp_path / "store")
    assert holds(store, "COCO_1")
    assert report.n_without_boxes == 1


@pytest.mark.parametrize("name", ["train_features", "train/features", "spatial_features", "features"])
def test_refuses_dataset_of_a_part(tmp_path, name):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file[name] = FEATURES
    with pytest.raises(EmocapError, match=r"a\.hdf5: holds \w+, expected image_features"):
        import_features(tmp_path / "a.hdf5", tmp_path / "store")
