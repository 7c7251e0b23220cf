"""The judge beside the rule of key words, and what the number of images can show."""

import numpy as np
import pytest

from emocap.captioning.emotion_perception import emotion_perception
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import Judge
from emocap.captioning.key_words import KeyWordRule
from emocap.captioning.perception import (
    independent_difference,
    mean_with_power,
    perceived,
    summarise_perceived,
)
from emocap.pseudo_labels.lift import LiftScale

LABELS = ["happy", "sad", "awe", "calm"]
OTHERS = ["a dog", "sun", "lost", "sky", "sea"]
RULE = KeyWordRule([["sun"], ["lost"], ["sky"], ["sea"]])


def judge(captions):
    """Every caption is happy; the word of another emotion raises it a little."""
    words = ["sun", "alone", "vast", "still"]
    rows = [[0.9 if column == 0 else 0.1 for column in range(4)] for _ in captions]
    for row, caption in zip(rows, captions, strict=True):
        for column, word in enumerate(words):
            row[column] += 0.05 * (word in caption.split())
    return np.array(rows)


def test_key_words_are_typical_of_their_label():
    captions = ["the dog is lost", "a lost cat", "the dog in a sun", "a cat in the sun"] * 5
    targets = np.array([[0, 1], [0, 1], [1, 0], [1, 0]] * 5)
    rule = KeyWordRule.fit(captions, targets, n_words=2)
    assert set(rule.words[0][:2]) == {"sun", "in"}
    assert rule.words[1][0] == "lost"
    assert "dog" not in rule.words[0] + rule.words[1]
    assert rule(["a lost dog in the sun", "a cat"])[:, :2].tolist()[0][1] >= 1


def test_key_words_equal_monroes_formula():
    rule_words = KeyWordRule.fit(["a b", "a c"], np.array([[1], [0]]), n_words=1).words
    assert rule_words == [["b"]]
    captions, targets = ["x x y", "y z", "z z x"], np.array([[1], [0], [0]])
    counts, total = np.array([2.0, 1, 0]), np.array([3.0, 2, 3])  # x, y, z
    inside, outside = counts + total, 2 * total - counts
    odds = np.log(inside / (inside.sum() - inside)) - np.log(outside / (outside.sum() - outside))
    z = odds / np.sqrt(1 / inside + 1 / outside)
    expected = [word for word, value in sorted(zip("xyz", z, strict=True), key=lambda item: -item[1]) if value > 0]
    assert KeyWordRule.fit(captions, targets).words == [expected]


def test_frequent_key_words_have_no_lift():
    """Every caption has "the", so that it is no sign of happiness."""
    rule = KeyWordRule([["the", "sun"], ["lost"]])
    others = ["the dog", "the cat is lost", "the sun", "the sea"]
    assert rule(["the dog"]).argmax() == 0
    assert rule.lift_over(others)(["the lost dog"]).argmax() == 1
    assert rule.lift_over(others)(["the sun"]).argmax() == 0


def test_rule_without_a_key_word_guesses():
    values = perceived(["nothing here", "lost"], [1, 1], judge, RULE, k=1)
    assert values["key_words"].tolist() == [0.25, 1.0]
    assert values["judge"].tolist() == [0.0, 0.0]


def test_judge_that_reads_punctuation_loses_it():
    def by_mark(captions):
        return np.array([[float("!" in caption), 0.5] for caption in captions])

    rule = KeyWordRule([[], []])
    values = perceived(["wow!", "wow"], [0, 1], by_mark, rule, k=1)
    assert values["judge"].tolist() == [1.0, 1.0]
    assert values["judge_without_punctuation"].tolist() == [0.0, 1.0]


def test_margin_is_judge_minus_rule_on_same_captions():
    values = {"judge": np.array([1.0, 1, 0, 1]), "key_words": np.array([0.0, 1, 0, 0])}
    assert summarise_perceived(values, seed=0)["margin"]["difference"] == 0.5


