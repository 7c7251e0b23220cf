"""The feature store: what went in comes out, and a damaged or half-written store is told in one line."""

import errno
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.store import FeatureStore, StoreWriter, kind_of, write_store

SETTINGS = {"rows": 1, "columns": 2}


def made(path, counts=(3, 0, 2), dim=4, settings=None, seed=0):
    rng = np.random.default_rng(seed)
    written = {}
    with write_store(path, "grid", settings or SETTINGS, "", dim) as writer:
        for number, count in enumerate(counts):
            features = rng.standard_normal((count, dim)).astype(np.float32)
            boxes = rng.uniform(0, 600, (count, 4)).astype(np.float32)
            writer.add(f"folder/{number}.jpg", features, boxes, (640 + number, 480))
            written[f"folder/{number}.jpg"] = features, boxes
    return written


def left_over(folder):
    return sorted(file.name for file in folder.iterdir())


def test_what_went_in_comes_out(tmp_path):
    written = made(tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    assert store.images == list(written)
    assert len(store) == 3
    assert store.sizes.tolist() == [[640, 480], [641, 480], [642, 480]]
    for image, (features, boxes) in written.items():
        assert image in store
        found, found_boxes = store[image]
        assert found.dtype == np.float16
        assert (found == features.astype(np.float16)).all()
        assert (found_boxes == boxes).all()
    assert store["folder/1.jpg"][0].shape == (0, 4)
    assert "other.jpg" not in store
    with pytest.raises(EmocapError, match=r"holds no image 'other\.jpg'"):
        store["other.jpg"]
    store.verify()
    assert left_over(tmp_path) == ["store"]


def test_the_header_says_what_is_inside(tmp_path):
    made(tmp_path / "store")
    header = json.loads((tmp_path / "store/header.json").read_text())
    assert {key: header[key] for key in header if key != "sha256"} == {
        "schema": 1,
        "extractor": "grid",
        "settings": SETTINGS,
        "weights_hash": "",
        "dim": 4,
        "n_images": 3,
        "n_regions": 5,
    }
    assert sorted(header["sha256"]) == ["boxes.npy", "features.npy", "images.json", "offsets.npy"]


def test_features_are_an_ordinary_npy_file(tmp_path):
    made(tmp_path / "store", counts=[36] * 300)
    assert np.load(tmp_path / "store/features.npy", allow_pickle=False).shape == (36 * 300, 4)
    assert np.load(tmp_path / "store/boxes.npy", allow_pickle=False).dtype == np.float32


def test_kind_is_of_the_extractor_and_not_of_the_images(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b", counts=(7,), seed=1)
    made(tmp_path / "c", settings={"rows": 2, "columns": 2})
    a, b, c = (FeatureStore.open(tmp_path / name).kind for name in "abc")
    assert a == b != c
    assert a == kind_of("grid", {"columns": 2, "rows": 1}, "", 4)
    assert (
        len({a, kind_of("grid", SETTINGS, "", 5), kind_of("grid", SETTINGS, "x", 4), kind_of("x", SETTINGS, "", 4)})
        == 4
    )


def test_an_empty_store_is_a_store(tmp_path):
    made(tmp_path / "store", counts=())
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert (len(store), store.header.dim, store.header.n_regions) == (0, 4, 0)


def test_a_pickled_store_is_its_path(tmp_path):
    made(tmp_path / "store", counts=[36] * 100, dim=64)
    store = FeatureStore.open(tmp_path / "store")
    data = pickle.dumps(store)
    assert len(data) < 1000
    assert (pickle.loads(data)["folder/5.jpg"][0] == store["folder/5.jpg"][0]).all()


def test_features_cannot_be_changed_through_the_store(tmp_path):
    made(tmp_path / "store")
    with pytest.raises(ValueError, match="read-only"):
        FeatureStore.open(tmp_path / "store")["folder/0.jpg"][0][0, 0] = 1


@pytest.mark.parametrize("name", ["features.npy", "boxes.npy", "offsets.npy"])
@pytest.mark.parametrize("lost", [1, 40, 10_000])
def test_a_file_cut_short_is_told_at_opening(tmp_path, name, lost):
    made(tmp_path / "store")
    file = tmp_path / "store" / name
    file.write_bytes(file.read_bytes()[:-lost])
    with pytest.raises(EmocapError, match=rf"{name}: .*; delete the folder and extract") as error:
        FeatureStore.open(tmp_path / "store")
    assert "\n" not in str(error.value)


def test_a_file_that_grew_is_told_at_opening(tmp_path):
    made(tmp_path / "store")
    with (tmp_path / "store/features.npy").open("ab") as file:
        file.write(b"12")
    with pytest.raises(EmocapError, match=r"features\.npy: has 170 bytes, expected 168"):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize("name", ["features.npy", "boxes.npy", "images.json"])
def test_a_flipped_bit_is_found_by_verify(tmp_path, name):
    made(tmp_path / "store")
    file = tmp_path / "store" / name
    data = bytearray(file.read_bytes())
    data[-4] ^= 1
    file.write_bytes(data)
    with pytest.raises(EmocapError, match=rf"{name}: "):
        FeatureStore.open(tmp_path / "store").verify()


@pytest.mark.parametrize("name", ["features.npy", "boxes.npy", "offsets.npy", "images.json", "header.json"])
def test_a_missing_file_is_told(tmp_path, name):
    made(tmp_path / "store")
    (tmp_path / "store" / name).unlink()
    with pytest.raises(EmocapError, match="no such file|no feature store"):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema is 2, expected 1; extract the features again"),
        ({"schema": None}, "schema is None, expected 1"),
        ({"dim": "4"}, "dim is '4', expected int"),
        ({"dim": True}, "dim is True, expected int"),
        ({"n_images": -1}, "n_images is -1"),
        ({"n_images": 2}, r"images\.json: images has 3 entries, the header says 2"),
        ({"n_regions": 4}, r"features\.npy: holds \(5, 4\) float16, the header says \(4, 4\) float16"),
        ({"dim": 8}, r"features\.npy: holds \(5, 4\)"),
        ({"sha256": {}}, "sha256 names"),
    ],
)
def test_a_header_that_does_not_fit_is_told(tmp_path, change, message):
    made(tmp_path / "store")
    file = tmp_path / "store/header.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(EmocapError, match=message):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize(
    "text", ["[]", "{", "null", '{"images": [1, 2, 3], "widths": [1, 1, 1], "heights": [1, 1, 1]}']
)
def test_damaged_keys_are_told(tmp_path, text):
    made(tmp_path / "store")
    (tmp_path / "store/images.json").write_text(text)
    with pytest.raises(EmocapError, match=r"images\.json"):
        FeatureStore.open(tmp_path / "store")


