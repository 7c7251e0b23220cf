"""The controls of a source: students of the target's own texts and of shuffled pseudo-labels, each with an AnB+."""

import numpy as np

from emocap.evaluation.predictions import read_predictions
from emocap.files import read_array, read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import controls
from emocap.study.stages.selection import selected
from emocap.study.stages.student import repeated_rows
from emocap.training.checkpoint import load_model

CONTROLS = ["student_own", "AnB+_own", "student_shuffled", "AnB+_shuffled"]
ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 16}


def test_controls_are_trained_compared_and_never_recommended(tiny_study, tmp_path, monkeypatch) -> None:
    trained = {}

    def pretrain_student(study, name, pairs, domain, targets):
        trained[name] = (domain, list(pairs.captions), targets)
        original(study, name, pairs, domain, targets)

    original = controls.pretrain_student
    monkeypatch.setattr(controls, "pretrain_student", pretrain_student)
    path = tiny_study(pseudo_labels={"p": 2, "fraction": 0.8}, teacher=ONE, transfer={"AnB": ONE, "AnB+": ONE})
    folder = tmp_path / "run"
    run_study(load_config(path), folder, report=write_report)
    unit = units_of(load_config(path), folder)[0]
    sample, targets = selected(unit)

    domain, captions, labels = trained["student_own"]
    assert domain == "target"
    assert len(captions) == len(sample)
    assert set(captions) == set(unit.part("train").captions), "no source, no validation pair, no test pair"
    assert ((labels > 0) & (labels < 1)).all(), "soft labels of all emotions"
    domain, captions, labels = trained["student_shuffled"]
    assert (domain, captions) == ("source", list(sample.captions))
    assert not (labels == targets).all()
    assert sorted(map(tuple, labels)) == sorted(map(tuple, targets))

    results = read_json(folder / "results.json")
    assert [name for name, kind in results["kinds"].items() if kind == "control"] == CONTROLS
    assert {"AnB+_own", "AnB+_shuffled"} <= set(results["differences"])
    assert "mean_average_precision" in results["differences"]["AnB+_own"]["AnB+"]
    assert results["chosen"] not in CONTROLS
    assert results["recommended"] not in CONTROLS
    assert read_json(folder / "recommended.json")["name"] not in CONTROLS
    found = read_predictions(folder / "predictions.parquet").by_model
    assert not (found["AnB+_own"][0].raw == found["AnB+"][0].raw).all()
    for name in CONTROLS:
        assert load_model(folder / name).card.run == name
        assert read_array(folder / name / "test_probabilities.npy").shape == (len(unit.rows["test"]), 3)
    students = [read_json(folder / name / "history.json") for name in ("student", "student_own", "student_shuffled")]
    assert len({each["n_train_pairs"] for each in students}) == 1
    assert len({each["train"][-1]["step"] for each in students}) == 1, "as many steps as the student"
    page = (folder / "report.html").read_text()
    assert "AnB+, own texts" in page
    assert "Controls" in page


def test_rows_repeat_only_after_all_others() -> None:
    rows = repeated_rows(5, 13, np.random.default_rng(1))
    counts = np.bincount(rows, minlength=5)
    assert (counts.min(), counts.max(), len(rows)) == (2, 3, 13)
    assert sorted(rows[:5]) == sorted(rows[5:10]) == list(range(5))
    assert len(set(repeated_rows(5, 3, np.random.default_rng(1)))) == 3
