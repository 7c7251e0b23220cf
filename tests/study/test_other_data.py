"""A study on data as people have them: rows without an emotion, ratings in rows, its own split, images in cells."""

import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study

SHORT = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 16}


def run(path, folder, until=None):
    return run_study(load_config(path), folder, report=write_report, until=until)


def rows_of(corpora) -> list[dict]:
    return [row for line in (corpora / "pairs.jsonl").read_text().splitlines() if (row := json.loads(line))["caption"]]


@pytest.fixture
def table(tiny_corpora, tmp_path):
    """Writes the rows of a target; the source is that of the tiny corpora."""

    def write(rows: list[dict]) -> dict:
        path = tmp_path / "target.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return {"format": "table", "path": str(path), "images": str(tiny_corpora / "target")}

    return write


def test_negatives_go_through_every_stage(tiny_corpora, tiny_study, table, tmp_path, caplog) -> None:
    rows = rows_of(tiny_corpora)
    for row in rows[::4]:
        row["emotions"] = []
    captioner = {"held_out_images": 8, "guidance": [1.0], "strength": [0.0], "candidates": 2, "judge": "tfidf",
                 "training": SHORT | {"epochs": 1}}  # fmt: skip
    study = tiny_study(target=table(rows), teacher=SHORT, captioner=captioner, transfer={"AnB": SHORT, "AnB+": SHORT})
    with caplog.at_level(logging.INFO, logger="emocap"):
        run(study, tmp_path / "run")
    manifest, results = read_json(tmp_path / "run/manifest.json"), read_json(tmp_path / "run/results.json")
    assert manifest["data"]["target"]["without_emotion"] == 30
    assert sum(manifest["data"]["target"][part] for part in ("train", "validation", "test")) == 120
    assert "30 of 120 pairs name none of the 3 emotions and are kept as pairs that evoke none of them" in caplog.text
    assert results["n_test_pairs"] == 24
    page = (tmp_path / "run/report.html").read_text()
    assert "30 of 120 pairs (25%) evoke none of the emotions" in page
    assert "2 of the target’s 120 images (2%) are missing or unusable" in page


def test_dropped_negatives_leave_the_study(tiny_corpora, tiny_study, table, tmp_path) -> None:
    rows = rows_of(tiny_corpora)
    for row in rows[::4]:
        row["emotions"] = []
    study = tiny_study(target=table(rows) | {"negatives": "drop"}, source=None)
    run(study, tmp_path / "run", until="splits")
    sizes = read_json(tmp_path / "run/manifest.json")["data"]["target"]
    assert (sizes["labelled"], sizes["without_emotion"], sizes["pairs"]) == (90, 30, 120)


def test_ratings_in_rows_give_votes_and_human_agreement(tiny_corpora, tiny_study, table, tmp_path) -> None:
    rows = [
        row | {"emotion": emotion, "rater": rater, "emotions": None}
        for row in rows_of(tiny_corpora)
        for rater, emotion in enumerate([row["emotions"][0], row["emotions"][-1], "happy"])
    ]
    for row in rows:
        del row["emotions"]
    study = tiny_study(target=table(rows), source=None, label_aggregation="votes", teacher=SHORT)
    run(study, tmp_path / "run")
    results = read_json(tmp_path / "run/results.json")
    assert read_json(tmp_path / "run/manifest.json")["data"]["target"]["labelled"] == 120
    assert results["human"] is not None


def test_own_split_is_used_and_can_be_overridden(tiny_corpora, tiny_study, table, tmp_path, caplog) -> None:
    rows = rows_of(tiny_corpora)
    for number, row in enumerate(rows):
        row["split"] = "test" if number % 6 == 0 else "train"
        row["caption"] += f" {number}"
    rows[1]["caption"] = rows[0]["caption"]  # a training caption that is tested too
    path = tiny_study(target=table(rows), source=None)
    with caplog.at_level(logging.INFO, logger="emocap"):
        run(path, tmp_path / "run", until="splits")
    own = read_json(tmp_path / "run/splits.json")
    assert set(own["parts"]["test"]) == {f"{number}.jpg" for number in range(0, 120, 6)}
    assert len(own["left_out"]) == 1
    assert "1 pairs are left out" in caplog.text
    path = tiny_study(target=table(rows), source=None, splits={"corpus_split": False})
    run(path, tmp_path / "drawn", until="splits")
    drawn = read_json(tmp_path / "drawn/splits.json")
    assert {part: size["images"] for part, size in drawn["sizes"].items()} == {
        "train": 84,
        "validation": 12,
        "test": 24,
    }
    assert drawn["left_out"] == []


def test_images_in_cells_are_features_of_a_study(tiny_corpora, tiny_study, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))
    rows = rows_of(tiny_corpora)[3:]
    for row in rows:
        path = tiny_corpora / "target" / row["image"]
        row["image"] = {"bytes": path.read_bytes(), "path": row["image"]}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "target.parquet")
    study = tiny_study(target={"format": "table", "path": str(tmp_path / "target.parquet")}, source=None, teacher=SHORT)
    run(study, tmp_path / "run")
    assert read_json(tmp_path / "run/manifest.json")["data"]["target"]["images_missing"] == 0
    assert read_json(tmp_path / "run/results.json")["modality_ablation"] is not None


def test_limited_captions_alone(tiny_study, tmp_path, tiny_corpora) -> None:
    moods = {"format": "table", "path": "moods.jsonl", "limit_images": 60}
    run(tiny_study(target=moods, source=None, features=None), tmp_path / "run", until="prepare")
    assert read_json(tmp_path / "run/data.json")["data"]["target"]["pairs"] == 60


def test_part_without_any_emotion_is_refused(tiny_corpora, tiny_study, table, tmp_path) -> None:
    rows = rows_of(tiny_corpora)
    for row in rows[2:]:
        row["emotions"] = []
    with pytest.raises(EmocapError, match=r"splits: none of the \d+ \w+ pairs has an emotion"):
        run(tiny_study(target=table(rows), source=None), tmp_path / "run", until="splits")


def test_images_of_which_none_exists_are_refused(tiny_corpora, tiny_study, table, tmp_path) -> None:
    target = table(rows_of(tiny_corpora)) | {"images": str(tmp_path)}
    with pytest.raises(EmocapError, match="holds none of the 120 images that are named, such as"):
        run(tiny_study(target=target, source=None), tmp_path / "run", until="features")
    assert not (tmp_path / "run/features").exists()
