"""Extraction: missing and corrupt images never stop it, an interrupted run resumes, and workers change no byte."""

import errno
import logging
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.regions import decoding, extraction_job
from emocap.regions import extract as module
from emocap.regions.describe import describe_source
from emocap.regions.extract import extract, images_below, listed_images
from emocap.regions.extraction_report import read_report
from emocap.regions.extractors.base import Regions
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.images import ImageFault, ImageMissing
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.shard import ShardWriter

from .interruptible import Network, file_contents, file_names


def test_records_missing_and_rejects_corrupt_images(photos, tmp_path):
    root, images = photos
    report = extract([*images, "", images[0], "../out.jpg"], root, GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert report.n_images == 6
    assert report.missing == ["gone.jpg"]
    assert [row.where for row in report.rejected] == ["text.jpg", "short.jpg", "../out.jpg"]
    assert report.rejected[0].reason.startswith("not a readable image but text")
    assert report.rejected[1].reason == "truncated; copy or download it again"
    assert report.rejected[2] == RejectedRow(
        "../out.jpg", "points outside the image folder; name it relative to that folder"
    )
    assert read_report(tmp_path / "store") == report
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.images == [image for image in images if image.startswith("sub/")]
    assert store.header.settings == GridExtractor(dim=16).settings
    assert store.sizes[0].tolist() == [60, 90]


def test_number_of_workers_changes_no_byte(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(decoding, "IMAGES_PER_TASK", 2)
    monkeypatch.setattr(module, "IMAGES_PER_SHARD", 4)
    for workers in (1, 2, 3):
        extract(images, root, GridExtractor(dim=64), tmp_path / f"{workers}", workers=workers)
    one, two, three = (file_contents(tmp_path / name) for name in "123")
    assert {"boxes.npy", "features-00000.npy", "features-00002.npy", "header.json", "report.json"} <= set(one)
    assert file_names(tmp_path) == ["1", "2", "3", "photos"]
    assert one == two == three


def test_store_equals_describe_source(photos, tmp_path):
    root, images = photos
    extractor = GridExtractor(dim=16)
    extract(images, root, extractor, tmp_path / "store")
    features, boxes = FeatureStore.open(tmp_path / "store")[images[0]]
    for source in (root / images[0], (root / images[0]).read_bytes()):
        regions = describe_source(source, extractor)
        assert (regions.features.astype(np.float16) == features).all()
        assert (regions.boxes_xyxy == boxes).all()
    with pytest.raises(ImageMissing):
        describe_source(root / "gone.jpg", extractor)
    with pytest.raises(ImageFault):
        describe_source(b"", extractor)


def test_boxes_are_in_full_size_upright_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1201, 900)).save(tmp_path / "large.jpg", exif=exif)
    regions = describe_source(tmp_path / "large.jpg", GridExtractor(dim=4))
    assert regions.size == (900, 1201)
    assert regions.boxes_xyxy[-1].tolist() == [0, 0, 900, 1201]


def test_reduced_decoding_hardly_changes_features(tmp_path):
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((1200, 900), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg", quality=95)
    extractor = GridExtractor(dim=128)
    fast = describe_source(tmp_path / "large.jpg", extractor).features
    with Image.open(tmp_path / "large.jpg") as image:
        exact = describe_source(image, extractor).features
    assert np.linalg.norm(fast - exact) < 0.15 * np.linalg.norm(exact)


@pytest.mark.parametrize("images", [[], ["gone.jpg", "text.jpg"]])
def test_no_readable_image_gives_empty_store(photos, tmp_path, images):
    report = extract(images, photos[0], GridExtractor(dim=16), tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert (report.n_images, len(store), store.header.dim) == (0, 0, 16)
    assert len(report.missing) + len(report.rejected) == len(images)


def test_full_disk_is_reported_and_leaves_nothing(photos, tmp_path, monkeypatch):
    def fail(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "add", fail)
    for workers in (1, 2):
        with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\); free space"):
            extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers)
    assert file_names(tmp_path) == ["photos"]


def test_reports_worker_that_died(photos, tmp_path):
    class Dying(GridExtractor):  # a class of this function's own reaches the worker by value
        def prepare(self, image):
            os._exit(9)

    with pytest.raises(EmocapError, match="a worker process died.*fewer than 2 workers"):
        extract(photos[1], photos[0], Dying(dim=16), tmp_path / "store", workers=2)
    assert file_names(tmp_path) == ["photos"]


def test_rejects_image_with_non_finite_features(photos, tmp_path):
    class Broken(Network):
        def describe(self, prepared, sizes):
            regions = super().describe(prepared, sizes)
            if sizes[0] == (60, 90):
                regions[0].features[0, 0] = np.inf
            return regions

    root, images = photos
    report = extract(images, root, Broken(), tmp_path / "store")
    assert report.n_images == 4
    faults = {fault.where: fault.reason for fault in report.rejected}
    assert "not finite or exceeds half precision" in faults["sub/0.jpg"]
    assert "set precision=float32" in faults["sub/3.jpg"]


def test_keeps_names_that_are_not_utf8(photos, tmp_path):
    root, _ = photos
    odd = os.fsdecode(b"sub/caf\xe9.png")
    Image.new("RGB", (30, 20), "red").save(root / "red.png")
    (root / "red.png").rename(root / odd)
    (root / os.fsdecode(b"sub/b\xe4d.jpg")).write_text("no image")
    report = extract(images_below(root), root, Network(), tmp_path / "store")
    assert os.fsdecode(b"sub/b\xe4d.jpg") in [fault.where for fault in report.rejected]
    store = FeatureStore.open(tmp_path / "store")
    assert odd in store.images
    assert len(store[odd][0]) == 36
    assert read_report(tmp_path / "store") == report


