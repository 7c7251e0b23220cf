"""The command line as a user meets it: help, answers, and one line for what goes wrong."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from emocap.cli.main import main
from emocap.demo import corpora as scenes
from emocap.progress import logger
from emocap.regions.store.reader import FeatureStore
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
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
    "store",
    "report",
    "download",
)


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


def test_explain_a_caption(model_folder, tmp_path) -> None:
    done = emocap(
        "explain", "--model", model_folder, "the dog\x1bc waits", "--emotion", "sad", "--out", tmp_path / "a.png"
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "holds control characters" in done.stderr
    assert re.search(r"^ +[+-][0-9.]+  waits$", done.stdout, re.M)
    assert re.search(r"points  without waits$", done.stdout, re.M)
    assert Image.open(tmp_path / "a.png").width > 300


def test_explain_keeps_the_picture_and_asks_for_a_forgotten_caption(model_folder, tmp_path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(PIXEL)
    done = emocap("explain", "--model", model_folder, picture, "a dog", "--out", picture)
    assert (done.returncode, "is the picture itself" in done.stderr) == (1, True)
    assert picture.read_bytes() == PIXEL
    for command in ("explain", "predict"):
        done = emocap(command, "--model", model_folder, picture)
        assert done.returncode == 1
        assert f"is a file; give {command} a caption" in done.stderr


def test_predict_a_table_sets_aside_what_it_cannot_use(model_folder, tmp_path) -> None:
    (tmp_path / "in.csv").write_text("caption\nthe dog\n  \nlost storm\n")
    how = ["predict", "--model", model_folder, "--input", tmp_path / "in.csv"]
    done = emocap(*how, "--output", tmp_path / "out.csv", "--top", 2)
    assert done.returncode == 0, done.stderr
    assert "2 pairs" in done.stdout
    assert "caption is empty" in (tmp_path / "out-aside.csv").read_text()
    assert "takes --output" in emocap(*how).stderr
    assert "takes a caption" in emocap("predict", "--model", model_folder).stderr


def test_rank_texts_by_a_classifier(model_folder, tmp_path) -> None:
    (tmp_path / "texts.txt").write_text("a dog waits alone\n\n  the child celebrates\nlost storm\n")
    done = emocap("rank", "--model", model_folder, tmp_path / "texts.txt", "--emotion", "sad", "--max-chars", 17)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[2].endswith("%    the child celebrates  [5 characters too long]"), "unchanged, commented, last"
    shares = [float(line.split()[1].rstrip("%")) for line in lines[:2]]
    assert shares == sorted(shares, reverse=True)


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


def test_features_are_extracted_checked_exported_and_imported(detector_folder, tmp_path) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "names.txt").write_text("0.png\nbad.jpg\ngone.png\n")
    weights = f"frcnn-vg:{detector_folder}"
    done = emocap(
        "extract",
        tmp_path,
        "--extractor",
        weights,
        "--set",
        "max_boxes=4",
        "--set",
        "min_boxes=4",
        "--out",
        tmp_path / "all",
    )
    assert done.returncode == 0, done.stderr
    assert "all: 3 images, 0 missing, 1 set aside" in done.stdout
    assert "features: 4 images in " in done.stderr
    done = emocap(
        "extract", tmp_path, "--list", tmp_path / "names.txt", "--extractor", "grid", "--out", tmp_path / "some"
    )
    assert "some: 1 images, 1 missing, 1 set aside" in done.stdout
    done = emocap("store", "info", tmp_path / "all")
    assert re.search(r"^regions +12, 4 to 4 an image$", done.stdout, re.M)
    assert re.search(r"^extractor +frcnn-vg$", done.stdout, re.M)
    assert "all: 3 images, 9 files as they were written" in emocap("store", "verify", tmp_path / "all").stdout
    done = emocap("store", "export", tmp_path / "all", "--format", "lxmert", "--out", tmp_path / "all.tsv")
    assert done.stdout.strip() == f"{tmp_path / 'all.tsv'}: 3 images"
    done = emocap(
        "store", "import", tmp_path / "all.tsv", "--name", "all", "--key", "{id}.png", "--out", tmp_path / "again"
    )
    assert "again: 3 images, 0 set aside" in done.stdout, done.stderr
    ours, again = FeatureStore.open(tmp_path / "all"), FeatureStore.open(tmp_path / "again")
    assert ours.images == again.images == ["0.png", "1.png", "2.png"]
    assert all((ours[image][0] == again[image][0]).all() for image in ours.images)
    assert ours.kind != again.kind
    data = bytearray((tmp_path / "all/features-00000.npy").read_bytes())
    data[-4] ^= 1
    (tmp_path / "all/features-00000.npy").write_bytes(data)
    done = emocap("store", "verify", tmp_path / "all")
    assert done.returncode == 1
    assert "the file has changed since it was written" in done.stderr


def test_regions_are_shown_on_the_picture(detector_folder, tmp_path) -> None:
    Image.new("RGB", (90, 60), "orange").save(tmp_path / "a.png")
    done = emocap("extract", "--show", "a.png", "--extractor", f"frcnn-vg:{detector_folder}", cwd=tmp_path)
    assert re.fullmatch(r"a-regions\.png: \d regions\n", done.stdout), done.stderr
    with Image.open(tmp_path / "a-regions.png") as picture:
        assert picture.size == (640, 427)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extract", "--extractor", "grid"], "extract takes a folder of images and --out STORE, or --show IMAGE"),
        (["extract", "none", "--extractor", "grid", "--out", "s"], "none: no such folder"),
        (["extract", ".", "--extractor", "gird", "--out", "s"], "extractor is 'gird', expected one of grid, frcnn-vg"),
        (["extract", ".", "--extractor", "vit", "--out", "s"], "setting 'weights' is missing"),
        (["extract", ".", "--extractor", "grid", "--set", "rows", "--out", "s"], "expected KEY.KEY=VALUE"),
        (["extract", ".", "--extractor", "grid", "--out", "."], ".: exists and is no feature store"),
        (["extract", ".", "--show", "a.png"], "or --show a.png, not both"),
        (["extract", "--workers", "2", "--show", "a.png"], "have no use with --show; leave them out"),
        (["extract", "--extractor", "frcnn-vg:none", "--show", "pixel.png"], "none: not in the hub's cache"),
        (["extract", "--extractor", "grid", "--show", "none.png"], "none.png: no such image"),
        (["extract", ".", "--list", "empty.txt", "--extractor", "grid", "--out", "s"], "empty.txt: names no images"),
        (["store", "info", "none"], "none: no feature store"),
        (["store", "export", "none", "--format", "tsv", "--out", "x"], "none: no feature store"),
        (["store", "import", "none.tsv", "--name", "x", "--out", "x"], "none.tsv: no such file"),
        (["store", "import", "foreign.csv", "--name", "x", "--out", "x"], "foreign.csv"),
        (
            ["label", "--model", "{model}", "--data", "{foreign}", "--features", "none", "--out", "x.csv"],
            "none: no feature store",
        ),
        (["predict", "--model", "nowhere", "text"], "nowhere: not a model folder"),
        (["predict", "--model", "{model}", "  "], "the caption is empty"),
        (["predict", "--model", "{model}", "none.jpg", "text"], "learnt from captions alone"),
        (["predict", "--model", "{model}", "a", "b", "c"], "put the caption in quotes"),
        (["caption", "--model", "{model}", "pixel.png", "-e", "sad"], "holds no captioner"),
        (
            ["caption", "--model", "nowhere", "pixel.png", "-e", "sad", "--writer", "none"],
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
def test_bad_input_is_one_line_and_a_code(
    model_folder, tmp_path, monkeypatch, capsys, arguments: list[str], message: str
) -> None:
    (tmp_path / "foreign.csv").write_text("caption,emotions\ntext,bored\n")
    (tmp_path / "unlabelled.csv").write_text("caption\ntext\n")
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    (tmp_path / "empty.txt").write_text("\n")
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
