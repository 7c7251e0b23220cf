"""The feature store: reading returns what was written, and a damaged or incomplete store is reported in one line."""

import json
import pickle
from contextlib import nullcontext

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.store import reader
from emocap.regions.store import writer as store_writer
from emocap.regions.store.format import feature_fingerprint, key_hash
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import write_store

from .example_store import NAMES, SETTINGS, feature_source, file_names, regions, write_example


def test_store_returns_what_was_written(tmp_path):
    written = write_example(tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    assert store.images == list(written)
    assert len(store) == 3
    assert store.sizes.tolist() == [[640, 480], [641, 480], [642, 480]]
    for image, (features, boxes, size, _) in written.items():
        assert image in store
        stored, stored_boxes = store[image]
        assert stored.dtype == np.float16
        assert (stored == features.astype(np.float16)).all()
        assert (stored_boxes == boxes).all()
        assert store.size(image) == size
        assert store.objects(image) is None
    assert store["folder/1.jpg"][0].shape == (0, 4)
    assert "other.jpg" not in store
    with pytest.raises(EmocapError, match=r"has no image 'other\.jpg'"):
        store["other.jpg"]
    store.verify()
    assert file_names(tmp_path) == ["store"]


def test_header_describes_the_store(tmp_path):
    write_example(tmp_path / "store")
    header = json.loads((tmp_path / "store/header.json").read_text())
    assert {key: header[key] for key in header if key not in ("sha256", "digest")} == {
        "schema": 2,
        "extractor": "grid",
        "settings": SETTINGS,
        "weights_hash": "",
        "computed_in": "",
        "dim": 4,
        "n_images": 3,
        "n_regions": 5,
        "shards": [3],
        "objects": [],
        "attributes": [],
    }
    assert sorted([*header["sha256"], "header.json"]) == file_names(tmp_path / "store")


def test_features_are_ordinary_npy_file(tmp_path):
    write_example(tmp_path / "store", counts=[36] * 300)
    assert np.load(tmp_path / "store/features-00000.npy", allow_pickle=False).shape == (36 * 300, 4)
    assert np.load(tmp_path / "store/boxes.npy", allow_pickle=False).dtype == np.float32


def test_fingerprint_depends_on_extractor_not_images(tmp_path):
    write_example(tmp_path / "a")
    write_example(tmp_path / "b", counts=(7,), seed=1)
    write_example(tmp_path / "c", settings={"rows": 2, "columns": 2})
    a, b, c = (FeatureStore.open(tmp_path / name).fingerprint for name in "abc")
    assert a == b != c
    assert a == feature_fingerprint("grid", {"columns": 2, "rows": 1}, "", 4)
    assert (
        len(
            {
                a,
                feature_fingerprint("grid", SETTINGS, "", 5),
                feature_fingerprint("grid", SETTINGS, "x", 4),
                feature_fingerprint("x", SETTINGS, "", 4),
            }
        )
        == 4
    )


def test_empty_store_can_be_opened(tmp_path):
    write_example(tmp_path / "store", counts=())
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert (len(store), store.header.dim, store.header.n_regions) == (0, 4, 0)


def test_pickled_store_is_its_path(tmp_path):
    write_example(tmp_path / "store", counts=[36] * 100, dim=64)
    store = FeatureStore.open(tmp_path / "store")
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert (pickle.loads(data)["folder/5.jpg"][0] == store["folder/5.jpg"][0]).all()


def test_features_are_read_only(tmp_path):
    write_example(tmp_path / "store")
    with pytest.raises(ValueError, match="read-only"):
        FeatureStore.open(tmp_path / "store")["folder/0.jpg"][0][0, 0] = 1


@pytest.mark.parametrize("name", ["features-00000.npy", "boxes.npy", "offsets.npy", "keys.npy", "hashes.npy"])
@pytest.mark.parametrize("lost", [1, 40, 10_000])
def test_opening_reports_truncated_file(tmp_path, name, lost):
    write_example(tmp_path / "store")
    file = tmp_path / "store" / name
    file.write_bytes(file.read_bytes()[:-lost])
    with pytest.raises(EmocapError, match=rf"{name}: .*; delete the folder and extract") as error:
        FeatureStore.open(tmp_path / "store")
    assert "\n" not in str(error.value)


def test_opening_reports_file_that_grew(tmp_path):
    write_example(tmp_path / "store")
    with (tmp_path / "store/features-00000.npy").open("ab") as file:
        file.write(b"12")
    with pytest.raises(EmocapError, match=r"features-00000\.npy: has 170 bytes, expected 168"):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize("name", ["features-00000.npy", "boxes.npy", "keys.npy", "hashes.npy", "sizes.npy"])
def test_verify_finds_flipped_bit(tmp_path, name):
    write_example(tmp_path / "store")
    file = tmp_path / "store" / name
    data = bytearray(file.read_bytes())
    data[-4] ^= 1
    file.write_bytes(data)
    with pytest.raises(EmocapError, match=rf"{name}: "):
        FeatureStore.open(tmp_path / "store").verify()


@pytest.mark.parametrize("name", ["features-00000.npy", "boxes.npy", "offsets.npy", "rows.npy", "header.json"])
def test_opening_reports_missing_file(tmp_path, name):
    write_example(tmp_path / "store")
    (tmp_path / "store" / name).unlink()
    with pytest.raises(EmocapError, match="no such file|not a feature store"):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "schema is 1, expected 2; extract the features again"),
        ({"schema": None}, "schema is None, expected 2"),
        ({"dim": "4"}, "dim is '4', expected int"),
        ({"dim": True}, "dim is True, expected int"),
        ({"n_images": -1}, "n_images is -1"),
        ({"n_images": 2}, r"its shards hold 3 images, n_images is 2"),
        ({"n_images": 2, "shards": [2]}, r"sizes\.npy: holds \(3, 2\) int32, expected \(2, 2\)"),
        ({"n_regions": 4}, r"boxes\.npy: holds \(5, 4\) float32, expected \(4, 4\) float32"),
        ({"dim": 8}, r"features-00000\.npy: holds \(5, 4\)"),
        ({"shards": ["3"]}, "shards is"),
        ({"shards": [1, 2]}, "sha256 names"),
        ({"sha256": {}}, "sha256 names"),
    ],
)
def test_opening_reports_inconsistent_header(tmp_path, change, message):
    write_example(tmp_path / "store")
    file = tmp_path / "store/header.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(EmocapError, match=message):
        FeatureStore.open(tmp_path / "store")


