"""A study on any region features: made on the way, or lying ready in stores."""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import timm

from emocap import EmotionPredictor
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.regions.extract import extract, images_below
from emocap.regions.extractors.base import Regions
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.extractors.registry import build_extractor
from emocap.regions.store.format import FeatureSource
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import write_store
from emocap.report.page import write_report
from emocap.study.config.corpora import FeatureConfig
from emocap.study.config.loading import load_config
from emocap.study.run import run_study
from emocap.study.stages import features
from emocap.training.checkpoint import load_model

GRID = {"rows": 1, "columns": 2, "dim": 32}


def run(path, folder, until=None):
    return run_study(load_config(path), folder, report=write_report, until=until)


def corpora(**stores):
    """The tiny corpora, with stores for some of them."""
    target = {"format": "table", "path": "pairs.jsonl", "images": "target"}
    source = {"format": "coco", "path": "captions_source.json", "images": "source"}
    return {
        name: corpus | ({"store": str(stores[name])} if name in stores else {})
        for name, corpus in (("target", target), ("source", source))
    }


def test_existing_stores_equal_extracted_features(tiny_study, tiny_corpora, tmp_path):
    for domain in ("target", "source"):
        extract(images_below(tiny_corpora / domain), tiny_corpora / domain, GridExtractor(**GRID), tmp_path / domain)
    run(tiny_study(), tmp_path / "made", "student")
    path = tiny_study(**corpora(target=tmp_path / "target", source=tmp_path / "source"))
    run(path, tmp_path / "ready", "student")
    assert list((tmp_path / "ready/features").iterdir()) == []
    for file in ("scores/part-00000.npy", "teacher/test_probabilities.npy"):
        assert (np.load(tmp_path / "made" / file) == np.load(tmp_path / "ready" / file)).all()
    made, ready = (read_json(tmp_path / name / "manifest.json")["data"] for name in ("made", "ready"))
    assert made["target"]["images_missing"] == 1  # one image has no file, and one is broken
    assert ready["target"]["images_missing"] == 2  # neither is in the store
    assert made["source"] == ready["source"]


def test_detector_runs_in_study(tiny_study, detector_folder, tmp_path):
    features = {"extractor": f"frcnn-vg:{detector_folder}", "settings": {"min_boxes": 1, "max_boxes": 3}}
    run(tiny_study(features=features, source=None), tmp_path / "run", "teacher")
    store = FeatureStore.open(tmp_path / "run/features/target")
    assert (store.header.extractor, store.header.dim) == ("frcnn-vg", 128)
    saved = load_model(tmp_path / "run/teacher")
    assert saved.card.features["fingerprint"] == store.fingerprint
    assert saved.model.config.visual_embedding_dim == 128
    made = build_extractor(saved.card.features["extractor"], saved.card.features["settings"])
    saved.require_features(store.fingerprint, made.dim)


def test_refuses_features_with_different_fingerprints(tiny_study, tiny_corpora, tmp_path):
    extract(images_below(tiny_corpora / "source"), tiny_corpora / "source", GridExtractor(dim=32), tmp_path / "source")
    with pytest.raises(
        EmocapError, match="features: the target's are grid .* and the source's are grid .*; a model needs"
    ):
        run(tiny_study(**corpora(source=tmp_path / "source")), tmp_path / "run", "features")


def test_refuses_different_fingerprints_before_extraction(tiny_study, tiny_corpora, tmp_path, monkeypatch):
    extract(images_below(tiny_corpora / "target"), tiny_corpora / "target", GridExtractor(dim=32), tmp_path / "target")
    monkeypatch.setattr(features, "extract", None)
    with pytest.raises(EmocapError, match="'rows': 5.*'rows': 1|'rows': 1.*'rows': 5"):
        run(tiny_study(**corpora(target=tmp_path / "target")), tmp_path / "run", "features")


