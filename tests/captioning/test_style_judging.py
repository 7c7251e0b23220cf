"""Captions in a style, beside people's."""

import json

import numpy as np
import pytest

from emocap.captioning.eval_set import EvalSet
from emocap.captioning.style_judging import judge_styles

N = 40
WORDS = {"humorous": "bones", "romantic": "love"}


def training():
    captions, styles = [], []
    for style, word in WORDS.items():
        captions += [f"dog {number} with {word}" for number in range(50)]
        styles += [style] * 50
    return captions, styles


def eval_set(styled):
    references = [["a dog runs fast", f"dog number {row}"] for row in range(N)]
    return EvalSet([str(row) for row in range(N)], ["a dog"] * N, references, [None] * N, [0] * N, styled=styled)


def judged(requested, styled=None):
    own = [{style: f"my dog, {word}" for style, word in WORDS.items()} for _ in range(N)] if styled is None else styled
    return judge_styles(requested, [f"dog number {row}" for row in range(N)], eval_set(own), training(), None, seed=0)


def test_tells_styles_apart_and_sees_the_cost():
    result = judged({style: [f"a cat and {word}"] * N for style, word in WORDS.items()})
    assert result["captioner"]["judge"]["mean"] == 1.0
    assert result["paired"]["captioner"]["judge"]["mean"] == 1.0
    assert result["above_human"]["difference"] == 0.0
    assert result["content"]["romantic"]["differences"]["cider_d"]["high"] < 0
    assert "noun_faithfulness" not in result["content"]["romantic"]


def test_captions_without_style_are_at_chance():
    result = judged({style: ["a dog"] * N for style in WORDS})
    assert result["captioner"]["judge"]["mean"] == result["chance"] == 0.5
    assert result["paired"]["captioner"]["judge"]["mean"] == 0.5
    assert result["above_human"]["high"] < 0


def test_images_without_a_style_count_for_the_captioner_alone():
    styled = [{"romantic": "my love"} if row % 2 else {} for row in range(N)]
    result = judged({style: [f"a cat and {word}"] * N for style, word in WORDS.items()}, styled)
    assert result["human"]["n_captions"] == N // 2
    assert "human" not in result["paired"]
    assert "humorous" not in result["human_content"]
    assert result["above_human"]["difference"] == 0.0


def test_rule_uses_words_of_other_images():
    result = judged({style: [f"a cat and {word}"] * N for style, word in WORDS.items()})
    assert "bones" in result["key_words"]["humorous"]
    assert result["captioner"]["key_words"]["mean"] == pytest.approx(1.0)
    assert result["captioner"]["margin"]["difference"] == pytest.approx(0.0)
    assert np.isclose(result["judge"]["scores"]["top1_accuracy"], 1.0)


def test_styles_that_no_judged_image_has_are_not_judged(caplog):
    requested = {style: [f"a cat and {word}"] * N for style, word in WORDS.items()}
    assert judged(requested, [{}] * N) is None
    assert "none of 40 judged images has a human caption in humorous or romantic" in caplog.text
    assert judged({"romantic": requested["romantic"]}) is None, "one style is told from no other"


def test_content_without_nouns_can_be_written_as_json():
    def tag(words):
        return [(word, word, "VB" if word == "runs" else "NN") for word in words]

    own = [{style: f"my dog, {word}" for style, word in WORDS.items()} for _ in range(N)]
    requested = {"humorous": ["runs"] * N, "romantic": ["a cat"] * N}
    result = judge_styles(requested, ["runs"] * (N - 1) + ["a dog"], eval_set(own), training(), tag, seed=0)
    json.dumps(result, allow_nan=False)
    assert "noun_faithfulness" not in result["content"]["humorous"]
    assert set(result["content"]["romantic"]["differences"]) == {"cider_d", "noun_faithfulness"}
