"""Writing a feature store: interrupted, concurrent and impossible writes."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.regions.store.format import INDEX_FILES
from emocap.regions.store.journal import read_entries
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.shard import ShardWriter
from emocap.regions.store.writer import StoreWriter, finish_store, write_store

from .example_store import feature_source, file_names, regions, write_example


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
