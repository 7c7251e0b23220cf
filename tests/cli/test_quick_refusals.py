"""A wrong path, column, option, format or model folder is refused before torch and its like are imported."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from emocap.emotions import Vocabulary
from emocap.models.initialisation import build_config, load_backbone
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model

HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "gradio")
# Runs commands one after the other, each with the status and the errors of a process of its own.
CODE = f"""
import contextlib, io, json, sys

class HeavyImport(BaseException):
    pass

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise HeavyImport(name)

sys.meta_path.insert(0, Refuse())
from emocap.cli.main import main
from emocap.progress import logger

results = []
for arguments in json.load(sys.stdin):
    errors, status = io.StringIO(), 0
    sys.argv = ["emocap", *arguments]
    logger.handlers.clear()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
        try:
            main()
        except SystemExit as stopped:
            status = stopped.code
        except HeavyImport as imported:
            status = f"imported {{imported}}"
    results.append([status, errors.getvalue()])
print(json.dumps(results))
"""
MODEL, DATA = ("--model", "teacher"), ("--data", "pairs.csv")
PREDICT, LABEL = ("predict", *MODEL, "--input"), ("label", *MODEL, "--data")


CASES = [
    (["predict", "--model", "nowhere", "a dog"], "nowhere: no such folder"),
    (["predict", "--model", "images", "a dog"], "images: not a model folder"),
    (["predict", *MODEL, "  "], "the caption is empty"),
    (["predict", *MODEL, "pixel.png", "a dog"], "captions only"),
    (["rank", *MODEL, "pixel.png", "pairs.csv", "-e", "sad"], "captions only and cannot use an image; leave it out"),
    ([*PREDICT, "none.csv", "--output", "o.csv"], "none.csv: cannot be opened"),
    ([*PREDICT, "pairs.csv", "--output", "o.csv", "--columns", "caption=text"], "has no column 'text'"),
    ([*PREDICT, "pairs.csv", "--output", "o.csv", "--top", "99"], "--top 99: the model knows 3 emotions"),
    ([*PREDICT, "pairs.csv", "--output", "o.xlsx"], "ending is '.xlsx'"),
    ([*PREDICT, "pairs.csv", "--output", "images/../pairs.csv"], "is the corpus that is to be labelled"),
    ([*PREDICT, "pairs.csv", "--output", "pairs.csv/out.csv"], "pairs.csv is not a folder"),
    ([*PREDICT, "pairs.csv", "--output", "mine.csv"], "mine-rejected.csv: exists and is not a file"),
    ([*PREDICT, "pairs.csv", "--output", "o.csv", "--images", "gone"], "gone: no such folder of images"),
    ([*LABEL, "pairs.csv", "--out", "images"], "ending is ''"),
    ([*LABEL, "pairs.csv", "--out", "o.csv", "--format", "tabel"], "format is 'tabel'"),
    ([*LABEL, "pairs.csv", "--out", "o.csv", "--features", "gone"], "gone: not a feature store"),
    ([*LABEL, "pairs.csv", "--out", "o.csv", "--p", "4"], "--p 4: the model knows 3 emotions"),
    (["evaluate", *MODEL, "--data", "none.csv"], "none.csv: cannot be opened"),
    (["evaluate", *MODEL, "--data", "foreign.csv"], "foreign.csv: emotions 'bored' are not"),
    (["evaluate", *MODEL, *DATA, "--map", "happy=joyful"], "does not know 'joyful'"),
    (["evaluate", *MODEL, "--data", "foreign.csv", "--labels", "common"], "no pair has an emotion that the model"),
    (["evaluate", *MODEL, *DATA, "--label-separator", ""], "label_separator is empty"),
    (["explain", *MODEL, "a dog", "--out", "why.pdf"], "expected .html or .png"),
    (["explain", *MODEL, "a dog", "--out", "pairs.csv/why.png"], "pairs.csv is not a folder"),
    (["explain", *MODEL, "a dog", "--emotion", "bored"], "'bored': not an emotion of this model"),
    (["rank", *MODEL, "none.txt", "-e", "sad"], "none.txt: no such file"),
    (["rank", *MODEL, "gone.png", "captions.txt", "-e", "sad"], "gone.png: no such image"),
    (["rank", *MODEL, "captions.txt", "-e", "sad", "--avoid", "sad"], "both a target emotion and"),
    (["rank", "--model", "nowhere", "captions.txt", "-e", "sad"], "nowhere: no such folder"),
    (["caption", *MODEL, "pixel.png", "-e", "sad"], "contains no captioner"),
    (["caption", *MODEL, "gone.png", "-e", "sad", "--writer", "x"], "gone.png: no such image"),
    (["caption", *MODEL, "pixel.png", "-e", "bored", "--writer", "x"], "'bored': not an emotion"),
    (["caption", *MODEL, "pixel.png", "--writer", "x"], "ranked by an emotion; name one with --emotion"),
    (["caption", *MODEL, "pixel.png", "--guidance", "2"], "--guidance is for emotions; name one with --emotion"),
    (["caption", *MODEL, "pixel.png", "--strength", "2"], "--strength is for emotions; name one with --emotion"),
    (["extract", "gone", "--out", "s"], "gone: no such folder"),
    (["extract", "images", "--out", "pixel.png/s"], "pixel.png is not a folder"),
    (["extract", "images", "--out", "s", "--extractor", "gird"], "extractor is 'gird'"),
    (["extract", "images", "--out", "s", "--set", "boxes=4"], "extractor auto takes no settings, but boxes is given"),
    (["extract", "images", "--out", "s", "--extractor", "grid", "--set", "boxes=4"], "unknown setting 'boxes'"),
    (["extract", "images", "--out", "s", "--extractor", "vit"], "setting 'weights' is missing"),
    (["extract", "--show", "gone.png"], "gone.png: no such image"),
    (["extract", "--show", "pixel.png", "--out", "pixel.png"], "is the image itself"),
    (["serve", "--model", "nowhere"], "nowhere: no such folder"),
    (["serve", *MODEL, "--limit", "waits=3"], "expected NAME=NUMBER"),
    (["serve", *MODEL, "--key-file", "gone"], "gone: not a file"),
    (["run", "none.yaml"], "none.yaml: no such file"),
    (["run", "gone.yaml", "--set", "data_root=."], "gone.csv: no such file"),
    (["run", "column.yaml", "--set", "data_root=."], "has no column 'text'"),
    (["run", "column.yaml", "--set", "target.formt=table"], "unknown key"),
    (["run", "column.yaml", "--until", "techer"], "--until techer: no such stage; the stages are prepare, "),
    (["report", "nowhere"], "nowhere: no such run directory"),
    (["report", "images"], "results.json"),
    (["compare", "nowhere", "images"], "nowhere: no such run directory"),
    (["compare", "nowhere", "images", "--out", "images"], "images: is a folder"),
    (["compare", "images", "images", "--out", "images/a.png"], "a.png: is a file of a compared run; choose another"),
    (["inspect", "none.csv"], "none.csv: cannot be opened"),
    (["inspect", "pairs.csv", "--columns", "caption=text"], "has no column 'text'"),
    (["store", "info", "images"], "images: not a feature store"),
]


@pytest.fixture(scope="module")
def results(tiny_bert, tmp_path_factory):
    """The status and the errors of every case, in a folder that must not change."""
    folder = tmp_path_factory.mktemp("refusals")
    write_files(folder, tiny_bert)
    before = sorted(folder.rglob("*"))
    commands = json.dumps([arguments for arguments, _ in CASES])
    done = subprocess.run([sys.executable, "-c", CODE], input=commands, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert sorted(folder.rglob("*")) == before
    return json.loads(done.stdout)


def write_files(folder, tiny_bert) -> None:
    labels = ("happy", "sad", "awe")
    vocabulary = Vocabulary(labels)
    config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=8)
    card = ModelCard(list(labels), vocabulary.hash, 16, None, "teacher")
    save_model(folder / "teacher" / "model", load_backbone(config, tiny_bert)[0], load_tokenizer(tiny_bert), card)
    (folder / "images").mkdir()
    for name in ("pixel.png", "images/a.png"):
        Image.new("RGB", (1, 1)).save(folder / name)
    study = "name: x\ntarget: {format: table, path: PATH}\nfeatures: null\n"
    texts = {
        "pairs.csv": "caption,emotions\na dog,happy\n",
        "foreign.csv": "caption,emotions\na dog,bored\n",
        "captions.txt": "a dog\n",
        "mine-rejected.csv": "mine\n",
        "gone.yaml": study.replace("PATH", "gone.csv"),
        "column.yaml": study.replace("PATH", "pairs.csv, columns: {caption: text}"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[" ".join(arguments) for arguments, _ in CASES])
def test_mistakes_are_refused_before_heavy_imports(results, number) -> None:
    (status, errors), (_, message) = results[number], CASES[number]
    assert (status, message in errors) == (1, True), errors
    assert len(errors.splitlines()) == 1
