"""The commands with a model of ratings."""

import re

import pytest

from emocap.cli.options import parse_ratings
from emocap.errors import EmocapError

from ..rated_model import write_rated_model
from .process import emocap


@pytest.fixture
def rated(tiny_bert, tmp_path):
    return write_rated_model(tmp_path / "teacher", tiny_bert)


@pytest.fixture
def mixed(tiny_bert, tmp_path):
    return write_rated_model(tmp_path / "mixed", tiny_bert, ("happy", "sad", "awe"))


def test_predict_shows_ratings_with_their_scales(rated, mixed, photo) -> None:
    done = emocap("predict", "--model", rated, photo)
    assert done.returncode == 0, done.stderr
    valence, arousal = done.stdout.splitlines()
    assert re.fullmatch(r" +\d\.\d\d  valence \(1 to 7\)", valence)
    assert re.fullmatch(r" +\d\d?\.\d\d  arousal \(0 to 100\)", arousal)
    lines = emocap("predict", "--model", mixed, photo, "a dog", "--top", 1).stdout.splitlines()
    assert [re.sub("[0-9.%]+", "#", line).split()[1] for line in lines[1:]] == ["valence", "arousal"]
    assert "%" in lines[0]


def test_explain_takes_a_rating(rated, photo) -> None:
    done = emocap("explain", "--model", rated, photo, "a dog waits", "--emotion", "arousal")
    assert done.returncode == 0, done.stderr
    assert re.match(r" +\d+\.\d\d  arousal \(0 to 100\)\n", done.stdout)
    assert "points" not in done.stdout
    assert "leave out" in done.stdout


def test_label_writes_rating_columns(rated, tmp_path) -> None:
    (tmp_path / "in.csv").write_text("caption\nthe dog\n")
    done = emocap("label", "--model", rated, "--data", tmp_path / "in.csv", "--out", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert header.replace('"', "") == "pair_id,caption,image,rating_valence,rating_arousal"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "a dog", "--emotion", "dominance"], "this model predicts ratings alone: valence, arousal"),
        (["predict", "a dog", "--top", "1"], "--top 1: the model predicts ratings alone, no emotions"),
        (["rank", "{photo}", "{captions}", "--emotion", "happy"], "this model predicts ratings alone, no emotions"),
    ],
)
def test_emotions_asked_of_ratings_are_one_line(rated, photo, tmp_path, arguments, message) -> None:
    (tmp_path / "captions.txt").write_text("a dog\n")
    places = {"photo": photo, "captions": tmp_path / "captions.txt"}
    command, *rest = (argument.format(**places) for argument in arguments)
    done = emocap(command, "--model", rated, *rest)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert message in line


def test_evaluate_prints_ratings_with_intervals(rated, tmp_path) -> None:
    rows = [f"the dog {word},{value},{value}" for value, word in enumerate(("sits", "runs", "waits", "alone"), 1)]
    (tmp_path / "in.csv").write_text("\n".join(["caption,V,arousal", *rows]) + "\n")
    command = ["evaluate", "--model", rated, "--data", tmp_path / "in.csv"]
    done = emocap(*command, "--columns", "valence=V", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert re.search(r"valence, 1 to 7 .* teacher .* 4 .* -?\d\.\d{3} \[", done.stdout)
    assert "4 pairs, no images, 2 ratings" in done.stdout
    done = emocap(*command)
    assert done.returncode == 1
    assert "has no column 'valence' or 'valence_mean'" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("valence=1:7,valence=1:9", "names a rating twice"),
        ("valence=low:high", "is not NAME=LOW:HIGH"),
        ("valence", "is not NAME=LOW:HIGH"),
        ("valence=1", "give its lowest and highest value"),
    ],
)
def test_unusable_option_of_ratings_is_refused(text: str, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        parse_ratings(text)
