"""What an earlier run left is never taken for a later one's, and no choice looks at a test pair."""

import json
import shutil

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.evaluation import calibration
from emocap.evaluation.fitted_baselines import FittedBaseline, Frequencies
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.files import read_array, read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages import baselines, fitting, held_out

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}
ALONE = {"features": None, "target": {"format": "table", "path": "pairs.jsonl"}, "teacher": ONE}
SOURCE = {"format": "coco", "path": "captions_source.json"}


def run(path, folder, overrides=None, until=None):
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


def test_scores_follow_retrained_teacher(tiny_study, tmp_path) -> None:
    path = tiny_study(**ALONE, source=SOURCE)
    run(path, tmp_path / "run", until="scores")
    run(path, tmp_path / "run", ["teacher.learning_rate=1e-3"], until="scores")
    run(path, tmp_path / "fresh", ["teacher.learning_rate=1e-3"], until="scores")
    again, fresh = (read_array(tmp_path / name / "scores/probabilities.npy") for name in ("run", "fresh"))
    assert (again == fresh).all()


def test_changed_settings_discard_killed_training(tiny_study, tmp_path, monkeypatch) -> None:
    def killed(*_, **__):
        raise InterruptedError

    path = tiny_study(**ALONE, source=None)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "finish", killed)
        with pytest.raises(InterruptedError):
            run(path, tmp_path / "run", ["teacher.epochs=3"], until="teacher")
    assert (tmp_path / "run/teacher/checkpoints").is_dir()
    run(path, tmp_path / "run", until="teacher")
    assert len(read_json(tmp_path / "run/teacher/history.json")["validation"]) == 1


def test_omits_results_of_removed_sub_study(tiny_study, tmp_path) -> None:
    path = tiny_study(**ALONE, source=None, labelled_source={"format": "table", "path": "moods.jsonl"}, labelled=ONE)
    asked = ["transfer.layers=[0]", "transfer.controls=false", "transfer.AnB.epochs=1", "transfer.AnB+.epochs=1"]
    run(path, tmp_path / "run", asked)
    assert read_json(tmp_path / "run/results.json")["transfer_study"] is not None
    run(path, tmp_path / "run", asked[2:])
    assert read_json(tmp_path / "run/results.json")["transfer_study"] is None


def test_notices_later_copies_and_companion_files(tiny_corpora, tiny_study, tmp_path) -> None:
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    path = tiny_study(data_root=str(corpora), source=None)
    run(path, tmp_path / "run", until="splits")
    assert read_json(tmp_path / "run/data.json")["same_content"] == {}
    shutil.copy(corpora / "target/5.jpg", corpora / "target/2.jpg")
    run(path, tmp_path / "run", until="splits")
    assert read_json(tmp_path / "run/data.json")["same_content"] == {"5.jpg": "2.jpg"}
    (corpora / "captions.txt").write_text("image,caption\n" + "".join(f"{n}.jpg,words {n}\n" for n in range(30)))
    (corpora / "expressions.csv").write_text("image,emotion\n" + "".join(f"{n}.jpg,happy\n" for n in range(30)))
    faces = tiny_study(
        **(ALONE | {"target": {"format": "flickr8k-expressions", "path": "expressions.csv"}}), source=None
    )
    faces_study = load_config(faces, [f"data_root={corpora}", "pseudo_labels.p=1"])
    for word in ("words", "others"):
        (corpora / "captions.txt").write_text("image,caption\n" + "".join(f"{n}.jpg,{word} {n}\n" for n in range(30)))
        run_study(faces_study, tmp_path / "faces", report=write_report, until="prepare")
        assert units_of(faces_study, tmp_path / "faces")[0].whole("target").captions[0].startswith(word)


def test_source_contains_no_held_out_captions(tiny_corpora, tiny_study, tmp_path) -> None:
    rows = [json.loads(line) for line in (tiny_corpora / "pairs.jsonl").read_text().splitlines()]
    source = tmp_path / "source.jsonl"
    source.write_text("\n".join(json.dumps({"caption": row["caption"]}) for row in rows if row["caption"]))
    path = tiny_study(
        **ALONE, source={"format": "table", "path": str(source)}, folds=3, pseudo_labels={"p": 1, "controls": []}
    )
    config = load_config(path)
    run_study(config, tmp_path / "run", report=write_report, until="prepare")
    for study in units_of(config, tmp_path / "run"):
        study.run.mkdir(parents=True)
        from emocap.study.stages.splits import splits

        splits(study)
        used = set(study.pairs("source").captions)
        for part in ("validation", "test"):
            assert not used & set(study.part(part).captions), part
        assert used & set(study.part("train").captions)


