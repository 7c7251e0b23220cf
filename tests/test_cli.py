"""The command line as a user meets it: help, answers, and one line for what goes wrong."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emocap.cli import main
from emocap.corpora import scenes
from emocap.progress import logger
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model

COMMANDS = ("demo", "run", "label", "evaluate", "predict", "report", "download")


def emocap(*arguments, cwd=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "emocap", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def model_folder(tiny_model, tiny_bert, vocabulary, tmp_path) -> Path:
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "teacher")
    save_model(tmp_path / "teacher" / "model", tiny_model, load_tokenizer(tiny_bert), card)
    return tmp_path / "teacher"


def test_help_names_every_command() -> None:
    done = emocap("--help")
    assert done.returncode == 0
    found = set(re.findall(r"^\W*(\w+) ", plain(done.stdout), re.M))
    assert set(COMMANDS) <= found


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "pyarrow", "numpy")
    code = f"import sys\nfrom emocap import cli\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = emocap(command, "--help")
    assert done.returncode == 0
    assert len(plain(done.stdout).split()) > 20


def test_predict_a_caption(model_folder) -> None:
    done = emocap("predict", "--model", model_folder, "a dog waits alone", "--top", 2)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert {line.split()[-1] for line in lines} < {"happy", "sad", "awe"}


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
    assert all(len(row["emotions"]) == 2 and len(row["probabilities"]) == 3 for row in rows)
    jsonl = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["emotions"] for row in jsonl] == [row["emotions"] for row in rows]
    assert jsonl[0]["happy"] == pytest.approx(rows[0]["probabilities"][0], abs=1e-5)
    done = emocap("evaluate", "--model", model_folder, "--data", data)
    assert done.returncode == 0, done.stderr
    assert re.search(r"teacher\W+(\d\.\d{3}\W+){7}", done.stdout)
    assert "recall@3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--model", "nowhere", "text"], "nowhere: not a model folder"),
        (["predict", "--model", "{model}", "  "], "the caption is empty"),
        (["predict", "--model", "{model}", "none.jpg", "text"], "learnt from captions alone"),
        (["predict", "--model", "{model}", "a", "b", "c"], "put the caption in quotes"),
        (["run", "none.yaml"], "none.yaml: no such file"),
        (["predict", "--model", "a" * 400, "text"], "File name too long"),
        (["predict", "--model", "{model}", "\udcff"], "not Unicode text"),
        (["label", "--model", "{model}", "--data", "/dev/null", "--out", "x.csv"], "/dev/null: not a file"),
        (["report", "nowhere"], "nowhere: no such run directory"),
        (["download", "imagenet"], "imagenet"),
        (["evaluate", "--model", "{model}", "--data", "none.csv"], "none.csv"),
        (["evaluate", "--model", "{model}", "--data", "{foreign}"], "emotions 'bored' are not in the vocabulary"),
        (["evaluate", "--model", "{model}", "--data", "{unlabelled}"], "no emotions; labelled pairs are needed"),
        (["label", "--model", "{model}", "--data", "{foreign}", "--out", "x.xlsx"], "ending is '.xlsx'"),
        (
            ["label", "--model", "{model}", "--data", "{foreign}", "--images", "none", "--out", "x.csv"],
            "none: no such folder",
        ),
    ],
)
def test_bad_input_is_one_line_and_a_code(
    model_folder, tmp_path, monkeypatch, capsys, arguments: list[str], message: str
) -> None:
    (tmp_path / "foreign.csv").write_text("caption,emotions\ntext,bored\n")
    (tmp_path / "unlabelled.csv").write_text("caption\ntext\n")
    places = {"model": model_folder, "foreign": tmp_path / "foreign.csv", "unlabelled": tmp_path / "unlabelled.csv"}
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(sys, "argv", ["emocap", *(argument.format(**places) for argument in arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    told = capsys.readouterr().err
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_the_traceback(tmp_path) -> None:
    done = emocap("--debug", "run", "none.yaml", cwd=tmp_path)
    assert "Traceback" in done.stderr
    assert done.returncode != 0


def test_the_demo_from_its_command(tiny_bert, tmp_path, monkeypatch, capsys) -> None:
    small = partial(scenes.write_demo_corpora, n_target=80, n_source_images=20)
    monkeypatch.setattr(scenes, "write_demo_corpora", small)
    monkeypatch.setattr(logger, "handlers", [])
    settings = [f"model.backbone={tiny_bert}", "min_count=15", "model.max_length=16", "teacher.epochs=1"]
    options = [word for setting in settings for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", ["emocap", "demo", "--run-dir", str(tmp_path / "a run #1"), *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for model in ("prior", "teacher", "student", "AnB", "AnB+", "ceiling"):
        assert re.search(rf"{re.escape(model)}\W+(\d\.\d{{3}}\W+){{7}}", shown)
    assert "report.html" in shown.replace("\n", "")
    results = json.loads((tmp_path / "a run #1" / "results.json").read_text())
    assert results["ceiling"]["mean_average_precision"] > results["models"]["prior"]["mean_average_precision"]
    assert (tmp_path / "a run #1" / "corpora" / "socratis" / "oracle.parquet").is_file()
