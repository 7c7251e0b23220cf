"""The commands that use a classifier: predict, explain, label and evaluate."""

import json
import re

import pyarrow.parquet as pq
import pytest
from PIL import Image

from ..classifiers.folders import write_baseline
from .process import emocap, emocap_process


def test_predict_prints_top_emotions_of_a_caption(model_folder) -> None:
    done = emocap_process("predict", "--model", model_folder, "a dog waits alone", "--top", 2)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    percentages = [float(line.split("%")[0]) for line in lines]
    assert percentages == sorted(percentages, reverse=True)
    assert {line.split()[-1] for line in lines} < {"happy", "sad", "awe"}


def test_refuses_more_emotions_than_the_model_knows(model_folder) -> None:
    done = emocap_process("predict", "--model", model_folder, "--top", 99, "a dog")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--top 99: the model knows 3 emotions" in done.stderr


def test_image_refusal_names_a_model_that_uses_images(model_folder, pixel, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.json").write_text("{}")
    model_folder.rename(run / "teacher")
    (tmp_path / "p.png").write_bytes(pixel)
    (tmp_path / "lines.txt").write_text("a dog\n")
    card = json.loads((run / "teacher" / "model" / "emocap.json").read_text())
    features = {"fingerprint": "0", "extractor": "grid", "settings": {}, "dim": 8}
    for name, changes in (("AnB", {"labels": ["joy"]}), ("AnB+", {})):
        (run / name / "model").mkdir(parents=True)
        (run / name / "model" / "emocap.json").write_text(json.dumps(card | {"features": features} | changes))
    for command in (
        ["predict", "p.png", "a dog"],
        ["explain", "p.png", "a dog"],
        ["rank", "p.png", "lines.txt", "-e", "sad"],
    ):
        done = emocap(command[0], "--model", "run/teacher", *command[1:])
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.endswith("cannot use an image; leave it out, or use --model run/AnB+"), command


def test_caption_refusal_names_a_model_of_captions(model_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.json").write_text("{}")
    model_folder.rename(run / "teacher")
    card = json.loads((run / "teacher" / "model" / "emocap.json").read_text())
    probe = run / "baselines" / "image_probe" / "model"
    probe.mkdir(parents=True)
    features = {"fingerprint": "0", "extractor": "grid", "settings": {}, "dim": 8}
    (probe / "emocap.json").write_text(json.dumps(card | {"features": features, "uses_captions": False}))
    for command in ("predict", "explain"):
        done = emocap(command, "--model", "run/baselines/image_probe", "a dog")
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.endswith("cannot predict from a caption; give an image, or use --model run/teacher")


def test_explain_prints_words_and_writes_image(model_folder, tmp_path) -> None:
    done = emocap(
        "explain", "--model", model_folder, "the dog\x1bc waits", "--emotion", "sad", "--out", tmp_path / "a.png"
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "contains control characters" in done.stderr
    assert re.search(r"^ +[+-][0-9.]+  waits$", done.stdout, re.M)
    parts = [float(line.split()[0]) for line in done.stdout.splitlines() if re.match(r" +[+-]\d\.\d\d  ", line)]
    log_odds, baseline = map(float, re.findall(r"(?:log-odds|empty\)) (-?[0-9.]+)", done.stdout))
    assert "error of the numerical integration and of rounding" in done.stdout
    assert sum(parts) == pytest.approx(log_odds - baseline, abs=1e-9)
    assert "-0.0 points" not in done.stdout
    assert re.search(r'points  leave out "waits"$', done.stdout, re.M)
    assert re.search(r'points  replace "waits" by "\w+"$', done.stdout, re.M)
    assert Image.open(tmp_path / "a.png").width > 300


def test_explain_says_what_it_leaves_out_and_what_the_baseline_is(model_folder, monkeypatch) -> None:
    monkeypatch.setattr("emocap.api.explanation.MAX_WORDS", 2)
    done = emocap("explain", "--model", model_folder, "a dog waits alone")
    assert done.returncode == 0, done.stderr
    assert "emocap: only the first 2 of 4 words are reworded" in done.stderr.splitlines()
    assert "baseline (every word masked, every region empty)" in done.stdout


def test_caption_may_be_longer_than_the_name_of_a_file(model_folder) -> None:
    done = emocap("predict", "--model", model_folder, "dog " * 70)
    assert done.returncode == 0, done.stderr


def test_explain_never_overwrites_image_and_requires_caption(model_folder, pixel, tmp_path) -> None:
    image = tmp_path / "p.png"
    image.write_bytes(pixel)
    done = emocap("explain", "--model", model_folder, image, "a dog", "--out", image)
    assert (done.returncode, "is the image itself" in done.stderr) == (1, True)
    assert image.read_bytes() == pixel
    for command in ("explain", "predict"):
        done = emocap(command, "--model", model_folder, image)
        assert done.returncode == 1
        assert "was trained on captions only; give a caption" in done.stderr


def test_predict_table_writes_rejected_rows(model_folder, tmp_path) -> None:
    (tmp_path / "in.csv").write_text("caption\nthe dog\n  \nlost storm\n")
    command = ["predict", "--model", model_folder, "--input", tmp_path / "in.csv"]
    done = emocap(*command, "--output", tmp_path / "out.csv", "--top", 2)
    assert done.returncode == 0, done.stderr
    assert "2 pairs" in done.stdout
    assert "caption is empty" in (tmp_path / "out-rejected.csv").read_text()
    assert "takes --output" in emocap(*command).stderr
    assert "takes a caption" in emocap("predict", "--model", model_folder).stderr


def test_predict_guesses_the_format(model_folder, tmp_path) -> None:
    coco = {
        "images": [{"id": 7, "file_name": "07.jpg"}],
        "annotations": [{"id": 9, "image_id": 7, "caption": "the dog"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(coco))
    (tmp_path / "tokens.token").write_text("07.jpg#0\tthe dog\n07.jpg#1\tlost storm\n")
    (tmp_path / "table.csv").write_text("image_name,text,emotions,caption\na.jpg,lost storm,3.5,no\n")
    out = tmp_path / "out.jsonl"
    command = ["predict", "--model", model_folder, "--output", out, "--input"]
    for name, options, captions in (
        ("captions.json", [], ["the dog"]),
        ("tokens.token", [], ["the dog", "lost storm"]),
        ("table.csv", ["--columns", "image=image_name,caption=text,pair_id=emotions"], ["no"]),
    ):
        done = emocap(*command, tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["caption"] for line in out.read_text().splitlines()] == captions


def test_label_and_evaluate_a_table(model_folder, tmp_path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text("caption,emotions\na dog waits,happy\nthe storm,sad|awe\n,sad\nnight,happy\n")
    for ending in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"out.{ending}"
        done = emocap("label", "--model", model_folder, "--data", data, "--out", out, "--p", 2)
        assert done.returncode == 0, done.stderr
        assert "3 pairs" in done.stdout
        assert "caption is empty" in done.stderr
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["caption"] for row in rows] == ["a dog waits", "the storm", "night"]
    assert [row["emotions"] for row in rows] == ["happy", "sad|awe", "happy"]
    assert all(len(row["emotions_emocap"]) == 2 and len(row["probabilities"]) == 3 for row in rows)
    jsonl = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["emotions_emocap"] for row in jsonl] == [row["emotions_emocap"] for row in rows]
    assert jsonl[0]["happy"] == pytest.approx(rows[0]["probabilities"][0], abs=1e-5)
    done = emocap("evaluate", "--model", model_folder, "--data", data)
    assert done.returncode == 0, done.stderr
    assert re.search(r"teacher\W+(\d\.\d{3}\W+){5}", done.stdout)
    assert "recall@3" not in done.stdout, "it is 1 for every model of three emotions"
    assert re.search(
        r"measured on .*pairs.csv: 3 pairs, no images, 3 emotions; emocap .* with hash [0-9a-f]{16}$", done.stdout, re.M
    )


def test_parts_of_a_deletion_sum_too(tmp_path) -> None:
    write_baseline(tmp_path / "tfidf" / "model", "tfidf")
    done = emocap("explain", "--model", tmp_path / "tfidf", "a party in the storm")
    assert done.returncode == 0, done.stderr
    parts = [float(line.split()[0]) for line in done.stdout.splitlines() if re.match(r" +[+-]\d\.\d\d  ", line)]
    log_odds, baseline = map(float, re.findall(r"(?:log-odds|image\)) (-?[0-9.]+)", done.stdout))
    assert "joint effects, since each part is left out alone" in done.stdout
    assert sum(parts) == pytest.approx(log_odds - baseline, abs=1e-9)
