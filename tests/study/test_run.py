"""The study end to end on a tiny corpus: what it leaves, that it learns, and that a kill changes nothing."""

import json
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from emocap.corpora.overlap import without_held_out
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, stage_names
from emocap.study.stages import fitting
from emocap.training.batching import PairDataset

from ..forked import ForkedProcess


def run(path: Path, folder: Path, until: str | None = None, overrides: list[str] | None = None) -> Path:
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture
def finished(module_tmp, tiny_study) -> Path:
    """A finished run; made once for all tests here."""
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        assert run(tiny_study(), folder) == folder / "report.html"
    return folder


def test_documented_files_exist(finished) -> None:
    names = ["manifest", "vocabulary", "splits", "audit", "results", "gallery"]
    assert all((finished / f"{name}.json").is_file() for name in names)
    assert (finished / "predictions.parquet").is_file()
    assert (finished / "baselines/tfidf/test_probabilities.npy").is_file()
    for model in ("teacher", "student", "AnB", "AnB+"):
        assert (finished / model / "model" / "model.safetensors").is_file()
        history = read_json(finished / model / "history.json")
        assert history["train"]
        assert not (finished / model / "checkpoints").exists()
    left = [p.name for p in finished.rglob("*") if p.name.endswith((".part", ".old"))]
    assert left == []


def test_models_beat_the_prior_on_held_out_images(finished) -> None:
    models = read_json(finished / "results.json")["models"]
    assert list(models) == ["prior", "tfidf", "teacher", "student", "AnB", "AnB+", "ensemble"]
    for name in ("teacher", "student", "AnB", "AnB+"):
        assert models[name]["mean_average_precision"] > models["prior"]["mean_average_precision"] + 0.1
        assert models[name]["top1_accuracy"] >= models["prior"]["top1_accuracy"]


def test_training_never_sees_test_pairs(tiny_study, tmp_path, monkeypatch) -> None:
    seen: dict[str, list[str]] = {}
    trained = fitting.train

    def spy(model, training, validation, *arguments, name, **options):
        if isinstance(training, PairDataset):
            seen[name] = list(training.images)
            seen[f"{name} validation"] = list(validation.images) if validation is not None else []
        return trained(model, training, validation, *arguments, name=name, **options)

    monkeypatch.setattr(fitting, "train", spy)
    run(tiny_study(), tmp_path / "run", overrides=["transfer.n_transferred=1"])
    parts = {name: set(keys) for name, keys in read_json(tmp_path / "run" / "splits.json")["parts"].items()}
    for name in ("teacher", "AnB", "AnB+"):
        assert set(seen[name]) == parts["train"]
        assert set(seen[f"{name} validation"]) == parts["validation"]
    assert not set(seen["student"]) & parts["test"]
    assert not parts["test"] & (parts["train"] | parts["validation"])


def test_excludes_source_pairs_that_overlap_held_out() -> None:
    def pairs(*rows: tuple[str, str]):
        builder = PairsBuilder("made")
        for number, (image, caption) in enumerate(rows):
            builder.add("x", str(number), image, caption)
        return builder.build()

    held_out = pairs(("coco__COCO_train2014_000000000042.jpg", "A dog."), ("b.jpg", "Two  Cats"))
    source = pairs(
        ("000000000042.jpg", "same COCO number"),
        ("000000000043.jpg", "another"),
        ("sub/B.jpg", "same name"),
        ("c.jpg", "two cats"),
        ("", "no image"),
    )
    assert without_held_out(source, held_out, "source").tolist() == [1, 4]


