"""Help, the version, shell completion, and one line for whatever goes wrong."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from unittest import mock

import pytest

from emocap.cli.main import main
from emocap.cli.signals import Stopped
from emocap.progress import logger

from .process import emocap, emocap_process, plain

COMMANDS = (
    "demo",
    "run",
    "label",
    "evaluate",
    "predict",
    "explain",
    "caption",
    "rank",
    "extract",
    "serve",
    "store",
    "report",
    "compare",
    "download",
)


def test_help_lists_every_command() -> None:
    done = emocap("--help")
    assert done.returncode == 0
    listed = set(re.findall(r"^\W*(\w+) ", plain(done.stdout), re.M))
    assert set(COMMANDS) <= listed


def test_cli_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "pyarrow", "numpy", "gradio", "fastapi")
    code = f"import sys\nimport emocap.cli.main\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_version_is_printed() -> None:
    done = emocap_process("--version")
    assert (done.returncode, done.stdout) == (0, f"emocap {version('emocap')}\n")


def test_shell_completion_offers_the_commands() -> None:
    code = "import sys\nfrom emocap.cli.main import main\nsys.argv[0] = 'emocap'\nmain()"
    environment = {"_EMOCAP_COMPLETE": "complete_bash", "COMP_WORDS": "emocap ex", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment)
    assert done.stdout.split() == ["explain", "extract"], done.stderr
    assert {"--install-completion", "--show-completion"} <= set(plain(emocap("--help").stdout).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = emocap(command, "--help")
    assert done.returncode == 0
    assert len(plain(done.stdout).split()) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "--extractor", "grid"], "extract takes a folder of images and --out STORE, or --show IMAGE"),
        (["extract", "none", "--extractor", "grid", "--out", "s"], "none: no such folder"),
        (["extract", ".", "--extractor", "gird", "--out", "s"], "extractor is 'gird', expected one of grid, frcnn-vg"),
        (["extract", ".", "--extractor", "vit", "--out", "s"], "setting 'weights' is missing"),
        (["extract", ".", "--extractor", "grid", "--set", "rows", "--out", "s"], "expected KEY.KEY=VALUE"),
        (["extract", ".", "--extractor", "grid", "--out", "."], ".: exists and is not a feature store"),
        (["extract", ".", "--show", "a.png"], "or --show a.png, not both"),
        (["extract", "--workers", "2", "--show", "a.png"], "have no effect with --show; leave them out"),
        (["extract", "--extractor", "frcnn-vg:none", "--show", "pixel.png"], "none: not in the hub's cache"),
        (["extract", "--extractor", "grid", "--show", "none.png"], "none.png: no such image"),
        (["extract", ".", "--list", "empty.txt", "--extractor", "grid", "--out", "s"], "empty.txt: names no images"),
        (["store", "info", "none"], "none: not a feature store"),
        (["store", "export", "none", "--format", "tsv", "--out", "x"], "none: not a feature store"),
        (["store", "import", "none.tsv", "--name", "x", "--out", "x"], "none.tsv: no such file"),
        (["store", "import", "foreign.csv", "--name", "x", "--out", "x"], "foreign.csv"),
        (
            ["label", "--model", "{model}", "--data", "{foreign}", "--features", "none", "--out", "x.csv"],
            "none: not a feature store",
        ),
        (["predict", "--model", "nowhere", "text"], "nowhere: no such folder"),
        (["predict", "--model", "{model}", "  "], "the caption is empty"),
        (["predict", "--model", "{model}", "none.jpg", "text"], "was trained on captions only"),
        (["predict", "--model", "{model}", "a", "b", "c"], "put the caption in quotes"),
        (["caption", "--model", "{model}", "pixel.png", "-e", "sad"], "contains no captioner"),
        (
            ["caption", "--model", "{model}", "pixel.png", "-e", "sad", "--writer", "none"],
            "none: not in the hub's cache",
        ),
        (["rank", "--model", "{model}", "foreign.csv", "-e", "bored"], "'bored': not an emotion of this model"),
        (["rank", "--model", "{model}", "empty.txt", "-e", "sad"], "empty.txt: holds no captions"),
        (["rank", "--model", "{model}", "none.txt", "-e", "sad"], "none.txt: no such file"),
        (["rank", "--model", "{model}", "a", "b", "c", "-e", "sad"], "found 3 paths"),
        (["rank", "--model", "{model}", "foreign.csv", "-e", "sad", "--clip", "none"], "none: not in the hub's cache"),
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
def test_bad_input_is_one_line_and_status_1(
    model_folder, pixel, tmp_path, monkeypatch, capsys, arguments: list[str], message: str
) -> None:
    (tmp_path / "foreign.csv").write_text("caption,emotions\ntext,bored\n")
    (tmp_path / "unlabelled.csv").write_text("caption\ntext\n")
    (tmp_path / "pixel.png").write_bytes(pixel)
    (tmp_path / "empty.txt").write_text("\n")
    paths = {"model": model_folder, "foreign": tmp_path / "foreign.csv", "unlabelled": tmp_path / "unlabelled.csv"}
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(sys, "argv", ["emocap", *(argument.format(**paths) for argument in arguments)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_the_traceback(tmp_path) -> None:
    done = emocap_process("--debug", "run", "none.yaml", cwd=tmp_path)
    assert "Traceback" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("run", "study.yaml"), "; run the same command again to resume"),
        (("--debug", "curve", "study.yaml"), "; run the same command again to resume"),
        (("predict", "--model", "run", "a dog"), ""),
    ],
)
def test_only_commands_that_resume_are_said_to(monkeypatch, arguments, hint) -> None:
    monkeypatch.setattr("emocap.cli.main.app", mock.Mock(side_effect=Stopped(signal.SIGINT)))
    monkeypatch.setattr("emocap.cli.main.end_soon", mock.Mock())
    done = emocap(*arguments)
    assert (done.returncode, done.stderr) == (130, f"emocap: stopped by SIGINT{hint}\n")
