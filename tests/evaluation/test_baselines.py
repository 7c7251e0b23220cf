"""Baselines: valid probabilities for any data, and learning from informative captions."""

import os
from pathlib import Path

import numpy as np
import pytest

from emocap.corpora.formats.socratis import read_socratis_csv
from emocap.corpora.splits import fold_by_image, rows_of
from emocap.emotions import build_vocabulary
from emocap.errors import EmocapError
from emocap.evaluation import baselines
from emocap.evaluation.baselines import BASELINES, fit_baseline, prior
from emocap.evaluation.ranking_metrics import mean_average_precision, top_k_accuracy

DATA = Path(os.environ.get("EMOCAP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
WORDS = ("party", "storm", "cliff", "table", "chair", "street")


def synthetic(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Captions of two words, and targets (n, 5): the words determine the first three emotions, one is random."""
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
def test_learns_emotions_from_words(name: str) -> None:
    test_captions, truth = synthetic(60, 2)
    predict = fit_baseline(name, *synthetic(150, 0), *synthetic(60, 1), embed=embed)
    probabilities = predict(test_captions)
    assert probabilities.shape == (60, 5)
    assert mean_average_precision(probabilities[:, :3], truth[:, :3]) > 0.9
    assert mean_average_precision(prior(truth, 60)[:, :3], truth[:, :3]) < 0.5


def test_neighbours_use_tfidf_without_vectors() -> None:
    test_captions, truth = synthetic(60, 2)
    probabilities = fit_baseline("neighbours", *synthetic(150, 0), *synthetic(60, 1))(test_captions)
    assert mean_average_precision(probabilities[:, :3], truth[:, :3]) > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_predictions_are_probabilities_for_any_targets(name: str) -> None:
    captions, targets = synthetic(30, 0)
    targets[:, 0], targets[:, 1] = 0, 1
    predict = fit_baseline(name, captions, targets, *synthetic(10, 1), embed=embed)
    probabilities = predict(["party storm", "party", "street"])
    assert np.isfinite(probabilities).all()
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    assert np.array_equal(probabilities, predict(["party storm", "party", "street"]))
    assert predict([]).shape == (0, 5)


@pytest.mark.parametrize("name", ["tfidf", "vectors"])
def test_constant_emotion_gets_constant_probability(name: str) -> None:
    captions, targets = synthetic(30, 0)
    targets[:, 0], targets[:, 1] = 0, 1
    probabilities = fit_baseline(name, captions, targets, *synthetic(10, 1), embed=embed)(
        ["party storm", "street chair"]
    )
    assert probabilities[:, 0].tolist() == [1 / 32] * 2
    assert probabilities[:, 1].tolist() == [31 / 32] * 2


def test_neighbours_are_label_shares_smoothed_by_prior() -> None:
    captions, targets = ["party", "party", "storm"], np.array([[1, 0], [0, 0], [0, 1]])
    probabilities = fit_baseline("neighbours", captions, targets, [], np.zeros((0, 2)), embed=embed)(["party"])
    frequencies = np.array([2 / 5, 2 / 5])  # (1 + 1) / (3 + 2)
    assert probabilities[0] == pytest.approx(
        (np.array([1, 0]) + frequencies) / 3
    )  # two neighbours of weight 1, one of 0


def test_unknown_words_get_the_label_frequencies() -> None:
    captions, targets = synthetic(40, 0)
    probabilities = fit_baseline("neighbours", captions, targets, *synthetic(10, 1))(["nothing like these"])
    assert probabilities[0] == pytest.approx((targets.sum(axis=0) + 1) / 42)


def test_selects_the_setting_on_validation_pairs() -> None:
    captions, targets = synthetic(60, 0)
    regularised = fit_baseline("tfidf", captions, targets, ["party"], np.zeros((1, 5)))
    selected = fit_baseline("tfidf", captions, targets, *synthetic(60, 1))
    asked = ["party chair", "storm table"]
    spread = [np.ptp(predict(asked)[:, 0]) for predict in (regularised, selected)]
    assert spread[1] > 2 * spread[0]


def test_prefers_the_better_calibrated_of_near_equals() -> None:
    truth = np.tile([[True], [False]], (50, 1))
    noise = np.random.default_rng(0).random((100, 1))
    sharp = np.where(truth, 0.9, 0.1)
    sharp[:2] = [[0.55], [0.56]]  # one of the 50 true ones is ranked below a false one
    assert 0.999 < mean_average_precision(sharp, truth) < 1
    outputs = [np.where(truth, 0.52, 0.48), sharp, noise, np.where(truth, 0.9, 0.4)]
    fitted = [lambda asked, probabilities=probabilities: probabilities for probabilities in outputs]
    assert baselines._select(fitted, None, truth) is fitted[1]


def test_rejects_invalid_input() -> None:
    captions, targets = synthetic(5, 0)
    for arguments, message in (
        (("forest", captions, targets, captions, targets), "baseline is 'forest', expected one of prior, tfidf"),
        (("vectors", captions, targets, captions, targets), "needs sentence vectors"),
        (("tfidf", captions[:4], targets, captions, targets), "do not match"),
        (("tfidf", captions, targets, captions, targets[:, :2]), "do not match"),
        (("prior", [], np.zeros((0, 5)), captions, targets), "do not match"),
        (("tfidf", ["a", "?", "", "!", "b"], targets, captions, targets), "no training caption contains a word"),
    ):
        with pytest.raises(EmocapError, match=message):
            fit_baseline(*arguments)


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data on this machine")
def test_tfidf_beats_the_prior_on_socratis() -> None:
    pairs = read_socratis_csv(DATA / "socratis" / "cleaned_data.csv")
    vocabulary = build_vocabulary(pairs.emotions)
    targets = pairs.targets(vocabulary)
    split = fold_by_image(pairs, vocabulary, n_folds=5, fold=0, validation=0.1, seed=0)
    rows = rows_of(pairs, split.parts, left_out=split.left_out)
    data = [
        value for part in ("train", "validation") for value in (pairs.select(rows[part]).captions, targets[rows[part]])
    ]
    asked, truth = pairs.select(rows["test"]).captions, targets[rows["test"]]
    probabilities = {name: fit_baseline(name, *data)(asked) for name in ("prior", "tfidf")}
    assert (
        mean_average_precision(probabilities["tfidf"], truth)
        > mean_average_precision(probabilities["prior"], truth) + 0.03
    )
    assert top_k_accuracy(probabilities["tfidf"], truth, 1) > 0.6
