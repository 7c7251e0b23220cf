"""Captioners' folders of earlier versions, and the settings of generation that a folder records."""

import json

import pytest

from emocap.captioning.checkpoint import CARD, GENERATION, GenerationConfig, load_captioner
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

from ..small_captioner import write_captioner


@pytest.fixture
def folder(tiny_bert, tmp_path):
    return write_captioner(tmp_path, tiny_bert, Vocabulary(("happy", "sad"))) / "captioner" / "model"


def test_folder_of_an_earlier_version_loads(folder):
    card = json.loads((folder / CARD).read_text())
    del card["styles"]
    (folder / CARD).write_text(json.dumps(card))
    (folder / GENERATION).write_text(json.dumps({"guidance": 2.0, "strength": 3.0}))
    saved = load_captioner(folder)
    assert saved.card.styles == []
    assert saved.model.kept_tokens is None
    assert not saved.model.is_light
    assert saved.generation_config == GenerationConfig(2.0, 3.0)
    assert saved.generation_config.decoding() == {
        "style_guidance": 1.0, "guidance_steps": None, "beams": None, "length_penalty": 1.0, "top_p": 0.9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("beams", 0, "beams is 0, which is out of range"),
        ("beams", 1000, "beams is 1000, which is out of range"),
        ("guidance_steps", 0, "guidance_steps is 0, which is out of range"),
        ("length_penalty", float("nan"), "length_penalty is nan, which is out of range"),
        ("top_p", 0.0, "top_p is 0.0, which is out of range"),
        ("style_guidance", 21.0, "captioner: style_guidance is 21.0, which is out of range"),
        ("rerank", "loudness", "rerank"),
    ],
)
def test_settings_out_of_range_are_refused(folder, key, value, message):
    (folder / GENERATION).write_text(json.dumps({key: value}))
    with pytest.raises(EmocapError, match=f"generation.json: .*{message}"):
        load_captioner(folder)