def test_refuses_foreign_store_and_reports_missing_images(tiny_study, tiny_corpora, tmp_path, caplog):
    keys = images_below(tiny_corpora / "target")
    extract(keys[:100], tiny_corpora / "target", GridExtractor(**GRID), tmp_path / "some")
    study = {"target": corpora(target=tmp_path / "some")["target"], "source": None}
    with caplog.at_level(logging.WARNING, logger="emocap"):
        run(tiny_study(**study), tmp_path / "run", "features")
    assert "some holds no features of 21 images, such as" in caplog.text
    extract(["000000000000.jpg"], tiny_corpora / "source", GridExtractor(**GRID), tmp_path / "other")
    study = {"target": corpora(target=tmp_path / "other")["target"], "source": None}
    with pytest.raises(EmocapError, match="none of the target's 120 images, such as .*, but such as 0+.jpg"):
        run(tiny_study(**study), tmp_path / "other run", "features")
    (tmp_path / "file").write_text("no store")
    with pytest.raises(EmocapError, match="file: not a feature store"):
        run(
            tiny_study(target=corpora(target=tmp_path / "file")["target"], source=None),
            tmp_path / "file run",
            "features",
        )
    with pytest.raises(EmocapError, match="features is null, but a corpus names a store"):
        load_config(tiny_study(**study, features=None))
    data = bytearray((tmp_path / "some/features-00000.npy").read_bytes())
    data[-1] ^= 1
    (tmp_path / "some/features-00000.npy").write_bytes(data)
    study = {"target": corpora(target=tmp_path / "some")["target"], "source": None}
    with pytest.raises(EmocapError, match=r"features-00000\.npy: SHA-256 is"):
        run(tiny_study(**study), tmp_path / "changed", "features")


def test_imported_features_need_no_images(tiny_study, tmp_path):
    rng = np.random.default_rng(0)
    with write_store(tmp_path / "store", FeatureSource("elsewhere", {}, "", 16)) as writer:
        for number in range(100):
            count = int(rng.integers(1, 5))
            boxes = np.zeros((count, 4), np.float32)
            writer.add(f"{number}.jpg", Regions(rng.standard_normal((count, 16)), boxes, (0, 0)))
    target = {"format": "table", "path": "pairs.jsonl", "store": str(tmp_path / "store")}
    run(tiny_study(target=target, source=None), tmp_path / "run", "teacher")
    assert load_model(tmp_path / "run/teacher").card.features["extractor"] == "elsewhere"
    assert read_json(tmp_path / "run/manifest.json")["data"]["target"]["images_missing"] == 20


def test_reports_missing_store_and_reads_changed_one(tiny_study, tiny_corpora, tmp_path, caplog):
    with pytest.raises(EmocapError, match="store: no such file or folder; put it there"):
        run(tiny_study(**corpora(target=tmp_path / "store") | {"source": None}), tmp_path / "run")
    keys = images_below(tiny_corpora / "target")
    extract(keys, tiny_corpora / "target", GridExtractor(**GRID), tmp_path / "store")
    path = tiny_study(target=corpora(target=tmp_path / "store")["target"], source=None)
    run(path, tmp_path / "run", "teacher")
    with caplog.at_level(logging.INFO, logger="emocap"):
        run(path, tmp_path / "run", "teacher")
    assert "features: up to date" in caplog.text
    assert "teacher: up to date" in caplog.text
    (tmp_path / "store").rename(tmp_path / "old")
    extract(keys[:50], tiny_corpora / "target", GridExtractor(**GRID), tmp_path / "store")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="emocap"):
        run(path, tmp_path / "run", "teacher")
    assert "teacher: started" in caplog.text


def test_resumes_stopped_extraction(tiny_study, tmp_path, monkeypatch):
    described = []

    class Stopped(GridExtractor):
        in_processes = False
        batch_size = 2

        def describe(self, prepared, sizes):
            if len(described) == 20:
                described.append(None)
                raise KeyboardInterrupt
            described.extend(sizes)
            return super().describe(prepared, sizes)

    monkeypatch.setattr(features, "build_extractor", lambda name, settings: Stopped(**settings))
    with pytest.raises(KeyboardInterrupt):
        run(tiny_study(source=None), tmp_path / "run", "features")
    assert (tmp_path / "run/features/.target.unfinished").is_dir()
    run(tiny_study(source=None), tmp_path / "run", "features")
    assert len(described) < 1 + 118 + 20  # 118 sound images, and fewer than 20 described twice
    assert len(FeatureStore.open(tmp_path / "run/features/target")) == 118
    assert not (tmp_path / "run/features/.target.unfinished").exists()


