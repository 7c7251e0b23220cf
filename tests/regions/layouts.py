"""Files of region features in every layout, written by code independent of emocap."""

import base64
import builtins
import os
import pickle

import h5py
import lmdb
import numpy as np

from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.interop.convert import import_features
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


def npz_folder(tmp_path, **images):
    folder = tmp_path / "feats"
    folder.mkdir()
    for name, arrays in images.items():
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


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


def lmdb_of(path, values):
    with lmdb.open(str(path), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return path


def vilbert_item(kind=dict, **changes):
    fields = {"image_id": "42", "image_h": "480", "image_w": "640", "num_boxes": "2"}
    return pickle.dumps(kind(fields | {"boxes": b64(BOXES), "features": b64(FEATURES)} | changes))


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


COCO = [f"COCO_val2014_{n:012d}.jpg" for n in (42, 9, 100_007, 3, 11)]
