"""Studies of corpora that keep annotators apart: what people reach, shares of votes as targets, and odd corpora."""

import json
import logging
import shutil

import numpy as np
import pytest

from emocap.files import read_array, read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import fitting
from emocap.training.batching import PairDataset

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}


def run(path, folder, overrides=None, until=None):
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


@pytest.fixture
def study_of(tiny_study, tmp_path):
    """Writes annotators' words by pair as the official JSON, and the YAML of a study of it, captions alone."""

    def write(annotators, images=None, **changes):
        rng = np.random.default_rng(0)
        entries = {}
        for number, words in enumerate(annotators):
            caption = f"{' '.join(rng.choice(['a', 'dog', 'sea', 'runs', 'by'], 3))} {words[0][0]} {number}"
            image = images[number] if images else f"{number}.jpg"
            entries[f"pair{number}"] = [[image, caption, named, [], {}] for named in words]
        (tmp_path / "annotated.json").write_text(json.dumps(entries))
        options = {
            "data_root": str(tmp_path),
            "target": {"format": "socratis", "path": "annotated.json"},
            "source": None,
            "features": None,
            "teacher": ONE,
        }
        return tiny_study(**(options | changes))

    return write


def words_of(number: int) -> list[list[str]]:
    mood = "happy" if number % 3 else "sad"
    return [[mood], [mood, "awe"], ["awe"] if number % 2 else [mood]]


def test_measures_human_agreement_of_separate_annotators(study_of, tmp_path) -> None:
    run(study_of([words_of(number) for number in range(90)]), tmp_path / "run")
    found = read_json(tmp_path / "run/results.json")["human"]
    assert found["n_pairs"] == 18, "those that the models were tested on"
    assert found["annotators"] == {"least": 3, "median": 3, "most": 3}
    assert 0 < found["one_against_others"]["top1_accuracy"] <= 1
    share = found["models"]["teacher"]["top1_accuracy"] / found["one_against_others"]["top1_accuracy"]
    assert found["shares"]["teacher"]["top1_accuracy"] == pytest.approx(share)
    assert found["split_half"]["spearman_brown"] > 0


def test_accepts_unanimous_and_single_annotators(study_of, tmp_path) -> None:
    run(study_of([[["happy"]] * 3 if number % 2 else [["sad"]] * 3 for number in range(60)]), tmp_path / "equal")
    assert read_json(tmp_path / "equal/results.json")["human"]["one_against_others"]["top1_accuracy"] == 1
    run(study_of([[["happy" if number % 2 else "sad"]] for number in range(60)]), tmp_path / "one")
    results = read_json(tmp_path / "one/results.json")
    assert results["human"] is None
    assert "No test pair has two annotators" in results["emotions"]["notes"][-1]


def test_trains_on_votes_and_evaluates_on_union(study_of, tmp_path, monkeypatch) -> None:
    seen, trained = [], fitting.train

    def spy(model, training, validation, *arguments, **options):
        if isinstance(training, PairDataset):
            seen.append(np.concatenate([training.targets, validation.targets]))
        return trained(model, training, validation, *arguments, **options)

    monkeypatch.setattr(fitting, "train", spy)
    path = study_of([words_of(number) for number in range(90)], label_aggregation="votes")
    run(path, tmp_path / "run")
    assert np.unique(seen[0]) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    truth = units_of(load_config(path), tmp_path / "run")[0].truth("test")
    assert set(np.unique(truth)) == {0.0, 1.0}


def test_notes_rare_emotions_and_folds_without_them(study_of, tmp_path) -> None:
    annotators = [[*words_of(number), *([["tired"]] if number < 3 else [])] for number in range(60)]
    run(study_of(annotators, folds=5), tmp_path / "run")
    results = read_json(tmp_path / "run/results.json")
    assert results["emotions"]["positives"]["tired"] == 3
    assert any("'tired'" in note and "3" in note for note in results["emotions"]["notes"])
    assert results["models"]["teacher"]["per_emotion_average_precision"]["tired"] > 0
    assert "tired" in (tmp_path / "run/report.html").read_text()


def test_reports_image_copies_and_repeated_captions(tiny_corpora, tiny_study, tmp_path, caplog) -> None:
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    rows = [json.loads(line) for line in (corpora / "pairs.jsonl").read_text().splitlines()]
    for number in range(0, 40, 2):
        shutil.copy(corpora / f"target/{number + 40}.jpg", corpora / f"target/{number + 80}.jpg")
        rows[number]["caption"] = "the same words"
    (corpora / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with caplog.at_level(logging.INFO, logger="emocap"):
        run(tiny_study(data_root=str(corpora), source=None), tmp_path / "run", until="splits")
    parts = read_json(tmp_path / "run/splits.json")["parts"]
    part_of = {key: part for part, keys in parts.items() for key in keys}
    assert not any(f"{number + 80}.jpg" in part_of and f"{number + 40}.jpg" in part_of for number in range(0, 40, 2))
    data = read_json(tmp_path / "run/manifest.json")["data"]["target"]
    assert (data["copied_images"], data["repeated_captions"]) == (20, 0)
    assert sum(data[part] for part in ("train", "validation", "test")) == 120
    assert "20 images are copies of others" in caplog.text
    assert len({part_of[f"{number}.jpg"] for number in range(0, 40, 2)}) == 1


def test_keeps_uncalibrated_predictions(study_of, tmp_path) -> None:
    path = study_of([words_of(number) for number in range(60)])
    run(path, tmp_path / "run")
    study = units_of(load_config(path), tmp_path / "run")[0]
    saved = study.load("teacher")
    raw = read_array(tmp_path / "run/teacher/test_probabilities.npy")
    again = fitting.predict_probabilities(
        saved.model, study.dataset(saved.tokenizer, study.part("test"), "target"), 8, "again"
    )
    assert np.allclose(raw, again, atol=1e-5)
