"""The feature store: reading returns what was written, and a damaged or incomplete store is reported in one line."""

import errno
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.store import writer as store_writer
from emocap.regions.store.format import INDEX_FILES, FeatureSource, feature_fingerprint, key_hash
from emocap.regions.store.journal import read_entries
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.shard import ShardWriter
from emocap.regions.store.writer import StoreWriter, finish_store, write_store

SETTINGS = {"rows": 1, "columns": 2}
NAMES = Names(("dog", "cat"), ("brown",))


def regions(count, dim=4, size=(640, 480), seed=0, named=False):
    rng = np.random.default_rng([seed, count])
    objects = None
    if named:
        objects = np.array([(i % 2, 0.5, -1, 0.0) for i in range(count)], OBJECT)
    features = rng.standard_normal((count, dim)).astype(np.float32)
    return Regions(features, rng.uniform(0, 600, (count, 4)).astype(np.float32), size, objects)


def feature_source(dim=4, settings=None, named=False):
    return FeatureSource("grid", settings or SETTINGS, "", dim, NAMES if named else None)


def write_example(path, counts=(3, 0, 2), dim=4, settings=None, seed=0, named=False):
    written = {}
    with write_store(path, feature_source(dim, settings, named)) as writer:
        for number, count in enumerate(counts):
            image_regions = regions(count, dim, (640 + number, 480), seed + number, named)
            writer.add(f"folder/{number}.jpg", image_regions)
            written[f"folder/{number}.jpg"] = image_regions
    return written


def file_names(folder):
    return sorted(file.name for file in folder.iterdir())


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


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000.0, -65_520.0])
def test_half_precision_overflow_names_the_image(tmp_path, value):
    overflowing = regions(2)
    overflowing.features[1, 2] = value
    with (
        pytest.raises(EmocapError, match=r"image 'odd\.jpg': a feature or box is not finite or exceeds half precision"),
        write_store(tmp_path / "store", feature_source()) as writer,
    ):
        writer.add("odd.jpg", overflowing)
    assert file_names(tmp_path) == []


def test_refuses_boxes_beyond_float32(tmp_path):
    overflowing = regions(1)._replace(boxes_xyxy=np.full((1, 4), 1e300))
    with (
        ShardWriter(tmp_path, 0, feature_source()) as writer,
        pytest.raises(EmocapError, match="a feature or box is not finite"),
    ):
        writer.add("a", overflowing)


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


def test_refuses_wrong_shapes_and_repeated_images(tmp_path):
    valid = regions(2)
    with write_store(tmp_path / "store", feature_source()) as writer:
        writer.add("a.jpg", valid)
        with pytest.raises(EmocapError, match="is already in the store"):
            writer.add("a.jpg", valid)
        with pytest.raises(EmocapError, match=r"features \(2, 3\) and boxes \(2, 4\)"):
            writer.add("b.jpg", valid._replace(features=valid.features[:, :3]))
        with pytest.raises(EmocapError, match=r"boxes \(1, 4\)"):
            writer.add("b.jpg", valid._replace(boxes_xyxy=valid.boxes_xyxy[:1]))
        with pytest.raises(EmocapError, match="objects do not match its regions"):
            writer.add("b.jpg", regions(2, named=True))
    assert FeatureStore.open(tmp_path / "store").images == ["a.jpg"]


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


def test_writer_resumes_after_last_commit(tmp_path):
    first = ShardWriter(tmp_path, 0, feature_source(named=True))
    first.add("a", regions(2, named=True))
    first.leave_out("gone", None)
    first.commit()
    first.add("b", regions(5, named=True))  # not committed, but its bytes are on the disk
    first.close()
    with (tmp_path / "images-00000.jsonl").open("ab") as journal:
        journal.write(b'["b", [640, 480], 5')  # a line that an interruption left incomplete
    second = ShardWriter(tmp_path, 0, feature_source(named=True))
    assert [entry.image for entry in second.entries] == ["a", "gone"]
    second.add("c", regions(3, seed=9, named=True))
    second.leave_out("odd", "not an image")
    second.commit()
    second.close()
    assert [(entry.image, entry.fault) for entry in read_entries(tmp_path, 1)][2:] == [
        ("c", None),
        ("odd", "not an image"),
    ]
    finish_store(tmp_path, 1, feature_source(named=True))
    store = FeatureStore.open(tmp_path)
    store.verify()
    assert store.images == ["a", "c"]
    assert (store["c"][0] == regions(3, seed=9).features.astype(np.float16)).all()
    assert (store.objects("c") == regions(3, seed=9, named=True).objects).all()
    assert store.header.n_regions == 5