def test_interval_and_power_are_those_of_a_normal_mean():
    values = np.random.default_rng(0).normal(0.1, 1.0, 900)
    mean = mean_with_power(values)
    error = values.std(ddof=1) / 30
    assert mean.low == pytest.approx(values.mean() - 1.96 * error, abs=0.01)
    assert mean.minimum_detectable == pytest.approx(2.8 * error, rel=0.1)


def test_several_values_of_an_image_are_drawn_together():
    """Copies of the same images tell nothing new."""
    values, images = np.random.default_rng(1).normal(size=200), [str(row) for row in range(200)]
    once = mean_with_power(values, 0, images)
    copied = mean_with_power(np.repeat(values, 5), 0, [image for image in images for _ in range(5)])
    assert copied.low == pytest.approx(once.low)
    assert copied.minimum_detectable == pytest.approx(once.minimum_detectable)


def test_independent_samples_add_their_variances():
    rng = np.random.default_rng(2)
    one, two = rng.normal(1, 1, 400), rng.normal(0, 1, 400)
    keys = [str(row) for row in range(400)]
    difference = independent_difference(one, two, 0, keys, keys)
    half = (difference["high"] - difference["low"]) / 2
    assert difference["difference"] == pytest.approx(one.mean() - two.mean())
    assert half == pytest.approx(1.96 * np.sqrt(2) / 20, rel=0.1)


@pytest.fixture
def result():
    n = 40
    emotions, others = [1, 2] * (n // 2), [2, 1] * (n // 2)
    word = {1: "alone", 2: "vast"}
    systems = {
        "without emotion": ["a dog"] * n,
        "guided and re-ranked": [f"a dog {word[emotion]}" for emotion in emotions],
        "another emotion": [f"a dog {word[emotion]}" for emotion in others],
        "shuffled emotions, guided": ["a dog"] * n,
        "image blanked": ["a dog alone"] * n,
    }
    eval_set = EvalSet([str(row) for row in range(n)], [""] * n, [[""]] * n, [None] * n, emotions, others)
    labelled = ["alone", "vast", "a cat"], np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]])
    scale = LiftScale.of(judge(["a dog", "alone", "vast", "still", "sun"]))
    return emotion_perception(systems, eval_set, Judge(judge, judge, scale), RULE, LABELS, OTHERS, labelled, seed=0)


def test_lift_finds_what_probabilities_hide(result):
    assert result["systems"]["guided and re-ranked"]["judge"]["mean"] == 1.0
    assert result["gains"]["shuffled emotions, guided"]["difference"] == 0.0
    assert result["gains"]["guided and re-ranked"]["low"] > 0.5


def test_ceiling_counts_every_label_of_people(result):
    """Two of the four labels have their word; the others are among four equal lifts of the caption without one."""
    assert result["labelled"]["n_captions"] == 3
    assert 0.5 <= result["labelled"]["judge"]["mean"] <= 0.75
    assert result["above_labelled"]["difference"] > 0


def test_ceiling_of_a_perfect_judge_is_one():
    """A caption with four emotions, of which only one can be the highest."""
    targets = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1]])
    captions = ["zero", "one", "two", "three"]

    def perfect(texts):
        return np.array([0.1 + 0.8 * targets[captions.index(text)] for text in texts])

    eval_set = EvalSet(["a", "b"], [""] * 2, [[""]] * 2, [None] * 2, [4, 5])
    systems = {"without emotion": ["one", "two"], "guided and re-ranked": ["one", "two"]}
    judge, rule = Judge(perfect, perfect, LiftScale.of(perfect(captions))), KeyWordRule([[] for _ in range(6)])
    labelled = emotion_perception(systems, eval_set, judge, rule, list("abcdef"), captions, (captions, targets), 0)
    shares = labelled["labelled"]
    assert shares["n_captions"] == 4
    assert shares["judge"]["mean"] == 1
    assert shares["key_words"]["mean"] < 0.5, "equal scores: one of those that are left"


def test_paired_words_move_the_right_way(result):
    assert result["paired"]["judge"]["mean"] == 1.0
    assert result["paired"]["key_words"]["mean"] == 0.5
    assert result["changed_by_blanking"]["mean"] == 0.5
    assert "another emotion" not in result["systems"]
