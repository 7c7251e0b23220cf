"""The commands that extract features and manage stores."""

import json
import re

import numpy as np
from PIL import Image

from emocap.regions.store.reader import FeatureStore

from .process import emocap


def test_store_survives_extract_verify_export_and_import(detector_folder, tmp_path) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "names.txt").write_text("0.png\nbad.jpg\ngone.png\n")
    weights = f"frcnn-vg:{detector_folder}"
    done = emocap(
        "extract",
        tmp_path,
        "--extractor",
        weights,
        "--set",
        "max_boxes=4",
        "--set",
        "min_boxes=4",
        "--out",
        tmp_path / "all",
    )
    assert done.returncode == 0, done.stderr
    assert "all: 3 images, 0 missing, 1 rejected" in done.stdout
    assert "features: 4 images in " in done.stderr
    done = emocap(
        "extract", tmp_path, "--list", tmp_path / "names.txt", "--extractor", "grid", "--out", tmp_path / "some"
    )
    assert "some: 1 images, 1 missing, 1 rejected" in done.stdout
    done = emocap("store", "info", tmp_path / "all")
    assert re.search(r"^regions +12, 4 to 4 per image$", done.stdout, re.M)
    assert re.search(r"^extractor +frcnn-vg$", done.stdout, re.M)
    assert (
        "all: 3 images, 10 files unchanged since they were written"
        in emocap("store", "verify", tmp_path / "all").stdout
    )
    done = emocap("store", "export", tmp_path / "all", "--format", "lxmert", "--out", tmp_path / "all.tsv")
    assert done.stdout.strip() == f"{tmp_path / 'all.tsv'}: 3 images"
    done = emocap(
        "store", "import", tmp_path / "all.tsv", "--name", "all", "--key", "{id}.png", "--out", tmp_path / "again"
    )
    assert "again: 3 images, 0 rejected" in done.stdout, done.stderr
    ours, again = FeatureStore.open(tmp_path / "all"), FeatureStore.open(tmp_path / "again")
    assert ours.images == again.images == ["0.png", "1.png", "2.png"]
    assert all((ours[image][0] == again[image][0]).all() for image in ours.images)
    assert ours.fingerprint != again.fingerprint
    data = bytearray((tmp_path / "all/features-00000.npy").read_bytes())
    data[-4] ^= 1
    (tmp_path / "all/features-00000.npy").write_bytes(data)
    done = emocap("store", "verify", tmp_path / "all")
    assert done.returncode == 1
    assert "the file has changed since it was written" in done.stderr


def test_extract_show_draws_regions_on_the_image(detector_folder, tmp_path) -> None:
    Image.new("RGB", (90, 60), "orange").save(tmp_path / "a.png")
    done = emocap("extract", "--show", "a.png", "--extractor", f"frcnn-vg:{detector_folder}", cwd=tmp_path)
    assert re.fullmatch(r"a-regions\.png: \d regions\n", done.stdout), done.stderr
    with Image.open(tmp_path / "a-regions.png") as drawn:
        assert drawn.size == (640, 427)


def test_extract_refuses_images_that_are_not_there(tmp_path) -> None:
    Image.new("RGB", (9, 6), "orange").save(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "gone.txt").write_text("b.png\nc.png\n")
    (tmp_path / "text.txt").write_text("text.png\nb.png\n")
    options = ("--extractor", "grid", "--out", tmp_path / "some.store")
    for names, found in (
        ("gone.txt", "holds none of the 2 images that are named, such as b.png"),
        ("text.txt", "none of 2 images can be used; the first: text.png: not a readable image but text"),
    ):
        done = emocap("extract", tmp_path, "--list", tmp_path / names, *options)
        assert done.returncode == 1
        assert found in done.stderr
        assert not (tmp_path / "some.store").exists()


def test_extract_says_that_images_have_changed_before_it_loads_weights(tmp_path, monkeypatch) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (9, 6), "orange").save(tmp_path / "images" / "a.png")
    command = ("extract", tmp_path / "images", "--extractor", "grid", "--out", tmp_path / "some.store")
    assert emocap(*command).returncode == 0
    Image.new("RGB", (9, 6), "blue").save(tmp_path / "images" / "a.png")
    monkeypatch.setattr("emocap.regions.extractors.registry.build_extractor", None)
    done = emocap(*command)
    assert done.returncode == 1
    assert "1 of its images, such as a.png, have changed since; delete it first to extract them again" in done.stderr


def test_extract_resumes_with_the_extractor_that_it_began_with(tmp_path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (9, 6), "orange").save(tmp_path / "images" / "a.png")
    plan = {"extractor": "grid", "settings": {"rows": 0}}
    (tmp_path / ".some.store.unfinished").mkdir()
    (tmp_path / ".some.store.unfinished" / "plan.json").write_text(json.dumps(plan))
    done = emocap("extract", tmp_path / "images", "--out", tmp_path / "some.store")
    assert done.returncode == 1
    assert "extractor grid: rows is 0, expected" in done.stderr
    assert (
        "extractor auto takes no settings, but rows is given"
        in emocap("extract", tmp_path / "images", "--set", "rows=2", "--out", tmp_path / "other.store").stderr
    )