def test_never_removes_other_folder(photos, tmp_path, monkeypatch):
    def fail(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / ".store.unfinished").mkdir()
    (tmp_path / ".store.unfinished/precious").write_text("precious")
    monkeypatch.setattr(ShardWriter, "add", fail)
    with pytest.raises(EmocapError, match="No space left on device"):
        extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert (tmp_path / ".store.unfinished/precious").read_text() == "precious"


def test_decodes_few_large_images_ahead(photos, tmp_path, monkeypatch):
    root, _ = photos
    for number in range(30):
        Image.new("RGB", (64, 64)).save(root / f"large{number}.png")
    waiting, most = [], []

    class Counting(Network):
        def prepare(self, image):
            waiting.append(1)
            return np.zeros((1000, 100))

        def describe(self, prepared, sizes):
            most.append(len(waiting))
            del waiting[: len(prepared)]
            return [Regions(np.zeros((1, 16)), np.zeros((1, 4)), size) for size in sizes]

    keys = [f"large{number}.png" for number in range(30)]
    extract(keys, root, Counting(), tmp_path / "many", workers=2)
    assert max(most) > 6
    most.clear()
    monkeypatch.setattr(decoding, "WINDOW_BYTES", 2_000_000)
    extract(keys, root, Counting(), tmp_path / "few", workers=2)
    assert max(most[12:]) <= 6


def test_batches_images_of_similar_shape(tmp_path):
    for number, size in enumerate([(40, 20), (20, 40), (41, 20), (20, 41)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    extractor = Network()
    extract([f"{n}.png" for n in range(4)], tmp_path, extractor, tmp_path / "store", batch_size=2)
    assert [width > height for width, height in extractor.described] == [False, False, True, True]
    assert FeatureStore.open(tmp_path / "store").images == ["0.png", "1.png", "2.png", "3.png"]


def test_large_images_do_not_fill_memory(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "WINDOW_BYTES", 1)
    windows = []
    write = extraction_job.write_window
    monkeypatch.setattr(
        extraction_job, "write_window", lambda writer, window, job: (windows.append(window), write(writer, window, job))
    )
    extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert max(map(len, windows)) <= 3  # one image, and the missing or corrupt ones before it


def test_finds_images_below_folder(photos):
    root, images = photos
    (root / "notes.txt").write_text("no")
    (root / "README").write_text("no")
    for name in ("8f3a0", "sub/img_0.53", "v.download"):
        Image.new("RGB", (8, 8)).save(root / name, "PNG")
    (root / "__MACOSX").mkdir()
    for name in ("__MACOSX/sub.jpg", "sub/._0.jpg", "._8f3a0", "Thumbs.db"):
        (root / name).write_bytes((root / "8f3a0").read_bytes())
    (root / "empty").mkdir()
    assert images_below(root) == sorted({*images, "8f3a0", "sub/img_0.53", "v.download"} - {"gone.jpg"})
    with pytest.raises(EmocapError, match="no such folder"):
        images_below(root / "nowhere")
    with pytest.raises(EmocapError, match="holds no images"):
        images_below(root / "empty")


def test_lists_are_read_as_other_systems_write_them(photos, tmp_path):
    root, _ = photos
    for name in (" odd.png", unicodedata.normalize("NFD", "caf\u00e9.png"), "000123.png"):
        Image.new("RGB", (8, 8)).save(root / name, "PNG")
    lines = [
        f"{root}/sub/0.jpg", "", "  sub\\1.png ", "./sub//2.gif",
        "caf\u00e9.png", "000123", " odd.png", "gone.jpg", "  ",
        "../out.jpg", "https://example.org/a.jpg",
    ]  # fmt: skip
    (tmp_path / "names.txt").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    named = listed_images(tmp_path / "names.txt", root)
    assert [name for name in named if name] == [
        "sub/0.jpg", "sub/1.png", "sub/2.gif", unicodedata.normalize("NFD", "caf\u00e9.png"), "000123.png", " odd.png",
        "gone.jpg", "../out.jpg", "https://example.org/a.jpg",
    ]  # fmt: skip
    report = extract(named, root, GridExtractor(dim=16), tmp_path / "store")
    assert (report.n_images, report.missing) == (6, ["gone.jpg"])
    assert ["outside" in report.rejected[0].reason, "web address" in report.rejected[1].reason] == [True, True]


def test_list_without_names_is_refused(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeff\r\n  \n", encoding="utf-8")
    with pytest.raises(EmocapError, match="names no images"):
        listed_images(tmp_path / "names.txt", tmp_path)


def test_refuses_images_of_which_none_exists(photos, tmp_path):
    root, _ = photos
    with pytest.raises(EmocapError, match=r"photos: holds none of the 2 images that are named, such as a\.jpg"):
        extract(["", "a.jpg", "b.jpg", "a.jpg"], root, GridExtractor(dim=16), tmp_path / "store")
    assert file_names(tmp_path) == ["photos"]


def test_progress_counts_images(photos, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="emocap"):
        extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert "9 images" in caplog.text


def test_progress_counts_committed_images(photos, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("emocap.progress.SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 4)
    with caplog.at_level(logging.INFO, logger="emocap"):
        extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert [line.split(",")[0] for line in caplog.messages if " of " in line] == [
        "features: 4 of 9",
        "features: 8 of 9",
        "features: 9 of 9",
    ]
