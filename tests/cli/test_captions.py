"""The commands that rank and generate captions, the latter by an untrained captioner."""

import json
import re

import pytest
from PIL import Image

from emocap.regions.extractors.grid import GridExtractor

from ..small_captioner import write_captioner
from .process import emocap


def test_rank_orders_captions_by_a_classifier(model_folder, tmp_path) -> None:
    (tmp_path / "captions.txt").write_text("a dog waits alone\n\n  the child celebrates\nlost storm\n")
    done = emocap("rank", "--model", model_folder, tmp_path / "captions.txt", "--emotion", "sad", "--max-chars", 17)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[2].endswith("%    the child celebrates  [5 characters too long]"), "unchanged, with a remark, last"
    percentages = [float(line.split()[1].rstrip("%")) for line in lines[:2]]
    assert percentages == sorted(percentages, reverse=True)


def test_rank_says_what_limits_the_ranking(model_folder, tmp_path) -> None:
    card = json.loads((model_folder / "model" / "emocap.json").read_text())
    (model_folder / "model" / "emocap.json").write_text(
        json.dumps(card | {"frequencies": [0.0, 0.99, 0.1], "synthetic": True})
    )
    (tmp_path / "captions.txt").write_text("a dog waits alone\nlost storm\n")
    rank = ("rank", "--model", model_folder, tmp_path / "captions.txt", "--emotion")
    done = emocap(*rank, "Sad")
    assert done.returncode == 0, done.stderr
    assert 'emocap: no caption raises "sad" above its base rate (99%)' in done.stderr.splitlines()
    assert "emocap: the model was trained on drawn scenes" in done.stderr
    assert "no caption raises" not in emocap(*rank, "happy").stderr
    for command in ("predict", "explain"):
        done = emocap(command, "--model", model_folder, "a dog waits alone")
        assert done.stderr.count("emocap: the model was trained on drawn scenes") == 1, done.stderr


def test_image_is_described_once(tiny_bert, vocabulary, tmp_path, monkeypatch) -> None:
    run = write_captioner(tmp_path / "run", tiny_bert, vocabulary)
    (tmp_path / "captions.txt").write_text("a dog waits alone\nlost storm\n")
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    described = []
    describe = GridExtractor.describe

    def count(extractor, prepared, sizes):
        described.extend(prepared)
        return describe(extractor, prepared, sizes)

    monkeypatch.setattr(GridExtractor, "describe", count)
    for command in (
        ("rank", "--model", run, tmp_path / "red.png", tmp_path / "captions.txt"),
        ("rank", "--model", run / "captioner/model/ranker", tmp_path / "red.png", tmp_path / "captions.txt"),
        ("caption", "--model", run, tmp_path / "red.png"),
    ):
        described.clear()
        done = emocap(*command, "--emotion", vocabulary.labels[0])
        assert done.returncode == 0, done.stderr
        assert len(described) == 1, command
        assert ("single colour" in done.stderr) == (command[2] == run)
        assert ("uses AnB+, the model that ranks its captioner" in done.stderr) == (command[2] == run)


@pytest.mark.parametrize("options", [(), ("--style", "romantic")], ids=["ordinary", "style"])
def test_captions_without_emotion_show_no_probability(tiny_bert, vocabulary, tmp_path, options) -> None:
    frequencies = [1.0] * len(vocabulary)
    run = write_captioner(tmp_path / "run", tiny_bert, vocabulary, frequencies=frequencies, styles=["romantic"])
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    caption = ("caption", "--model", run, tmp_path / "red.png", "-n", 2)
    done = emocap(*caption, *options)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert all(re.match(r" +\d +-\d+\.\d\d  \S", line) for line in done.stdout.splitlines()), done.stdout
    assert "base rate" not in done.stderr
    done = emocap(*caption, *options, "--emotion", vocabulary.labels[0])
    assert all(re.match(r" +\d +\d+\.\d%  +-\d+\.\d\d  \S", line) for line in done.stdout.splitlines()), done.stdout
    assert "base rate" in done.stderr


def test_style_that_a_captioner_lacks_is_refused(tiny_bert, vocabulary, tmp_path) -> None:
    run = write_captioner(tmp_path / "run", tiny_bert, vocabulary, styles=["romantic", "humorous"])
    done = emocap("caption", "--model", run, tmp_path / "gone.png", "--style", "gothic")
    assert (done.returncode, done.stderr) == (
        1,
        "emocap: --style gothic: expected one of romantic, humorous\n",
    )
