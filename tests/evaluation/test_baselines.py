"""Baselines: probabilities whatever the data, something learnt where there is something to learn."""

import os
from pathlib import Path

import numpy as np
import pytest

from emocap.corpora.socratis import read_socratis_csv
from emocap.corpora.splits import fold_by_image, rows_of
from emocap.emotions import build_vocabulary
from emocap.errors import EmocapError
from emocap.evaluation import baselines
from emocap.evaluation.baselines import BASELINES, fit_baseline, prior
from emocap.evaluation.ranking_metrics import mean_average_precision, top_k_accuracy

DATA = Path(os.environ.get("EMOCAP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
WORDS = ("party", "storm", "cliff", "table", "chair", "street")


def made(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Captions of two words, and targets (n, 5): the first three emotions are in the words, one is chance."""
    generator = np.random.default_rng(seed)
    drawn = np.stack([generator.choice(6, 2, replace=False) for _ in range(n)])
    captions = [" ".join(WORDS[word] for word in row) for row in drawn]
    targets = np.zeros((n, 5))
    for label in range(3):
        targets[:, label] = (drawn == label).any(axis=1)
    targets[:, 3] = generator.random(n) < 0.5
    return captions, targets


def embed(captions) -> np.ndarray:
    vectors = np.array([[word in caption.split() for word in WORDS] for caption in captions], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["tfidf", "vectors", "neighbours"])
def test_what_the_words_tell_is_learnt(name: str) -> None:
    test_captions, truth = made(60, 2)
    answer = fit_baseline(name, *made(150, 0), *made(60, 1), embed=embed)
    found = answer(test_captions)
    assert found.shape == (60, 5)
    assert mean_average_precision(found[:, :3], truth[:, :3]) > 0.9
    assert mean_average_precision(prior(truth, 60)[:, :3], truth[:, :3]) < 0.5


def test_neighbours_take_words_where_there_are_no_vectors() -> None:
    test_captions, truth = made(60, 2)
    found = fit_baseline("neighbours", *made(150, 0), *made(60, 1))(test_captions)
    assert mean_average_precision(found[:, :3], truth[:, :3]) > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_answers_are_probabilities_whatever_was_seen(name: str) -> None:
    captions, targets = made(30, 0)
    targets[:, 0], targets[:, 1] = 0, 1
    answer = fit_baseline(name, captions, targets, *made(10, 1), embed=embed)
    found = answer(["party storm", "party", "street"])
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.array_equal(found, answer(["party storm", "party", "street"]))
    assert answer([]).shape == (0, 5)


@pytest.mark.parametrize("name", ["tfidf", "vectors"])
def test_an_emotion_that_does_not_vary_is_constant(name: str) -> None:
    captions, targets = made(30, 0)
    targets[:, 0], targets[:, 1] = 0, 1
    found = fit_baseline(name, captions, targets, *made(10, 1), embed=embed)(["party storm", "street chair"])
    assert found[:, 0].tolist() == [1 / 32] * 2
    assert found[:, 1].tolist() == [31 / 32] * 2


def test_neighbours_are_label_shares_with_the_prior_as_one_more() -> None:
    captions, targets = ["party", "party", "storm"], np.array([[1, 0], [0, 0], [0, 1]])
    found = fit_baseline("neighbours", captions, targets, [], np.zeros((0, 2)), embed=embed)(["party"])
    frequencies = np.array([2 / 5, 2 / 5])  # (1 + 1) / (3 + 2)
    assert found[0] == pytest.approx((np.array([1, 0]) + frequencies) / 3)  # two neighbours of weight 1, one of 0


def test_a_strange_caption_gets_the_frequencies_by_its_neighbours() -> None:
    captions, targets = made(40, 0)
    found = fit_baseline("neighbours", captions, targets, *made(10, 1))(["nothing like these"])
    assert found[0] == pytest.approx((targets.sum(axis=0) + 1) / 42)


def test_the_setting_is_chosen_on_validation_pairs() -> None:
    captions, targets = made(60, 0)
    cautious = fit_baseline("tfidf", captions, targets, ["party"], np.zeros((1, 5)))
    chosen = fit_baseline("tfidf", captions, targets, *made(60, 1))
    asked = ["party chair", "storm table"]
    spread = [np.ptp(answer(asked)[:, 0]) for answer in (cautious, chosen)]
    assert spread[1] > 2 * spread[0]


def test_among_nearly_equal_settings_the_better_calibrated_is_taken() -> None:
    truth = np.tile([[True], [False]], (50, 1))
    noise = np.random.default_rng(0).random((100, 1))
    sharp = np.where(truth, 0.9, 0.1)
    sharp[:2] = [[0.55], [0.56]]  # one of the 50 true ones stands behind a false one
    assert 0.999 < mean_average_precision(sharp, truth) < 1
    answers = [np.where(truth, 0.52, 0.48), sharp, noise, np.where(truth, 0.9, 0.4)]
    fitted = [lambda asked, found=found: found for found in answers]
    assert baselines._chosen(fitted, None, truth) is fitted[1]


def test_what_does_not_fit_is_one_line() -> None:
    captions, targets = made(5, 0)
    for arguments, message in (
        (("forest", captions, targets, captions, targets), "baseline is 'forest', expected one of prior, tfidf"),
        (("vectors", captions, targets, captions, targets), "needs sentence vectors"),
        (("tfidf", captions[:4], targets, captions, targets), "do not fit"),
        (("tfidf", captions, targets, captions, targets[:, :2]), "do not fit"),
        (("prior", [], np.zeros((0, 5)), captions, targets), "do not fit"),
        (("tfidf", ["a", "?", "", "!", "b"], targets, captions, targets), "no training caption holds a word"),
    ):
        with pytest.raises(EmocapError, match=message):
            fit_baseline(*arguments)


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data on this machine")
def test_tfidf_beats_the_prior_on_socratis() -> None:
    pairs = read_socratis_csv(DATA / "socratis" / "cleaned_data.csv")
    vocabulary = build_vocabulary(pairs.emotions)
    targets = pairs.targets(vocabulary)
    rows = rows_of(pairs, fold_by_image(pairs, vocabulary, n_folds=5, fold=0, validation=0.1, seed=0))
    data = [
        value for part in ("train", "validation") for value in (pairs.select(rows[part]).captions, targets[rows[part]])
    ]
    asked, truth = pairs.select(rows["test"]).captions, targets[rows["test"]]
    found = {name: fit_baseline(name, *data)(asked) for name in ("prior", "tfidf")}
    assert mean_average_precision(found["tfidf"], truth) > mean_average_precision(found["prior"], truth) + 0.03
    assert top_k_accuracy(found["tfidf"], truth, 1) > 0.6
