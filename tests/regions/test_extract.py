"""The runner: missing and corrupt images never stop it, a killed run goes on, and workers change no byte."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.files import locked
from emocap.regions import extract as module
from emocap.regions.extract import describe_source, extract, images_below, read_report
from emocap.regions.extractors.base import Regions
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.images import ImageFault, ImageMissing
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import ShardWriter


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


def left_over(folder):
    return sorted(file.name for file in folder.iterdir())


def everything(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_missing_is_recorded_and_corrupt_is_quarantined(photos, tmp_path):
    root, images = photos
    report = extract([*images, "", images[0], "../out.jpg"], root, GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert report.n_images == 6
    assert report.missing == ["gone.jpg"]
    assert [row.where for row in report.rejected] == ["text.jpg", "short.jpg", "../out.jpg"]
    assert report.rejected[0].reason.startswith("not an image (JPEG, ")
    assert report.rejected[1].reason == "cut short; copy or download it again"
    assert report.rejected[2] == RejectedRow("../out.jpg", "points outside the image folder")
    assert read_report(tmp_path / "store") == report
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert store.images == [image for image in images if image.startswith("sub/")]
    assert store.header.settings == GridExtractor(dim=16).settings
    assert store.sizes[0].tolist() == [60, 90]


def test_the_number_of_workers_changes_no_byte(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(module, "IMAGES_PER_TASK", 2)
    monkeypatch.setattr(module, "IMAGES_PER_SHARD", 4)
    for workers in (1, 2, 3):
        extract(images, root, GridExtractor(dim=64), tmp_path / f"{workers}", workers=workers)
    one, two, three = (everything(tmp_path / name) for name in "123")
    assert {"boxes.npy", "features-00000.npy", "features-00002.npy", "header.json", "report.json"} <= set(one)
    assert left_over(tmp_path) == ["1", "2", "3", "photos"]
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
        exact = describe_source(image, extractor).features
    assert np.linalg.norm(fast - exact) < 0.15 * np.linalg.norm(exact)


@pytest.mark.parametrize("images", [[], ["gone.jpg", "text.jpg"]])
def test_no_readable_image_leaves_an_empty_store(photos, tmp_path, images):
    report = extract(images, photos[0], GridExtractor(dim=16), tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    store.verify()
    assert (report.n_images, len(store), store.header.dim) == (0, 0, 16)
    assert len(report.missing) + len(report.rejected) == len(images)


def test_a_full_disk_stops_with_one_line_and_leaves_nothing(photos, tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "add", full)
    for workers in (1, 2):
        with pytest.raises(EmocapError, match=r"store: cannot be written \(No space left on device\); free space"):
            extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers)
    assert left_over(tmp_path) == ["photos"]


def test_a_worker_that_dies_is_one_line(photos, tmp_path):
    class Dying(GridExtractor):  # a class of this function's own reaches the worker by value
        def prepare(self, image):
            os._exit(9)

    with pytest.raises(EmocapError, match="a worker process died.*fewer than 2 workers"):
        extract(photos[1], photos[0], Dying(dim=16), tmp_path / "store", workers=2)
    assert left_over(tmp_path) == ["photos"]


class Network(GridExtractor):
    """A grid that describes in small batches, as a network does, and can be stopped."""

    in_processes = False
    batch_size = 1

    def __init__(self, stop_behind=None, **settings):
        super().__init__(dim=16, **settings)
        self.described = []
        self.stop_behind = stop_behind

    def describe(self, prepared, sizes):
        if self.stop_behind is not None and len(self.described) >= self.stop_behind:
            raise KeyboardInterrupt
        self.described += sizes
        return super().describe(prepared, sizes)


def test_a_stopped_run_goes_on_behind_what_it_committed(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCHES_PER_WINDOW", 2)
    monkeypatch.setattr(module, "IMAGES_PER_SHARD", 4)
    root, images = photos
    extract(images, root, Network(), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_behind=3), tmp_path / "store")
    assert left_over(tmp_path) == [".store.unfinished", "photos", "unbroken"]
    again = Network()
    report = extract(images, root, again, tmp_path / "store")
    assert len(again.described) == 4  # two of the six images had been committed
    assert report == read_report(tmp_path / "unbroken")
    assert everything(tmp_path / "store") == everything(tmp_path / "unbroken")
    assert left_over(tmp_path) == ["photos", "store", "unbroken"]


@pytest.mark.parametrize("moment", ["finish_store", "sweep", "rename", "sync"])
def test_a_kill_while_the_store_is_finished_costs_nothing(photos, tmp_path, monkeypatch, moment):
    def killed(*args):
        raise KeyboardInterrupt

    root, images = photos
    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "rename", killed) if moment == "rename" else (module, moment, killed)))
        with pytest.raises(KeyboardInterrupt):
            extract(images, root, Network(), tmp_path / "store")
    again = Network()
    if moment == "sync":  # the store lies where it belongs already
        with pytest.raises(EmocapError, match="a feature store is there already"):
            extract(images, root, again, tmp_path / "store")
    else:
        for keys, extractor in ((images[1:], Network()), (images, Network(rows=2))):
            with pytest.raises(EmocapError, match="a run with other images or settings was stopped there"):
                extract(keys, root, extractor, tmp_path / "store")
        assert extract(images, root, again, tmp_path / "store").n_images == 6
    assert again.described == []
    FeatureStore.open(tmp_path / "store").verify()
    extract(images, root, Network(), tmp_path / "unbroken")
    kept = {name: data for name, data in everything(tmp_path / "store").items() if name not in ("plan.json", ".lock")}
    assert kept == everything(tmp_path / "unbroken")


def test_a_store_that_came_to_lie_there_meanwhile_stays(photos, tmp_path):
    root, images = photos

    class Slow(Network):
        def describe(self, prepared, sizes):
            if not (tmp_path / "store").exists():
                extract(images[:1], root, GridExtractor(dim=16), tmp_path / "other", workers=1)
                (tmp_path / "other").rename(tmp_path / "store")
            return super().describe(prepared, sizes)

    with pytest.raises(EmocapError, match="store: cannot be written"):
        extract(images, root, Slow(), tmp_path / "store")
    assert len(FeatureStore.open(tmp_path / "store")) == 1
    (tmp_path / "store").rename(tmp_path / "away")
    again = Network()
    assert extract(images, root, again, tmp_path / "store").n_images == 6
    assert again.described == []


def test_an_image_whose_features_are_not_finite_is_set_aside(photos, tmp_path):
    class Broken(Network):
        def describe(self, prepared, sizes):
            found = super().describe(prepared, sizes)
            if sizes[0] == (60, 90):
                found[0].features[0, 0] = np.inf
            return found

    root, images = photos
    report = extract(images, root, Broken(), tmp_path / "store")
    assert report.n_images == 4
    faults = {fault.where: fault.reason for fault in report.rejected}
    assert "not finite or beyond half precision" in faults["sub/0.jpg"]
    assert "give it precision=float32" in faults["sub/3.jpg"]


def test_names_that_are_not_utf8_are_kept_too(photos, tmp_path):
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


def test_a_folder_of_something_else_is_never_removed(photos, tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / ".store.unfinished").mkdir()
    (tmp_path / ".store.unfinished/precious").write_text("dear")
    monkeypatch.setattr(ShardWriter, "add", full)
    with pytest.raises(EmocapError, match="No space left on device"):
        extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert (tmp_path / ".store.unfinished/precious").read_text() == "dear"


def test_few_large_images_are_decoded_ahead(photos, tmp_path, monkeypatch):
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
    monkeypatch.setattr(module, "WINDOW_BYTES", 2_000_000)
    extract(keys, root, Counting(), tmp_path / "few", workers=2)
    assert max(most[12:]) <= 6


def test_a_killed_process_goes_on_where_it_was(photos, tmp_path):
    root, images = photos
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_extract import Network, extract, module
module.BATCHES_PER_WINDOW = 1
class Killed(Network):
    def describe(self, prepared, sizes):
        if len(self.described) == 3:
            os.kill(os.getpid(), 9)
        return super().describe(prepared, sizes)
from pathlib import Path
extract({images!r}, Path({str(root)!r}), Killed(), Path({str(tmp_path / "store")!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    again = Network()
    extract(images, root, again, tmp_path / "store")
    assert len(again.described) == 3
    FeatureStore.open(tmp_path / "store").verify()


def test_another_run_is_kept_out_and_an_unlike_one_is_not_mixed_in(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(module, "BATCHES_PER_WINDOW", 1)
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_behind=2), tmp_path / "store")
    for keys, extractor in ((images[1:], Network()), (images, Network(rows=2))):
        with pytest.raises(EmocapError, match=r"\.store\.unfinished: a run with other images or settings was stopped"):
            extract(keys, root, extractor, tmp_path / "store")
    with (
        locked(tmp_path / ".store.unfinished/.lock", "busy"),
        pytest.raises(EmocapError, match="another run is writing there; wait for it"),
    ):
        extract(images, root, Network(), tmp_path / "store")
    assert extract(images, root, Network(), tmp_path / "store").n_images == 6
    with pytest.raises(EmocapError, match="store: a feature store is there already"):
        extract(images, root, Network(), tmp_path / "store")


def test_two_processes_share_the_shards(photos, tmp_path):
    root, images = photos
    script = tmp_path / "run.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_extract import GridExtractor, extract, module
from pathlib import Path
module.IMAGES_PER_SHARD = 2
report = extract({images!r}, Path({str(root)!r}), GridExtractor(dim=16), Path({str(tmp_path / "two")!r}), workers=1)
assert report.n_images == 6
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run(command, check=True, timeout=120)
    code = script.read_text().replace(str(tmp_path / "two"), str(tmp_path / "one"))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert everything(tmp_path / "two") == everything(tmp_path / "one")


def test_images_of_like_shape_are_described_together(tmp_path):
    for number, size in enumerate([(40, 20), (20, 40), (41, 20), (20, 41)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    extractor = Network()
    extract([f"{n}.png" for n in range(4)], tmp_path, extractor, tmp_path / "store", batch_size=2)
    assert [width > height for width, height in extractor.described] == [False, False, True, True]
    assert FeatureStore.open(tmp_path / "store").images == ["0.png", "1.png", "2.png", "3.png"]


def test_large_images_do_not_fill_the_memory(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WINDOW_BYTES", 1)
    windows = []
    write = module._write
    monkeypatch.setattr(
        module, "_write", lambda writer, window, job: (windows.append(window), write(writer, window, job))
    )
    extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert max(map(len, windows)) <= 3  # one image, and the missing or corrupt ones before it


def test_images_below_a_folder_are_found_by_their_names(photos):
    root, images = photos
    (root / "notes.txt").write_text("no")
    assert images_below(root) == sorted(set(images) - {"gone.jpg"})
    with pytest.raises(EmocapError, match="no such folder"):
        images_below(root / "nowhere")
    (root / "empty").mkdir()
    with pytest.raises(EmocapError, match="holds no images"):
        images_below(root / "empty")


def test_progress_counts_images(photos, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="emocap"):
        extract(photos[1], photos[0], GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert "9 images" in caplog.text


def test_progress_counts_what_is_done_and_not_what_is_told(photos, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("emocap.progress.SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(module, "BATCHES_PER_WINDOW", 4)
    with caplog.at_level(logging.INFO, logger="emocap"):
        extract(photos[1], photos[0], Network(), tmp_path / "store")
    assert [line.split(",")[0] for line in caplog.messages if " of " in line] == [
        "features: 4 of 9",
        "features: 8 of 9",
        "features: 9 of 9",
    ]


def test_a_built_extractor_is_built_again_from_its_settings():
    extractor = build_extractor("grid", {"rows": 2, "dim": 8})
    assert (extractor.name, extractor.dim, extractor.weights_hash) == ("grid", 8, "")
    assert build_extractor(extractor.name, extractor.settings).settings == extractor.settings
    assert build_extractor("grid").settings["rows"] == 5


def test_unknown_names_and_settings_are_told():
    with pytest.raises(EmocapError, match="extractor is 'gird', expected one of grid, frcnn-vg"):
        build_extractor("gird", {})
    with pytest.raises(EmocapError, match="unknown setting 'cells', expected some of rows, columns, dim, seed"):
        build_extractor("grid", {"cells": 3})
    with pytest.raises(EmocapError, match="rows is '5', expected a whole number"):
        build_extractor("grid", {"rows": "5"})
    with pytest.raises(EmocapError, match="workers is 0, expected 1 or more"):
        extract([], None, GridExtractor(), None, workers=0)
    with pytest.raises(EmocapError, match="batch_size is 0, expected 1 or more"):
        extract([], None, GridExtractor(), None, batch_size=0)
    with pytest.raises(EmocapError, match="extractor vit: setting 'weights' is missing"):
        build_extractor("vit")
    for weights in (5, "", ["a"]):
        with pytest.raises(EmocapError, match="extractor vit: weights is .*, expected a folder, file or name"):
            build_extractor("vit", {"weights": weights})
    with pytest.raises(EmocapError, match="its settings name weights too"):
        build_extractor("vit:a/b", {"weights": "c/d"})


def test_a_damaged_report_is_told(tmp_path):
    (tmp_path / "report.json").write_text('{"n_images": 1}')
    with pytest.raises(EmocapError, match=r"report\.json: damaged"):
        read_report(tmp_path)
