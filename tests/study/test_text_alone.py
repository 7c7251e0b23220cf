"""What images add to text: the baselines that read images, and a teacher of captions alone in the same study."""

import json

import numpy as np
import pytest

from emocap import EmotionPredictor
from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.files import read_array, read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text_alone") / "run"


@pytest.fixture
def finished(tiny_study, folder):
    path = tiny_study(source=None, baselines={"names": ["image_probe"]}, evaluation={"text_alone": True})
    config = load_config(path)
    if not folder.is_dir():
        run_study(config, folder, report=write_report)
    return config, folder


def test_the_teacher_of_captions_has_seen_no_image(finished) -> None:
    config, folder = finished
    results = read_json(folder / "results.json")
    read_images = {"prior": False, "image_probe": True, "teacher_text": False, "teacher": True}
    assert {name: results["uses_images"][name] for name in read_images} == read_images
    card = read_json(folder / "teacher_text/model/emocap.json")
    assert (card["features"], card["uses_captions"]) == (None, True)
    unit = units_of(config, folder)[0]
    test = unit.part("test")
    classifier = load_classifier(folder / "teacher_text")
    features = StoredFeatures(unit.store("target"), test.images)
    predicted = classifier.raw_probabilities(features, test.captions)
    assert np.abs(predicted - read_array(folder / "teacher_text/test_probabilities.npy")).max() < 1e-5
    assert np.array_equal(predicted, classifier.raw_probabilities([None] * len(test), test.captions))


def test_remarks_know_what_each_model_reads(finished) -> None:
    folder = finished[1]
    assert (folder / "teacher_text/model/training_pairs.npy").is_file()
    remarks = {
        name: EmotionPredictor.from_pretrained(folder / name).remarks(None, "a dog in the park")
        for name in ("baselines/image_probe", "baselines/prior", "teacher")
    }
    codes = {name: [remark.code for remark in found] for name, found in remarks.items()}
    assert codes["baselines/image_probe"] == ["images_alone"]
    assert "images_alone" not in codes["baselines/prior"] + codes["teacher"]


def test_differences_tell_what_images_add(finished) -> None:
    """The brightness of an image decides one emotion, so that images add much."""
    results = read_json(finished[1] / "results.json")
    added = results["differences"]["teacher_text"]["teacher"]["mean_average_precision"]
    scores = {name: results["models"][name]["mean_average_precision"] for name in ("teacher", "teacher_text")}
    assert added["difference"] == pytest.approx(scores["teacher"] - scores["teacher_text"])
    awe = {name: results["models"][name]["per_emotion_average_precision"]["awe"] for name in results["models"]}
    assert awe["image_probe"] > max(awe["teacher_text"], awe["prior"]) + 0.1


def test_captions_alone_have_no_baseline_of_images(tiny_study) -> None:
    with_images = load_config(tiny_study(source=None, baselines={}))
    captions_alone = load_config(tiny_study(source=None, baselines={}, features=None))
    assert with_images.baseline_names == ["prior", "tfidf", "vectors", "neighbours", "image_probe", "vectors_image"]
    assert captions_alone.baseline_names == ["prior", "tfidf", "vectors", "neighbours"]
    assert with_images.models == ["teacher"]


@pytest.fixture
def images_alone(tiny_corpora, tmp_path):
    """The target of a study of 60 images without captions."""
    rows = [json.loads(line) for line in (tiny_corpora / "pairs.jsonl").read_text().splitlines()[:60]]
    table = tmp_path / "images.jsonl"
    table.write_text("\n".join(json.dumps({key: row[key] for key in ("image", "emotions")}) for row in rows))
    return {"format": "table", "path": str(table), "images": "target"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_alone": True}, "evaluation.text_alone is true, but the target has no captions"),
        ({"reference": "tfidf"}, "evaluation.reference names 'tfidf', which reads captions"),
        ({"ensemble": ["teacher", "vectors_image"]}, "evaluation.ensemble names 'vectors_image', which reads captions"),
    ],
)
def test_models_of_missing_captions_are_refused(tiny_study, images_alone, tmp_path, changes, message) -> None:
    evaluation = {"n_bootstrap": 100} | changes
    config = load_config(tiny_study(source=None, baselines={}, target=images_alone, evaluation=evaluation))
    with pytest.raises(EmocapError, match=message):
        run_study(config, tmp_path / "run", report=write_report)
    assert not (tmp_path / "run/features").exists()


def test_images_without_captions_have_no_baseline_of_captions(tiny_study, images_alone, tmp_path, caplog) -> None:
    config = load_config(tiny_study(source=None, baselines={}, target=images_alone))
    with caplog.at_level("INFO", "emocap"):
        run_study(config, tmp_path / "run", report=write_report, until="baselines")
    fitted = sorted(path.name for path in (tmp_path / "run/baselines").iterdir())
    assert fitted == ["image_probe", "prior"]
    assert "the target has no captions, so there is no neighbours, tfidf, vectors, vectors_image" in caplog.text


def test_models_without_captions_are_known_as_such(tiny_study, images_alone, tmp_path) -> None:
    """The source has captions, so that a model which starts from the student learnt some."""
    evaluation = {"n_bootstrap": 100, "ensemble": ["teacher", "image_probe"]}
    config = load_config(tiny_study(baselines={}, target=images_alone, evaluation=evaluation))
    folder = tmp_path / "run"
    run_study(config, folder, report=write_report)
    expected = {"teacher": False, "baselines/image_probe": False, "models/ensemble": False, "baselines/prior": True}
    expected |= {"student": True, "AnB": True, "AnB+": True}
    cards = {name: read_json(folder / name / "model/emocap.json")["uses_captions"] for name in expected}
    assert cards == expected
    results = read_json(folder / "results.json")
    assert not results["has_captions"]
    assert sorted(results["modality_ablation"]["models"]) == ["both", "other_image"]
    assert {path.stem for path in (folder / "modality_ablation").glob("*_probabilities.npy")} == {
        "both_probabilities",
        "other_image_probabilities",
    }
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "a caption alone" not in page
    assert "The pairs have no captions" in page