def test_extractor_is_resolved_once(tiny_study, tmp_path, monkeypatch):
    asked = []

    def resolve(name, settings):
        asked.append(name)
        return "grid", GRID, "It is a test."

    monkeypatch.setattr(features, "resolve_extractor", resolve)
    path = tiny_study(features={}, source=None)
    run(path, tmp_path / "run", "features")
    recorded = {"name": "grid", "settings": GRID, "reason": "It is a test."}
    assert read_json(tmp_path / "run/extractor.json") == recorded
    store = tmp_path / "run/features/target"
    (store / "header.json").unlink()  # the stage runs again
    monkeypatch.setattr(features, "resolve_extractor", None)
    run(path, tmp_path / "run", "features")
    assert asked == ["auto"]
    assert FeatureStore.open(store).header.settings["dim"] == GRID["dim"]
    monkeypatch.undo()
    grid = {"extractor": "grid", "settings": GRID | {"dim": 16}}
    run(tiny_study(features=grid, source=None), tmp_path / "run", "features")
    assert read_json(tmp_path / "run/extractor.json")["settings"] == grid["settings"]
    assert FeatureStore.open(store).header.dim == 16


def test_auto_takes_store_as_it_is_but_no_second_extractor(tiny_study, tiny_corpora, tmp_path, monkeypatch):
    keys = images_below(tiny_corpora / "target")
    extract(keys, tiny_corpora / "target", GridExtractor(**GRID), tmp_path / "target")
    monkeypatch.setattr(features, "resolve_extractor", lambda name, settings: ("grid", {"dim": 16}, "It is a test."))
    study = corpora(target=tmp_path / "target")
    run(tiny_study(features={}, source=None, target=study["target"]), tmp_path / "alone", "features")
    assert not (tmp_path / "alone/extractor.json").exists()
    with pytest.raises(EmocapError, match="the source's are grid .* and the target's are grid .*; a model needs one"):
        run(tiny_study(features={}, **study), tmp_path / "both", "features")


def test_model_on_timm_features_predicts_from_files(tiny_study, tiny_corpora, tmp_path):
    folder = tmp_path / "backbone"
    timm.models.save_for_hf(timm.create_model("test_efficientnet"), str(folder), safe_serialization=True)
    chosen = {"extractor": f"timm:{folder}", "settings": {"rows": 1, "columns": 2}}
    run(tiny_study(features=chosen, source=None), tmp_path / "run", "teacher")
    store = FeatureStore.open(tmp_path / "run/features/target")
    assert (store.header.extractor, store.header.dim) == ("timm", 256)
    predictor = EmotionPredictor.from_pretrained(tmp_path / "run/teacher")
    image, other = (tiny_corpora / "target" / store.images[i] for i in (0, -1))
    caption = "a dog waits alone"
    as_file, as_bytes, of_other = predictor.predict_many(
        [(image, caption), (image.read_bytes(), caption), (other, caption)]
    )
    assert [p.probability for p in as_file] == pytest.approx([p.probability for p in as_bytes])
    assert [p.probability for p in as_file] != pytest.approx([p.probability for p in of_other])
    card = tmp_path / "run/teacher/model/emocap.json"
    values = json.loads(card.read_text())
    values["features"]["fingerprint"] = "0" * 16
    card.write_text(json.dumps(values))
    with pytest.raises(EmocapError, match="trained on") as caught:
        EmotionPredictor.from_pretrained(tmp_path / "run/teacher").predict(image, caption)
    assert "\n" not in str(caught.value)
    (folder / "config.json").unlink()
    with pytest.raises(EmocapError, match="the extractor of its images is unavailable: .* has no config.json"):
        EmotionPredictor.from_pretrained(tmp_path / "run/teacher").predict(image, caption)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_auto_extractor_that_cannot_be_built_is_named(is_recorded, tmp_path, monkeypatch):
    chosen = {"name": "frcnn-vg", "settings": {"weights": str(tmp_path / "absent")}, "reason": "It is a test."}
    monkeypatch.setattr(features, "resolve_extractor", lambda name, settings: tuple(chosen.values()))
    study = SimpleNamespace(root=tmp_path, config=SimpleNamespace(features=FeatureConfig()))
    if is_recorded:
        write_json(tmp_path / "extractor.json", chosen)
    where = "as .*extractor.json records" if is_recorded else "here"
    with pytest.raises(
        EmocapError, match=f"absent.*name another in features.extractor, since auto is frcnn-vg {where}"
    ):
        features._recorded_extractor(study)
    assert (tmp_path / "extractor.json").exists() == is_recorded, "what failed decides nothing"
