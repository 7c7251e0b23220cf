"""Extraction that was interrupted or killed, and several processes that write one store."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.files import locked
from emocap.regions import decoding, extraction_job
from emocap.regions import extract as module
from emocap.regions.changes import changed_images
from emocap.regions.extract import extract
from emocap.regions.extraction_job import planned_extractor
from emocap.regions.extraction_report import read_report
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.reader import FeatureStore

from .interruptible import Network, file_contents, file_names


def test_interrupted_run_resumes_after_last_commit(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 2)
    monkeypatch.setattr(module, "IMAGES_PER_SHARD", 4)
    root, images = photos
    extract(images, root, Network(), tmp_path / "uninterrupted")
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_after=3), tmp_path / "store")
    assert file_names(tmp_path) == [".store.unfinished", "photos", "uninterrupted"]
    again = Network()
    report = extract(images, root, again, tmp_path / "store")
    assert len(again.described) == 4  # two of the six images had been committed
    assert report == read_report(tmp_path / "uninterrupted")
    assert file_contents(tmp_path / "store") == file_contents(tmp_path / "uninterrupted")
    assert file_names(tmp_path) == ["photos", "store", "uninterrupted"]


@pytest.mark.parametrize("moment", ["finish_store", "remove_temporary_files", "rename", "sync"])
def test_interruption_while_finishing_loses_nothing(photos, tmp_path, monkeypatch, moment):
    def interrupt(*args):
        raise KeyboardInterrupt

    root, images = photos
    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "rename", interrupt) if moment == "rename" else (extraction_job, moment, interrupt)))
        with pytest.raises(KeyboardInterrupt):
            extract(images, root, Network(), tmp_path / "store")
    again = Network()
    if moment == "sync":  # the store is in its final place already
        with pytest.raises(EmocapError, match="a feature store exists there already"):
            extract(images, root, again, tmp_path / "store")
    else:
        for keys, extractor in ((images[1:], Network()), (images, Network(rows=2))):
            with pytest.raises(EmocapError, match="a run with other images or settings was interrupted there"):
                extract(keys, root, extractor, tmp_path / "store")
        assert extract(images, root, again, tmp_path / "store").n_images == 6
    assert again.described == []
    FeatureStore.open(tmp_path / "store").verify()
    extract(images, root, Network(), tmp_path / "uninterrupted")
    kept = {
        name: data for name, data in file_contents(tmp_path / "store").items() if name not in ("plan.json", ".lock")
    }
    assert kept == file_contents(tmp_path / "uninterrupted")


def test_keeps_store_created_in_the_meantime(photos, tmp_path):
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


def test_killed_process_resumes(photos, tmp_path):
    root, images = photos
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from interruptible import Network
from emocap.regions import decoding
from emocap.regions.extract import extract
decoding.BATCHES_PER_WINDOW = 1
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


def test_refuses_concurrent_and_different_runs(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 1)
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_after=2), tmp_path / "store")
    for keys, extractor in ((images[1:], Network()), (images, Network(rows=2))):
        with pytest.raises(EmocapError, match=r"unfinished: a run with other images or settings was interrupted"):
            extract(keys, root, extractor, tmp_path / "store")
    with (
        locked(tmp_path / ".store.unfinished/.lock", "busy"),
        pytest.raises(EmocapError, match="another run is writing there; wait for it"),
    ):
        extract(images, root, Network(), tmp_path / "store")
    assert extract(images, root, Network(), tmp_path / "store").n_images == 6
    with pytest.raises(EmocapError, match="store: a feature store exists there already"):
        extract(images, root, Network(), tmp_path / "store")


def test_two_processes_share_the_shards(photos, tmp_path):
    root, images = photos
    script = tmp_path / "run.py"
    script.write_text(
        f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from emocap.regions import extract as module
from emocap.regions.changes import changed_images
from emocap.regions.extract import extract
from emocap.regions.extractors.grid import GridExtractor
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
    assert file_contents(tmp_path / "two") == file_contents(tmp_path / "one")


def test_resumes_run_with_old_plan_key(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 2)
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_after=3), tmp_path / "store")
    plan = tmp_path / ".store.unfinished/plan.json"
    values = json.loads(plan.read_text())
    values["kind"] = values.pop("fingerprint")
    del values["extractor"], values["settings"]
    plan.write_text(json.dumps(values))
    assert planned_extractor(tmp_path / "store") is None
    again = Network()
    assert extract(images, root, again, tmp_path / "store").n_images == 6
    assert len(again.described) < 6


def test_interrupted_run_names_its_extractor(photos, tmp_path, monkeypatch):
    root, images = photos
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 2)
    assert planned_extractor(tmp_path / "store") is None
    extractor = Network(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, extractor, tmp_path / "store")
    assert planned_extractor(tmp_path / "store") == (extractor.name, extractor.settings)


@pytest.mark.parametrize("change", ["replaced", "rejected", "appeared"])
def test_image_that_changed_before_the_resume_is_described_again(photos, tmp_path, monkeypatch, change):
    monkeypatch.setattr(decoding, "BATCHES_PER_WINDOW", 1)
    root, images = photos
    first = root / images[0]
    good = (root / images[1]).read_bytes()
    if change == "rejected":
        first.write_bytes(bytes(len(good)))
    elif change == "appeared":
        first.unlink()
    with pytest.raises(KeyboardInterrupt):
        extract(images, root, Network(stop_after=3), tmp_path / "store")
    first.write_bytes(good)
    extract(images, root, Network(), tmp_path / "store")
    extract(images, root, Network(), tmp_path / "uninterrupted")
    assert file_contents(tmp_path / "store") == file_contents(tmp_path / "uninterrupted")


def test_existing_store_names_images_that_changed(photos, tmp_path):
    root, images = photos
    extract(images, root, Network(), tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    assert changed_images(store, root) == []
    path = root / images[0]
    path.write_bytes(path.read_bytes()[::-1])
    assert changed_images(store, root) == [images[0]]
    with pytest.raises(EmocapError, match=f"1 of its images, such as {images[0]}, have changed since; delete it first"):
        extract(images, root, Network(), tmp_path / "store")
    path.unlink()
    assert changed_images(store, root) == [], "a store stands for images that were moved away"


def test_image_that_is_replaced_while_it_is_read_counts_as_changed(photos, tmp_path, monkeypatch):
    root, images = photos
    prepare = decoding.prepare_source

    def then_replace(path, extractor):
        prepared = prepare(path, extractor)
        if path == root / images[0]:
            path.write_bytes(path.read_bytes() + b"0")
        return prepared

    monkeypatch.setattr(decoding, "prepare_source", then_replace)
    extract(images, root, GridExtractor(dim=16), tmp_path / "store", workers=1)
    assert changed_images(FeatureStore.open(tmp_path / "store"), root) == [images[0]]