def test_verify_finds_changed_header(tmp_path):
    write_example(tmp_path / "store", named=True)
    file = tmp_path / "store/header.json"
    file.write_text(file.read_text().replace('"dog"', '"fox"'))
    with pytest.raises(EmocapError, match=r"header\.json: has changed since it was written"):
        FeatureStore.open(tmp_path / "store").verify()


def test_syncs_everything_before_writing_header(tmp_path, monkeypatch):
    events = []
    sync, unlink = os.fsync, Path.unlink

    def record_sync(descriptor):
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def record_unlink(path, **options):
        events.append(f"-{path.name}")
        unlink(path, **options)

    with ShardWriter(tmp_path, 0, feature_source(named=True)) as writer:
        writer.add("a", regions(2, named=True))
        monkeypatch.setattr(os, "fsync", record_sync)
        writer.commit()
    assert events == ["features-00000.npy", "boxes-00000.bin", "objects-00000.bin", "images-00000.jsonl"]
    events.clear()
    monkeypatch.setattr(Path, "unlink", record_unlink)
    finish_store(tmp_path, 1, feature_source(named=True))
    header = next(place for place, name in enumerate(events) if name.startswith(".header.json"))
    assert {"features-00000.npy", *INDEX_FILES, "objects.npy", tmp_path.name} <= set(events[:header])
    assert all(place > header for place, name in enumerate(events) if name.startswith("-images"))


def test_second_writer_to_same_path_fails(tmp_path):
    def late():
        with write_store(tmp_path / "store", feature_source()) as writer:
            writer.add("late", regions(1))
            with write_store(tmp_path / "store", feature_source()) as early:
                early.add("early", regions(1))

    with pytest.raises(EmocapError, match="store: cannot be written"):
        late()
    assert FeatureStore.open(tmp_path / "store").images == ["early"]
    assert file_names(tmp_path) == ["store"]
    first = ShardWriter(tmp_path, 0, feature_source())
    with pytest.raises(EmocapError, match="another process is writing there"):
        ShardWriter(tmp_path, 0, feature_source())
    first.close()


def test_reports_shard_that_lost_committed_bytes(tmp_path):
    with ShardWriter(tmp_path, 0, feature_source()) as writer:
        writer.add("a", regions(2))
        writer.commit()
    file = tmp_path / "features-00000.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(EmocapError, match=r"features-00000\.npy: has 143 bytes, but 144 were committed; delete"):
        ShardWriter(tmp_path, 0, feature_source())


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


def test_failed_write_leaves_nothing_and_replaces_nothing(tmp_path):
    write_example(tmp_path / "store")

    def interrupted():
        with write_store(tmp_path / "other", feature_source()) as writer:
            writer.add("a.jpg", regions(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file_names(tmp_path) == ["store"]
    with pytest.raises(EmocapError, match="store: a feature store exists there already; give a different path"):
        write_example(tmp_path / "store", counts=())
    assert len(FeatureStore.open(tmp_path / "store")) == 3


def test_full_disk_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StoreWriter, "finish", fail)
    with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\); free space"):
        write_example(tmp_path / "store")
    assert file_names(tmp_path) == []


def test_disk_full_during_write_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(EmocapError, match=r"store: cannot be written \(File too large\)"):
            write_example(tmp_path / "store", counts=[50] * 20, dim=64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file_names(tmp_path) == []


def test_never_replaces_other_folder(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").write_text("precious")
    for place in (photos, photos / "mine.jpg"):
        with pytest.raises(EmocapError, match="exists and is not a feature store"):
            write_example(place)
    assert (photos / "mine.jpg").read_text() == "precious"


def test_opening_refuses_other_folders(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(EmocapError, match="not a feature store"):
            FeatureStore.open(place)