def test_never_shows_results_of_earlier_configuration(finished, tiny_study, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    run(tiny_study(), copy, until="teacher", overrides=["teacher.epochs=1"])
    assert not (copy / "results.json").exists()
    with pytest.raises(EmocapError, match=r"results\.json"):
        write_report(copy)


@pytest.mark.parametrize(
    ("file", "content"),
    [("audit.json", "[]"), ("stages/teacher.json", '{"finger'), ("stages/AnB.json", "[]"), ("results.json", "{}")],
)
def test_writes_damaged_file_again(finished, tiny_study, tmp_path, file: str, content: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / file).write_text(content)
    run(tiny_study(), copy)
    assert (copy / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    assert read_json(copy / "audit.json") == read_json(finished / "audit.json")


@pytest.mark.parametrize("file", ["scores/probabilities.npy", "target.parquet", "AnB/test_probabilities.npy"])
def test_writes_truncated_file_again(finished, tiny_study, tmp_path, file: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / file).write_bytes((copy / file).read_bytes()[:40])
    for stage in ("selection", "evaluation"):
        (copy / "stages" / f"{stage}.json").unlink()
    run(tiny_study(), copy)
    for name in (file, "results.json"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.parametrize("file", ["vocabulary.json", "data.json", "splits.json", "backbone.json"])
def test_writes_wrong_content_again(finished, tiny_study, tmp_path, file) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / file).write_text('{"a": 1}')
    run(tiny_study(), copy, until="splits")
    assert read_json(copy / file) == read_json(finished / file)


def test_reports_invalid_probabilities_in_one_line(finished, tiny_study, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    path = copy / "AnB/test_probabilities.npy"
    np.save(path, np.full_like(np.load(path), 5))
    (copy / "stages/evaluation.json").unlink()
    record = read_json(copy / "stages/AnB.json")
    del record["outputs"]  # as an earlier version wrote it
    (copy / "stages/AnB.json").write_text(json.dumps(record))
    with pytest.raises(EmocapError, match="expected probabilities .*delete .*AnB and run again"):
        run(tiny_study(), copy)


def test_removes_partial_files_of_killed_run(finished, tiny_study, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / "features" / ".source.abc.part").mkdir()
    run(tiny_study(), copy)
    assert not (copy / "features" / ".source.abc.part").exists()


def test_resolves_backbone_once(finished) -> None:
    fixed = read_json(finished / "backbone.json")
    assert len(fixed["sha256"]) == 64
    assert read_json(finished / "manifest.json")["config"]["model"]["backbone"] == fixed["name"]


def test_counts_faults_and_continues(finished) -> None:
    manifest = read_json(finished / "manifest.json")
    assert manifest["rejected"]["target"]["count"] == 1
    assert manifest["rejected"]["target"]["reasons"] == {"caption is empty": 1}
    assert manifest["rejected"]["images"]["count"] == 1
    assert manifest["data"]["target"]["images_missing"] == 1
    assert manifest["data"]["target"]["labelled"] == 120
    assert sum(manifest["data"]["target"][part] for part in ("train", "validation", "test")) == 120


def test_audit_matches_selection(finished) -> None:
    import pyarrow.parquet as pq

    audit = read_json(finished / "audit.json")
    table = pq.read_table(finished / "selection.parquet")
    assert audit["n_source_pairs"] == 160
    assert audit["n_selected"] == table.num_rows == 128
    targets = np.array(table["targets"].to_pylist())
    assert ((targets > 0).sum(axis=1) == 2).all()
    shares = (targets > 0).sum(axis=0) / (targets > 0).sum()
    assert audit["after"] == pytest.approx(shares.tolist())


def test_changed_setting_reruns_only_what_follows(finished, tiny_study, tmp_path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    times = {p.stem: p.stat().st_mtime_ns for p in (copy / "stages").iterdir()}
    run(tiny_study(), copy)
    assert {p.stem: p.stat().st_mtime_ns for p in (copy / "stages").iterdir()} == times
    run(tiny_study(), copy, overrides=["transfer.AnB.epochs=1"])
    changed = {p.stem for p in (copy / "stages").iterdir() if p.stat().st_mtime_ns != times[p.stem]}
    assert changed == {"AnB", "evaluation", "model_folders", "familiarity"}, (
        "and not modality_ablation, which asks AnB+"
    )


def test_seed_changes_split(finished, tiny_study, tmp_path) -> None:
    run(tiny_study(), tmp_path / "other", until="splits", overrides=["seed=1"])
    assert read_json(tmp_path / "other" / "splits.json")["parts"] != read_json(finished / "splits.json")["parts"]


@pytest.mark.parametrize(
    "moment", ["stages/teacher.begun.json", "student/checkpoints", "AnB+/checkpoints/checkpoint-6"]
)
def test_killed_run_ends_with_same_results(finished, tiny_study, tmp_path, moment: str) -> None:
    folder = tmp_path / "killed"
    process = ForkedProcess("run", str(tiny_study()), "--run-dir", str(folder))
    deadline = time.monotonic() + 120
    while not (folder / moment).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (folder / moment).exists(), "it was over before it could be killed"
    assert not (folder / "results.json").exists()
    run(tiny_study(), folder)
    assert (folder / "results.json").read_bytes() == (finished / "results.json").read_bytes()


def test_trains_only_teacher_without_source(tiny_study, tmp_path) -> None:
    path = tiny_study(source=None)
    assert stage_names(load_config(path)) == [
        "prepare",
        "features",
        "splits",
        "baselines",
        "teacher",
        "modality_ablation",
        "evaluation",
        "model_folders",
        "familiarity",
        "report",
    ]
    report = run(path, tmp_path / "alone")
    assert list(read_json(tmp_path / "alone" / "results.json")["models"]) == ["prior", "tfidf", "teacher"]
    assert "AnB" not in json.dumps(read_json(tmp_path / "alone" / "results.json"))
    assert report.is_file()


def test_accepts_text_target_and_image_source(tiny_study, tmp_path) -> None:
    path = tiny_study(target={"format": "table", "path": "pairs.jsonl"})
    run(path, tmp_path / "run")
    cards = {name: read_json(tmp_path / "run" / name / "model" / "emocap.json") for name in ("teacher", "AnB+")}
    assert cards["teacher"]["features"] is None
    assert cards["AnB+"]["features"]["extractor"] == "grid"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_root": "/nowhere"}, r"/nowhere/pairs\.jsonl: no such file or folder; put it there"),
        (
            {"target": {"format": "coco", "path": "captions_source.json"}},
            "has no emotions; the target must be labelled",
        ),
        ({"min_count": 1000}, "none of 3 emotions is named for at least 1000 pairs"),
        ({"model": {"backbone": "nobody/nothing"}}, "nobody/nothing: not in the hub's cache"),
        ({"pseudo_labels": {"p": 9}}, r"pseudo_labels\.p is 9, expected 1 to 3"),
        ({"transfer": {"n_transferred": 4}}, r"n_transferred is 4, but .* has 3 layers"),
    ],
)
def test_reports_bad_input_in_one_line(tiny_study, tmp_path, changes, message: str) -> None:
    train = {"epochs": 1, "batch_size": 64}
    with pytest.raises(EmocapError, match=message) as error:
        run(tiny_study(**({"teacher": train} | changes)), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "teacher").exists(), "a contradiction is found before anything is trained"


def test_refuses_unknown_stage(tiny_study, tmp_path) -> None:
    with pytest.raises(
        EmocapError, match="--until tea: no such stage; this study has prepare, features, splits, baselines"
    ):
        run(tiny_study(), tmp_path / "run", until="tea")


def test_refuses_several_processes(tiny_study, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EmocapError, match="start it without torchrun"):
        run(tiny_study(), tmp_path / "run")