def test_pickled_arrays_are_never_loaded(tmp_path):
    write_example(tmp_path / "store")
    np.save(tmp_path / "store/offsets.npy", np.array([{}, 1, 2, 5], dtype=object), allow_pickle=True)
    with pytest.raises(EmocapError, match=r"offsets\.npy"):
        FeatureStore.open(tmp_path / "store")


def test_reports_decreasing_offsets_on_use(tmp_path):
    write_example(tmp_path / "store")
    np.save(tmp_path / "store/offsets.npy", np.array([0, 4, 3, 5]))
    store = FeatureStore.open(tmp_path / "store")
    with pytest.raises(EmocapError, match=r"offsets\.npy: image 1 has regions 4 to 3"):
        store["folder/1.jpg"]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("boxes.npy", lambda data: data[:8] + b"((" + data[10:], "boxes.npy: truncated or damaged"),
        ("header.json", lambda data: data.replace(b'"n_regions": 5', b'"n_regions": 4611686018427387904'), "boxes.npy"),
    ],
)
def test_reports_corrupt_headers(tmp_path, file, change, message):
    write_example(tmp_path / "store")
    path = tmp_path / "store" / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EmocapError, match=message):
        FeatureStore.open(tmp_path / "store")


def test_several_shards_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "IMAGES_PER_SHARD", 2)
    counts = (3, 1, 0, 4, 2)
    written = write_example(tmp_path / "store", counts, named=True)
    store = FeatureStore.open(tmp_path / "store")
    assert store.header.shards == [2, 2, 1]
    assert store.names == NAMES
    for image, expected in reversed(written.items()):
        assert (store[image][0] == expected.features.astype(np.float16)).all()
        assert (store[image][1] == expected.boxes_xyxy).all()
        assert (store.objects(image) == expected.objects).all()
    assert [len(np.load(tmp_path / f"store/features-0000{n}.npy")) for n in range(3)] == [4, 4, 2]
    store.verify()


