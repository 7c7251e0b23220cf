"""Scores of systems: references without the judged caption, lift over other captions, and captions without nouns."""

import json

import numpy as np
import pytest

from emocap.captioning import judging
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import Judge, content_scores, score_systems, score_with_judge

LABELS = ["happy", "sad", "awe", "calm"]
EVAL_SET = EvalSet(
    images=["a", "b", "c"],
    human=["a red boat", "two cats sleep", "an old man"],
    references=[["the sea at night"], ["a sofa"], ["someone waits"]],
    features=[None] * 3,
    emotions=[1, 1, 2],
)


def tag(words):
    return [(word, word, "VB" if word in {"sleep", "waits"} else "NN") for word in words]


def probabilities(captions):
    """Happy is the likeliest emotion of every caption; "night" makes sadness likelier than usual."""
    return np.array([[0.9, 0.5 if "night" in caption else 0.2, 0.1, 0.1] for caption in captions])


JUDGE = Judge.of(probabilities, probabilities, ["a day", "a night", "a day", "a dog"])


def test_human_captions_are_not_their_own_references():
    human = content_scores(EVAL_SET.human, EVAL_SET, tag, is_human=True)
    assert human["noun_faithfulness"].tolist() == pytest.approx([0, 0, 0])
    assert "all_references" not in human
    copied = content_scores(EVAL_SET.human, EVAL_SET, tag)
    assert copied["noun_faithfulness"].tolist() == [1, 1, 1]
    assert copied["all_references"]["rouge_l"] == 1


def test_lift_finds_what_frequent_emotions_hide():
    systems = {"without emotion": ["a day", "a dog", "a cat"], "guided": ["night", "a night", "a sea"]}
    judged = score_with_judge(systems, EVAL_SET, JUDGE, seed=0)["systems"]
    assert judged["guided"]["alignment"]["mean"] == 0
    assert judged["guided"]["lift_alignment"]["mean"] == pytest.approx(2 / 3)
    assert judged["without emotion"]["lift_alignment"]["mean"] == 0


def test_lift_judge_is_fit_of_best_order(monkeypatch):
    """Of a fit that reverses the order, one that keeps it at any scale, and one that orders at random."""

    def has_night(captions):
        return np.array([["night" in caption] for caption in captions], dtype=float)

    def fits(name, captions, targets, *, embed, seed):
        numbers = np.random.default_rng(len(captions))
        return [
            lambda texts: 0.9 - 0.8 * has_night(texts),
            lambda texts: 0.01 * has_night(texts),
            lambda texts: numbers.random((len(texts), 1)),
        ]

    monkeypatch.setattr(judging, "fit_each", fits)
    captions = ["a night", "a day", "a dog", "the night", "noon"] * 6
    fitted = judging.fit_lift_judge("tfidf", captions, has_night(captions) > 0, vectors="offline", seed=0)
    assert fitted(["night", "day"]).tolist() == [[0.01], [0.0]]


def test_lift_judge_orders_unseen_captions():
    captions = [f"{word} {number}" for number in range(12) for word in ("night", "day")]
    targets = np.array([[caption.startswith(word) for word in ("night", "day")] for caption in captions])
    fitted = judging.fit_lift_judge("tfidf", captions, targets, vectors="offline", seed=0)
    night, day = fitted(["the night", "the day"])
    assert night[0] > day[0]
    assert night[1] < day[1]


def test_lift_judge_of_one_caption():
    fitted = judging.fit_lift_judge("tfidf", ["a night"], np.array([[True, False]]), vectors="offline", seed=0)
    assert fitted(["a night", "noon"]).shape == (2, 2)


@pytest.mark.parametrize("plain", [["waits"] * 3, ["waits", "sleep", "a sofa"]])
def test_systems_without_nouns_are_written_as_json(plain):
    systems = {"without emotion": plain, "guided": ["a boat", "waits", "waits"], "human": EVAL_SET.human}
    scores = score_systems(systems, EVAL_SET, JUDGE, LABELS, tag, seed=0)
    json.dumps(scores, allow_nan=False)
    assert ("noun_faithfulness" in scores["systems"]["without emotion"]) == ("a sofa" in plain)
    assert "noun_faithfulness" not in scores["differences"]["guided"], "no image has nouns in both"
    assert ("noun_faithfulness" in scores["differences"]["human"]) == ("a sofa" in plain)
