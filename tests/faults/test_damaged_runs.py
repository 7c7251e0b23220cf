"""A finished study whose files are deleted, cut short or changed: the same results again, with a line that says so."""

import logging
import os
import shutil

import pytest

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.regions.extract import extract, images_below
from emocap.regions.extractors.grid import GridExtractor
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import fitting

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}


STAGES = ("prepare", "features", "splits", "baselines", "teacher", "evaluation", "model_folders", "familiarity")


def run(path, folder, until="familiarity"):
    return run_study(load_config(path), folder, report=write_report, until=until)


@pytest.fixture(scope="module")
def finished(tiny_corpora, tmp_path_factory):
    """Where the study of this module has run once, filled by the first test."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def study(tiny_study, finished, tmp_path):
    """The YAML of a finished study on images, and a copy of its run directory."""
    path = tiny_study(source=None, teacher=ONE)
    if not finished.exists():
        run(path, finished)
    shutil.copytree(finished, tmp_path / "run")
    return path, tmp_path / "run"


def contents(folder):
    """The bytes of every file of a run, except those that hold durations or how much was hashed."""
    files = (file for file in folder.rglob("*") if file.is_file())
    varying = {"history.json", "manifest.json", ".known-digests.json", "report.html"}
    kept = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.name not in varying}
    return {name: data for name, data in kept.items() if not name.startswith("stages/")}


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def damaged_files(folder):
    """One file of every kind that a stage leaves."""
    return [
        "target.parquet",
        "vocabulary.json",
        "data.json",
        "backbone.json",
        "splits.json",
        "features/target/features-00000.npy",
        "features/target/header.json",
        "features/target/report.json",
        "baselines/tfidf/test_probabilities.npy",
        "teacher/model/model.safetensors",
        "teacher/model/config.json",
        "teacher/model/tokenizer.json",
        "teacher/history.json",
        "teacher/validation_probabilities.npy",
        "results.json",
        "predictions.parquet",
        "gallery.json",
        "recommended.json",
        "familiarity.json",
        "teacher/model/evaluation.json",
        "teacher/model/familiarity.safetensors",
        "baselines/tfidf/model/emocap.json",
    ]


def test_every_damaged_output_gives_the_same_results_again(study, finished, caplog):
    path, folder = study
    names = damaged_files(folder)
    for number, name in enumerate(names):
        flip(folder / name) if number % 2 else os.truncate(folder / name, (folder / name).stat().st_size // 2)
    with caplog.at_level(logging.WARNING, logger="emocap"):
        run(path, folder)
    for stage in STAGES:
        assert f"{stage}: " in caplog.text, stage
    assert contents(folder) == contents(finished)


def test_deleted_features_are_extracted_again_and_nothing_else(study, finished, monkeypatch, caplog):
    path, folder = study
    shutil.rmtree(folder / "features/target")  # what the message of a damaged store advises
    monkeypatch.setattr(fitting, "train", None)
    with caplog.at_level(logging.WARNING, logger="emocap"):
        run(path, folder)
    assert "features/target" in caplog.text
    assert "deleted or changed since the stage finished" in caplog.text
    assert contents(folder) == contents(finished)


def test_model_never_loses_its_images(study):
    path, folder = study
    shutil.rmtree(folder / "features/target")
    unit = units_of(load_config(path), folder)[0]
    with pytest.raises(EmocapError, match="features/target: not a feature store"):
        unit.any_store()


@pytest.mark.parametrize("labels", [5, [], ["happy", "happy"], ["happy", 3], ["other"]])
def test_vocabulary_with_bad_labels_is_written_again(study, finished, labels):
    path, folder = study
    original = (folder / "vocabulary.json").read_text()
    value = read_json(folder / "vocabulary.json") | {"labels": labels}
    (folder / "vocabulary.json").write_text(str(value).replace("'", '"'))
    with pytest.raises(EmocapError, match="vocabulary"):
        _ = units_of(load_config(path), folder)[0].vocabulary
    run(path, folder, until="prepare")
    assert (folder / "vocabulary.json").read_text() == original


def test_replaced_image_of_equal_size_is_noticed(tiny_study, tiny_corpora, finished, study, tmp_path):
    _, folder = study
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    path = tiny_study(source=None, teacher=ONE, data_root=str(corpora))
    run(path, folder, until="features")
    before = (folder / "features/target/features-00000.npy").read_bytes()
    image = corpora / "target/7.jpg"
    data, stamp = bytearray(image.read_bytes()), image.stat()
    data[-200:-100] = bytes(100)
    image.write_bytes(data)
    os.utime(image, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    run(path, folder, until="features")
    assert (folder / "features/target/features-00000.npy").read_bytes() != before


def test_store_of_replaced_images_is_refused(tiny_study, tiny_corpora, tmp_path):
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    images = corpora / "target"
    extract(images_below(images), images, GridExtractor(rows=1, columns=2, dim=32), tmp_path / "store")
    shutil.copy(images / "5.jpg", images / "6.jpg")
    target = {"format": "table", "path": "pairs.jsonl", "images": "target", "store": str(tmp_path / "store")}
    path = tiny_study(source=None, data_root=str(corpora), target=target)
    with pytest.raises(EmocapError, match=r"1 images of the target, such as 6\.jpg, have changed since"):
        run(path, tmp_path / "run", until="features")


@pytest.mark.parametrize("name", ["results.json", "gallery.json"])
def test_report_refuses_damaged_results_and_its_remedy_works(study, name):
    path, folder = study
    run(path, folder)
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("0.", "0.9", 1))
    with pytest.raises(EmocapError, match=rf"{name}: missing or changed since the stage evaluation wrote it; run the"):
        write_report(folder)
    run(path, folder)
    write_report(folder)