def test_pickled_arrays_are_never_loaded(tmp_path):
    made(tmp_path / "store")
    np.save(tmp_path / "store/offsets.npy", np.array([{}, 1, 2, 5], dtype=object), allow_pickle=True)
    with pytest.raises(EmocapError, match=r"offsets\.npy"):
        FeatureStore.open(tmp_path / "store")


def test_offsets_that_step_back_are_told(tmp_path):
    made(tmp_path / "store")
    np.save(tmp_path / "store/offsets.npy", np.array([0, 4, 3, 5]))
    with pytest.raises(EmocapError, match="without a step back"):
        FeatureStore.open(tmp_path / "store")


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000.0, -65_520.0])
def test_what_half_precision_cannot_hold_names_the_image(tmp_path, value):
    features = np.zeros((2, 4), np.float32)
    features[1, 2] = value
    with (
        pytest.raises(EmocapError, match=r"image 'odd\.jpg': a feature is not finite or beyond half precision"),
        write_store(tmp_path / "store", "grid", SETTINGS, "", 4) as writer,
    ):
        writer.add("odd.jpg", features, np.zeros((2, 4), np.float32), (1, 1))
    assert left_over(tmp_path) == []


def test_wrong_shapes_and_repeated_images_are_told(tmp_path):
    features, boxes = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    with write_store(tmp_path / "store", "grid", SETTINGS, "", 4) as writer:
        writer.add("a.jpg", features, boxes, (1, 1))
        with pytest.raises(EmocapError, match="is in the store already"):
            writer.add("a.jpg", features, boxes, (1, 1))
        with pytest.raises(EmocapError, match=r"features \(2, 3\) and boxes \(2, 4\)"):
            writer.add("b.jpg", features[:, :3], boxes, (1, 1))
        with pytest.raises(EmocapError, match=r"boxes \(1, 4\)"):
            writer.add("b.jpg", features, boxes[:1], (1, 1))
    assert FeatureStore.open(tmp_path / "store").images == ["a.jpg"]


def test_a_failed_write_leaves_the_older_store(tmp_path):
    made(tmp_path / "store")

    def interrupted():
        with write_store(tmp_path / "store", "grid", {}, "", 4) as writer:
            writer.add("a.jpg", np.zeros((1, 4)), np.zeros((1, 4)), (1, 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left_over(tmp_path) == ["store"]
    assert len(FeatureStore.open(tmp_path / "store")) == 3


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StoreWriter, "finish", full)
    with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\); free space"):
        made(tmp_path / "store")
    assert left_over(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_disk_that_fills_while_features_are_written(tmp_path, monkeypatch):
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *args: real(Path("/dev/full") if self.name == "features.npy" else self, *args)
    )
    with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\)"):
        made(tmp_path / "store", counts=[50] * 20, dim=64)
    assert left_over(tmp_path) == []


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "mine.jpg").write_text("dear")
    for place in (photos, photos / "mine.jpg"):
        with pytest.raises(EmocapError, match="exists and is no feature store"):
            made(place)
    assert (photos / "mine.jpg").read_text() == "dear"


def test_what_is_no_store_says_so(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(EmocapError, match="no feature store"):
            FeatureStore.open(place)
