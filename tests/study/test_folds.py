"""Whether a study is cross-validated where its configuration leaves it open."""

import json
import logging
from pathlib import Path

import pytest
import yaml

from emocap.errors import EmocapError
from emocap.study import folds as folds_module
from emocap.study.config.loading import load_config
from emocap.study.run import run_study


def open_study(tiny_study, n: int = 30, **changes) -> Path:
    """A study of n captions without images that leaves its folds open, trained for a moment."""
    path = tiny_study(**changes)
    study = yaml.safe_load(path.read_text())
    study.pop("folds", None) if "folds" not in changes else None
    rows = [
        {"caption": f"caption {number} {'celebrates' if number % 2 else 'lost'}", "emotions": [f"e{number % 2}"]}
        | changes.get("column", {})
        for number in range(n)
    ]
    table = path.with_name("rows.jsonl")
    table.write_text("\n".join(json.dumps(row) for row in rows))
    study |= {"target": {"format": "table", "path": str(table)}, "features": None, "teacher": {"epochs": 1}}
    for key in ("source", "column", "pseudo_labels"):
        study.pop(key, None)
    path.write_text(yaml.safe_dump(study))
    return path


def run(path: Path, folder: Path, until: str | None = None, overrides: list[str] | None = None) -> Path:
    return run_study(load_config(path, overrides), folder, report=lambda written: written, until=until)


def folds_of(folder: Path) -> int | None:
    return json.loads((folder / "manifest.json").read_text())["config"]["folds"]


def test_few_images_are_cross_validated(tiny_study, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "emocap"):
        run(open_study(tiny_study), tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (results["folds"], results["n_test_pairs"]) == (5, 30), "every image is tested once"
    assert manifest["folds"] == {"folds": 5, "n_images": 30, "by_default": True}
    parts = json.loads((tmp_path / "run" / "splits.json").read_text())["parts"]
    assert list(parts) == [f"fold_{number}" for number in range(5)]
    keys = [key for part in parts.values() for key in part]
    assert len(keys) == len(set(keys)) == 30, "every image is tested in one fold"
    said = [record.message for record in caplog.records if record.message.startswith("folds:")]
    assert len(said) == 1
    assert "30 images" in said[0]
    assert "`folds: null` draws one split" in said[0]


@pytest.mark.parametrize(
    ("changes", "overrides"),
    [
        ({"folds": None}, []),
        ({"splits": {"train": 0.6, "validation": 0.2, "test": 0.2}}, []),
        ({}, ["splits.test=0.2"]),
        ({"column": {"split": "test"}}, []),
    ],
)
def test_what_asks_for_one_split_gets_it(tiny_study, tmp_path: Path, changes: dict, overrides: list[str]) -> None:
    path = open_study(tiny_study, **changes)
    if "column" in changes:
        rows = [json.loads(line) for line in path.with_name("rows.jsonl").read_text().splitlines()]
        for number, row in enumerate(rows):
            row["split"] = "test" if number < 10 else "train"
        path.with_name("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run(path, tmp_path / "run", "splits", overrides)
    assert folds_of(tmp_path / "run") is None
    assert (tmp_path / "run" / "splits.json").is_file()


def test_other_keys_of_splits_leave_it_open(tiny_study, tmp_path: Path) -> None:
    run(open_study(tiny_study, splits={"corpus_split": False}), tmp_path / "run", "prepare")
    assert folds_of(tmp_path / "run") == 5


def test_many_images_get_one_split(tiny_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds_module, "FEW_IMAGES", 30)
    run(open_study(tiny_study, n=30), tmp_path / "many", "prepare")
    run(open_study(tiny_study, n=29), tmp_path / "few", "prepare")
    assert (folds_of(tmp_path / "many"), folds_of(tmp_path / "few")) == (None, 5)


@pytest.mark.parametrize(("n", "expected"), [(6, 5), (4, None)])
def test_very_few_images_get_fewer_folds(tiny_study, tmp_path: Path, n: int, expected: int | None) -> None:
    run(open_study(tiny_study, n=n), tmp_path / "run", "prepare")
    assert folds_of(tmp_path / "run") == expected


def test_pairs_of_one_image_count_once(tiny_study, tmp_path: Path) -> None:
    path = open_study(tiny_study, n=40)
    rows = [json.loads(line) for line in path.with_name("rows.jsonl").read_text().splitlines()]
    rows = [row | {"group": str(number // 10)} for number, row in enumerate(rows)]
    path.with_name("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run(path, tmp_path / "run", "prepare")
    decided = json.loads((tmp_path / "run" / "folds.json").read_text())
    assert decided["n_images"] == 4
    assert decided["folds"] < 5, "a fold has at least one group"


def test_a_units_stage_ends_every_fold(tiny_study, tmp_path: Path) -> None:
    path, folder = open_study(tiny_study, keep_models=True), tmp_path / "run"
    assert run(path, folder, "baselines") == folder
    units = sorted((folder / "units").iterdir())
    assert len(units) == 5
    assert all((unit / "baselines").is_dir() and not (unit / "teacher").exists() for unit in units)
    written = (units[0] / "stages" / "baselines.json").stat().st_mtime_ns
    run(path, folder, "s0_f0")
    assert (units[0] / "stages" / "baselines.json").stat().st_mtime_ns == written
    assert (units[0] / "unit.json").is_file()


def test_unknown_stages_are_refused_before_reading(tiny_study, tmp_path: Path) -> None:
    with pytest.raises(EmocapError, match=r"--until techer: no such stage; this study has prepare, .*s0_f4"):
        run(open_study(tiny_study), tmp_path / "run", "techer")
    assert not (tmp_path / "run").exists()


def test_a_fold_of_one_split_is_refused(tiny_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds_module, "FEW_IMAGES", 10)
    with pytest.raises(EmocapError, match="--until s0_f4: no such stage"):
        run(open_study(tiny_study), tmp_path / "run", "s0_f4")


def test_a_unit_that_runs_outdates_the_results(tiny_study, tmp_path: Path) -> None:
    path, folder = open_study(tiny_study), tmp_path / "run"
    run(path, folder, "prepare")
    (folder / "results.json").write_text("{}")
    run(path, folder, "splits")
    assert not (folder / "results.json").exists()