def test_finds_unusual_keys(tmp_path):
    keys = ["a", "b/a.jpg", "Ünï 照片.jpg", "x" * 5000, "bad\udcff.jpg", "\n", "'"]
    with write_store(tmp_path / "store", feature_source()) as writer:
        for number, key in enumerate(keys):
            writer.add(key, regions(1, seed=number))
    store = FeatureStore.open(tmp_path / "store")
    assert [key for key in keys if key not in store] == []
    assert [float(store[key][0][0, 0]) for key in keys] == [
        float(np.float16(regions(1, seed=number).features[0, 0])) for number in range(len(keys))
    ]
    assert store.images == keys
    assert not any(key in store for key in ("", "A", "b", "a.jpg", 3, None))


def test_distinguishes_keys_with_equal_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(store_writer, "key_hash", lambda key: 7)
    write_example(tmp_path / "store", (1, 2, 3))
    monkeypatch.setattr("emocap.regions.store.reader.key_hash", lambda key: 7)
    store = FeatureStore.open(tmp_path / "store")
    assert [len(store[f"folder/{n}.jpg"][0]) for n in range(3)] == [1, 2, 3]
    assert "folder/3.jpg" not in store


def test_key_hash_is_portable():
    # BLAKE2b of 8 bytes, its first byte the least significant
    assert key_hash(b"") == int.from_bytes(bytes.fromhex("e4a6a0577479b2b4"), "little")


def test_verify_finds_changed_header(tmp_path):
    write_example(tmp_path / "store", named=True)
    file = tmp_path / "store/header.json"
    file.write_text(file.read_text().replace('"dog"', '"fox"'))
    with pytest.raises(EmocapError, match=r"header\.json: has changed since it was written"):
        FeatureStore.open(tmp_path / "store").verify()


def test_opening_large_store_reads_no_keys(tmp_path):
    n = 200_000
    order = np.argsort(hashes := np.array([key_hash(b"%d" % i) for i in range(n)], dtype="<u8"), kind="stable")
    text = [b"%d" % i for i in range(n)]
    arrays = {
        "boxes": np.zeros((0, 4), "<f4"),
        "offsets": np.zeros(n + 1, "<i8"),
        "sizes": np.ones((n, 2), "<i4"),
        "keys": np.frombuffer(b"".join(text), np.uint8),
        "key_ends": np.cumsum([len(key) for key in text]),
        "hashes": hashes[order],
        "rows": order,
        "features-00000": np.zeros((0, 4), "<f2"),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    header = {
        "schema": 2,
        "extractor": "x",
        "settings": {},
        "weights_hash": "",
        "computed_in": "",
        "dim": 4,
        "n_images": n,
        "n_regions": 0,
    }
    header |= {"shards": [n], "objects": [], "attributes": [], "sha256": {f"{name}.npy": "" for name in arrays}}
    (tmp_path / "header.json").write_text(json.dumps(header))
    store = FeatureStore.open(tmp_path)
    assert all(str(i) in store for i in range(0, n, 997))
    assert str(n) not in store
    assert store._keys.base is not None
    assert isinstance(store._keys.base, np.memmap)


def test_opening_refuses_other_folders(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(EmocapError, match="not a feature store"):
            FeatureStore.open(place)


@pytest.mark.parametrize(
    ("name", "most_bytes", "is_found"),
    [
        ("features-00000.npy", 2**30, True),
        ("features-00000.npy", 10, False),
        ("rows.npy", 10, True),
    ],
)
def test_damage_is_found_before_use(tmp_path, monkeypatch, caplog, name, most_bytes, is_found):
    write_example(tmp_path / "store")
    monkeypatch.setattr(reader, "MOST_VERIFIED_BYTES", most_bytes)
    data = bytearray((tmp_path / "store" / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / "store" / name).write_bytes(data)
    with pytest.raises(EmocapError, match=f"{name}: SHA-256 is") if is_found else nullcontext():
        with caplog.at_level("INFO", "emocap"):
            FeatureStore.open(tmp_path / "store").verify_before_use()
    assert ("'emocap store verify" in caplog.text) is (most_bytes == 10)


def test_truncated_header_says_line_and_remedy(tmp_path):
    write_example(tmp_path / "store")
    (tmp_path / "store/header.json").write_text('{"schema": 2,')
    with pytest.raises(EmocapError, match=r"header\.json: not valid JSON at line 1.*; delete the folder and extract"):
        FeatureStore.open(tmp_path / "store")
