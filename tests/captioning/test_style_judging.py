"""Captions in a style, beside people's."""

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
