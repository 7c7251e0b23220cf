"""A captioner that learns a style beside emotions, on the tiny corpora, and what the stage measures of it."""

import csv
import json

import pytest

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study

WORDS = {"bright": "party", "dark": "night"}  # styles and words of the tiny vocabulary, in no factual caption
CAPTIONER = {
    "held_out_images": 24,
    "tuning_images": 10,
    "guidance": [1.0, 2.0],
    "style_guidance": 2.0,
    "strength": [1.0],
    "rerank": "lift",
    "candidates": 3,
    "styles": True,
    "pairs": "all",
    "controls": ["shuffled"],
    "training": {"epochs": 3, "learning_rate": 3e-3, "head_learning_rate": 3e-3, "batch_size": 16},
}


def write_styled_source(tiny_corpora, path):
    """The captions of the tiny source, and for each image one in each style: the first with the style's word."""
    corpus = read_json(tiny_corpora / "captions_source.json")
    names = {image["id"]: image["file_name"] for image in corpus["images"]}
    rows = [{"image": names[one["image_id"]], "caption": one["caption"]} for one in corpus["annotations"]]
    rows += [
        {"image": row["image"], "caption": f"{row['caption']} {word}", "style": style}
        for row in rows[::2]
        for style, word in WORDS.items()
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("styles")


@pytest.fixture
def finished(module_tmp, tiny_study, tiny_corpora):
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        write_styled_source(tiny_corpora, module_tmp / "styled.jsonl")
        source = {"format": "table", "path": str(module_tmp / "styled.jsonl"), "images": str(tiny_corpora / "source")}
        config = load_config(tiny_study(source=source, captioner=CAPTIONER))
        run_study(config, folder, report=write_report)
    return folder


def test_factual_captions_alone_are_references(finished):
    results = read_json(finished / "captioner/captions.json")
    for entry in results["captions"]:
        assert not set(entry["human"].split()) & set(WORDS.values())
        assert all(word in entry[f"human {style}"].split() for style, word in WORDS.items())
    assert results["n_images"] == 14
    assert results["trade_off"]["n_images"] == 10


def test_judge_of_styles_learns_the_words_of_other_images(finished):
    styles = read_json(finished / "captioner/captions.json")["styles"]
    assert styles["human"]["judge"]["mean"] > 0.9
    assert styles["human"]["n_captions"] == 2 * 14
    assert styles["paired"]["human"]["judge"]["mean"] > 0.9
    assert {style: words[0] for style, words in styles["key_words"].items()} == WORDS
    assert set(styles["content"]) == set(WORDS)


def test_controls_and_retrieval_are_systems(finished):
    results = read_json(finished / "captioner/captions.json")
    controls = {"shuffled emotions, guided", "shuffled emotions, guided and re-ranked", "image blanked"}
    assert controls | {"random image", "nearest image", "consensus of the nearest"} <= set(results["systems"])
    assert "another emotion" not in results["systems"]
    assert all(entry["emotion"] != entry["other_emotion"] for entry in results["captions"])
    scale = read_json(finished / "captioner/model/lift.json")
    assert len(scale["mean"]) == 3


def test_report_and_sheet_are_written(finished):
    page = (finished / "report.html").read_text()
    for text in ("Can a reader perceive the emotion?", "Can a reader perceive the style?", "In a style"):
        assert text in page
    assert 'href="captioner/reader_sheet.html"' in page
    sheet = (finished / "captioner/reader_sheet.html").read_text()
    key = list(csv.DictReader((finished / "captioner/reader_sheet_key.csv").open()))
    results = read_json(finished / "captioner/captions.json")
    captions = {entry["image"]: entry["guided and re-ranked"] for entry in results["captions"]}
    assert key
    assert all(entry["caption"] == captions[entry["image"]] for entry in key)
    assert sheet.count("<li value=") == len(key)


@pytest.mark.parametrize(
    ("style", "message"),
    [
        (None, "captioner.styles is true, but no caption of the source has a style"),
        ("happy", "captioner.styles: 'happy' is a style of the source and an emotion of the target; rename one"),
    ],
)
def test_unusable_styles_are_refused_before_training(tiny_study, tiny_corpora, tmp_path, style, message):
    write_styled_source(tiny_corpora, tmp_path / "styled.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "styled.jsonl").read_text().splitlines()]
    rows = [row | {"style": style} if "style" in row else row for row in rows]
    (tmp_path / "styled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"format": "table", "path": str(tmp_path / "styled.jsonl"), "images": str(tiny_corpora / "source")}
    config = load_config(tiny_study(source=source, captioner=CAPTIONER))
    with pytest.raises(EmocapError, match=message):
        run_study(config, tmp_path / "run", report=write_report, until="splits")