def test_calibration_and_selection_ignore_test_pairs(tiny_study, tmp_path) -> None:
    path = tiny_study(**ALONE, source=None)
    run(path, tmp_path / "run")
    study = units_of(load_config(path), tmp_path / "run")[0]
    truth = study.pairs("target").targets(study.vocabulary)
    validation = read_array(tmp_path / "run/teacher/validation_probabilities.npy")
    expected = calibration.calibrate(validation, truth[study.rows["validation"]])
    found = held_out.pooled([study], truth, "teacher")
    assert found.methods == [expected.method]
    assert np.abs(found.repeats[0].probabilities - expected.scaling(found.repeats[0].raw)).max() < 1e-6
    assert found.repeats[0].thresholds[0] == pytest.approx(expected.thresholds)
    assert found.repeats[0].threshold[0] == pytest.approx(expected.threshold)
    assert found.validation == mean_average_precision(validation, truth[study.rows["validation"]])
    turned = truth.copy()
    turned[study.rows["test"]] = 1 - turned[study.rows["test"]]
    again = held_out.pooled([study], turned, "teacher")
    assert again.validation == found.validation
    assert (again.repeats[0].probabilities == found.repeats[0].probabilities).all()
    assert (again.repeats[0].thresholds == found.repeats[0].thresholds).all()


def test_baselines_fit_on_training_and_tune_on_validation(tiny_study, tmp_path, monkeypatch) -> None:
    seen = {}

    def spy(name, captions, targets, validation_captions, validation_targets, **_):
        seen[name] = (captions, len(targets), validation_captions, len(validation_targets))
        return FittedBaseline(name, None, Frequencies(np.full(targets.shape[1], 0.5)))

    monkeypatch.setattr(baselines, "fit_baseline", spy)
    path = tiny_study(**ALONE, source=None)
    run(path, tmp_path / "run", until="baselines")
    study = units_of(load_config(path), tmp_path / "run")[0]
    train, validation = study.part("train").captions, study.part("validation").captions
    assert seen == dict.fromkeys(("prior", "tfidf"), (train, len(train), validation, len(validation)))


def test_refuses_impossible_p_before_training(tiny_study, tmp_path) -> None:
    path = tiny_study(**ALONE, source=SOURCE, pseudo_labels={"p": 1, "controls": [], "study": {"p": [9]}})
    with pytest.raises(EmocapError, match=r"pseudo_labels\.p is 9, expected 1 to 3"):
        run(path, tmp_path / "run")
    assert not (tmp_path / "run/teacher").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("pseudo_labels.p=99", "pseudo_labels.p is 99, expected 1 to 3"),
        ("transfer.n_transferred=99", "transfer.n_transferred is 99, but .* has 3 layers"),
        ("transfer.layers=[99]", "transfer.layers is 99, but .* has 3 layers"),
        ("folds=999", "999 folds of .* images; use fewer folds"),
    ],
)
def test_refuses_later_impossible_setting_after_prepare(tiny_study, tmp_path, setting, message) -> None:
    """What `prepare` does not depend on is checked also where it does not run again."""
    path = tiny_study(**ALONE, source=SOURCE)
    run(path, tmp_path / "run", until="prepare")
    with pytest.raises(EmocapError, match=message):
        run(path, tmp_path / "run", [setting])
    assert not any((tmp_path / "run" / name).exists() for name in ("features", "splits.json", "units"))


def test_excludes_copies_of_held_out_images(tiny_corpora, tiny_study, tmp_path) -> None:
    corpora = tmp_path / "corpora"
    shutil.copytree(tiny_corpora, corpora)
    for number in range(3, 40):
        shutil.copy(corpora / f"target/{number}.jpg", corpora / f"source/{number + 30:012d}.jpg")
    path = tiny_study(data_root=str(corpora))
    run(path, tmp_path / "run", until="splits")
    study = units_of(load_config(path), tmp_path / "run")[0]
    held_out = {image for part in ("validation", "test") for image in study.part(part).images}
    used = set(study.pairs("source").images)
    for number in range(3, 40):
        assert (f"{number + 30:012d}.jpg" in used) == (f"{number}.jpg" not in held_out), number
