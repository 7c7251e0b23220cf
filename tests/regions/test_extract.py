"""The runner: missing and corrupt images never stop it, and workers change no byte."""

import errno
import logging
import os

import numpy as np
import pytest
from PIL import Image

from emocap.corpora.pairs import Quarantined
from emocap.errors import EmocapError
from emocap.regions import extract as module
from emocap.regions.extract import build_extractor, describe_source, extract, read_report
from emocap.regions.grid import GridExtractor
from emocap.regions.images import ImageFault, ImageMissing
from emocap.regions.store import FeatureStore, StoreWriter


@pytest.fixture
def photos(tmp_path):
    """Six sound images, one missing, two corrupt, in this order of names."""
    root = tmp_path / "photos"
    (root / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = []
    for number, (form, size) in enumerate([("jpg", (90, 60)), ("png", (30, 80)), ("gif", (1, 1))] * 2):
        name = f"sub/{number}.{form}"
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / name)
        names.append(name)
    (root / "text.jpg").write_text("no image")
    (root / "short.jpg").write_bytes((root / "sub/0.jpg").read_bytes()[:900])
    return root, [*names[:2], "text.jpg", "gone.jpg", *names[2:], "short.jpg"]


def everything(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_missing_is_recorded_and_corrupt_is_quarantined(photos, tmp_path):
    root, images = photos
    report = extract([*images, "", images[0], "../out.jpg"], root, GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert report.n_images == 6
    assert report.missing == ["gone.jpg"]
    assert [row.where for row in report.quarantined] == ["text.jpg", "short.jpg", "../out.jpg"]
    assert report.quarantined[0].reason.startswith("not an image (JPEG, ")
    assert report.quarantined[1].reason == "cut short; copy or download it again"
    assert report.quarantined[2] == Quarantined("../out.jpg", "points outside the image folder")
    assert read_report(tmp_path / "store") == report
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.images == [image for image in images if image.startswith("sub/")]
    assert store.header.settings == GridExtractor(dim=16).settings
    assert store.sizes[0].tolist() == [60, 90]


def test_the_number_of_workers_changes_no_byte(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(module, "IMAGES_PER_BATCH", 2)
    for workers in (1, 2, 3):
        extract(images, root, GridExtractor(dim=64), tmp_path / f"{workers}", workers=workers)
    one, two, three = (everything(tmp_path / name) for name in "123")
    assert sorted(one) == ["boxes.npy", "features.npy", "header.json", "images.json", "offsets.npy", "report.json"]
    assert one == two == three


def test_a_store_holds_what_describe_source_gives(photos, tmp_path):
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


def test_boxes_are_in_pixels_of_the_upright_image_at_full_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1201, 900)).save(tmp_path / "large.jpg", exif=exif)
    regions = describe_source(tmp_path / "large.jpg", GridExtractor(dim=4))
    assert regions.size == (900, 1201)
    assert regions.boxes_xyxy[-1].tolist() == [0, 0, 900, 1201]


def test_decoding_smaller_hardly_changes_the_features(tmp_path):
    small = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(small).resize((1200, 900), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg", quality=95)
    extractor = GridExtractor(dim=128)
    fast = describe_source(tmp_path / "large.jpg", extractor).features
    with Image.open(tmp_path / "large.jpg") as image:
        exact, _ = extractor.describe(image.convert("RGB"))
    assert np.linalg.norm(fast - exact) < 0.15 * np.linalg.norm(exact)


@pytest.mark.parametrize("images", [[], ["gone.jpg", "text.jpg"]])
def test_no_readable_image_leaves_an_empty_store(photos, tmp_path, images):
    report = extract(images, photos[0], GridExtractor(dim=16), tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert (report.n_images, len(store), store.header.dim) == (0, 0, 16)
    assert len(report.missing) + len(report.quarantined) == len(images)


def test_a_full_disk_stops_with_one_line_and_leaves_nothing(photos, tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StoreWriter, "add", full)
    for workers in (1, 2):
        with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\); free space"):
            extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["photos"]


def test_a_worker_that_dies_is_one_line(photos, tmp_path):
    class Dying(GridExtractor):  # a class of this function's own reaches the worker by value
        def describe(self, image):
            os._exit(9)

    with pytest.raises(EmocapError, match="a worker process died.*fewer than 2 workers"):
        extract(photos[1], photos[0], Dying(dim=16), tmp_path / "store", workers=2)
    assert not (tmp_path / "store").exists()


def test_progress_counts_images(photos, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="emocap"):
        extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert "9 images" in caplog.text


def test_a_built_extractor_is_built_again_from_its_settings():
    extractor = build_extractor("grid", {"rows": 2, "dim": 8})
    assert (extractor.name, extractor.dim, extractor.weights_hash) == ("grid", 8, "")
    assert build_extractor(extractor.name, extractor.settings).settings == extractor.settings
    assert build_extractor("grid").settings["rows"] == 5


def test_unknown_names_and_settings_are_told():
    with pytest.raises(EmocapError, match="extractor is 'gird', expected one of grid"):
        build_extractor("gird", {})
    with pytest.raises(EmocapError, match="unknown setting 'cells', expected some of rows, columns, dim, seed"):
        build_extractor("grid", {"cells": 3})
    with pytest.raises(EmocapError, match="rows is '5', expected a whole number"):
        build_extractor("grid", {"rows": "5"})
    with pytest.raises(EmocapError, match="workers is 0, expected 1 or more"):
        extract([], None, GridExtractor(), None, workers=0)


def test_a_damaged_report_is_told(tmp_path):
    (tmp_path / "report.json").write_text('{"n_images": 1}')
    with pytest.raises(EmocapError, match=r"report\.json: damaged"):
        read_report(tmp_path)
