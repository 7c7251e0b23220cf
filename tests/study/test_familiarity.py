"""The stage that describes the training data of each model."""

import json

import numpy as np
import pytest
from PIL import Image

from emocap.classifiers.familiarity import read_familiarity
from emocap.classifiers.training_pairs import count_training_pairs
from emocap.demo.scene import sample_scene
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import familiarity as stage

from .conftest import caption_of, draw


def write_corpus(folder) -> None:
    rng, rows = np.random.default_rng(0), []
    for number in range(200):
        draw(folder / "images" / f"{number}.png", rng, bright=number % 2 == 0)
        emotions = ["awe" if number % 2 == 0 else "sad"]
        rows.append({"image": f"{number}.png", "caption": f"{caption_of(rng, True)} {number}", "emotions": emotions})
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def test_every_model_knows_its_training_data(tiny_study, tmp_path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "images").mkdir(parents=True)
    write_corpus(corpus)
    path = tiny_study(
        data_root=str(corpus),
        target={"format": "table", "path": "pairs.jsonl", "images": "images"},
        source=None,
        pseudo_labels={},
        transfer={},
        student={},
        teacher={"epochs": 1, "batch_size": 64},
    )
    run = tmp_path / "run"
    config = load_config(path)
    run_study(config, run, report=write_report)
    (unit,) = units_of(config, run)
    parts = {name: unit.part(name) for name in ("train", "validation", "test")}
    counts = {
        name: count_training_pairs(run / "baselines" / "tfidf" / "model", part.images, part.captions)
        for name, part in parts.items()
    }
    assert counts == {"train": len(parts["train"]), "validation": len(parts["validation"]), "test": 0}
    models = json.loads((run / "familiarity.json").read_text())["models"]
    assert {"teacher/model", "baselines/tfidf/model", "baselines/prior/model"} <= set(models)
    familiarity = read_familiarity(run / "teacher" / "model")
    assert familiarity.captions is not None
    assert familiarity.captions.is_unlike(["Quarterly revenue fell short of all expectations"]).all()
    assert familiarity.images is not None
    Image.new("RGB", (40, 32), "red").save(tmp_path / "red.png")
    from emocap import EmotionPredictor

    predictor = EmotionPredictor.from_pretrained(run / "teacher")
    signatures = [
        features.mean(axis=0, keepdims=True)
        for features in predictor.features([tmp_path / "red.png", corpus / "images" / "3.png"])
    ]
    assert [bool(familiarity.images.is_unlike(values)[0]) for values in signatures] == [True, False]


@pytest.mark.parametrize(("least", "n_drawn"), [(100, 0), (10, 1)])
def test_scenes_are_drawn_once_for_enough_images(tiny_study, tmp_path, monkeypatch, caplog, least, n_drawn) -> None:
    config = load_config(tiny_study(source=None, folds=2))
    run = tmp_path / "run"
    run_study(config, run, report=lambda folder: folder, until="splits")
    calls: list[int] = []
    monkeypatch.setattr(stage, "MIN_EXAMPLES", least)
    monkeypatch.setattr("emocap.classifiers.familiarity.MIN_EXAMPLES", least)
    monkeypatch.setattr(stage, "sample_scene", lambda generator: calls.append(1) or sample_scene(generator))
    with caplog.at_level("INFO", logger="emocap"):
        stage.familiarity(units_of(config, run))
    assert len(calls) == n_drawn * stage.N_DRAWN
    assert caplog.text.count("too few to tell which images") == (0 if n_drawn else 1)
