"""Baselines: valid probabilities for any data, and learning from informative captions."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emocap.corpora.formats.socratis import read_socratis_csv
from emocap.corpora.splits import fold_by_image, rows_of
from emocap.emotions import build_vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.baseline_selection import select_fit, select_rating_fit
from emocap.evaluation.baselines import BASELINES, fit_baseline, prior
from emocap.evaluation.image_vectors import unit_mean
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
    predict = fit_baseline(name, captions, targets, *synthetic(10, 1), embed=embed, features=regions(captions))
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
    assert select_fit(fitted, None, truth) is fitted[1]


def regions(captions, missing: int = 0) -> list[np.ndarray | None]:
    """An image for each caption: three regions whose mean points to its words; the first `missing` have none."""
    noise = np.random.default_rng(0).normal(0, 0.05, (len(captions), 3, 6))
    features = 3 * embed(captions)[:, None] + noise + 1
    return [None if row < missing else regions.astype(np.float16) for row, regions in enumerate(features)]


def blank(captions) -> list[str]:
    return [""] * len(captions)


def rated(captions) -> np.ndarray:
    """Two ratings: one by the words, one of which half of the pairs are missing."""
    storms = np.array(["storm" in caption for caption in captions], dtype=np.float64)
    other = np.where(np.arange(len(captions)) % 2, np.nan, [0.2 + 0.5 * ("party" in caption) for caption in captions])
    return np.stack([0.3 + 0.4 * storms, other], axis=1)


def test_image_probe_learns_from_images_alone() -> None:
    (captions, targets), (held_out, truth), (asked, answers) = (synthetic(150, seed) for seed in range(3))
    fitted = fit_baseline(
        "image_probe",
        blank(captions),
        targets,
        blank(held_out),
        truth,
        features=regions(captions, missing=5),
        validation_features=regions(held_out),
    )
    predicted = fitted(asked, regions(asked, missing=2))
    assert mean_average_precision(predicted[2:, :3], answers[2:, :3]) > 0.95
    frequencies = (targets.sum(axis=0) + 1) / (len(targets) + 2)
    assert predicted[:2] == pytest.approx(np.tile(frequencies, (2, 1)))
    assert fitted(asked) == pytest.approx(np.tile(frequencies, (len(asked), 1))), "no image at all"


def test_image_probe_is_logistic_regression_on_unit_means() -> None:
    """Against the library's own, at the strength of the penalty that was selected."""
    captions, targets = synthetic(150, 0)
    features = regions(captions)
    fitted = fit_baseline("image_probe", captions, targets, *synthetic(60, 1), features=features)
    means = np.stack([unit_mean(each) for each in features])
    inputs = (means - means.mean(axis=0)) / np.sqrt(means.var(axis=0).sum())
    expected = LogisticRegression(C=0.1, max_iter=5000).fit(inputs, targets[:, 0]).predict_proba(inputs)[:, 1]
    assert fitted(captions, features)[:, 0] == pytest.approx(expected, abs=1e-4)


def test_image_probe_ignores_the_length_of_features() -> None:
    captions, targets = synthetic(60, 0)
    fits = [
        fit_baseline("image_probe", captions, targets, [], np.zeros((0, 5)), features=[each * scale for each in found])
        for found in [regions(captions)]
        for scale in (np.float16(1), np.float16(4))
    ]
    asked = regions(["party storm"])
    assert fits[0]([""], asked) == pytest.approx(fits[1]([""], [asked[0] * np.float16(4)]), abs=1e-6)


def test_vectors_image_uses_both_where_each_tells_a_part() -> None:
    """Captions determine one emotion, images another."""
    (captions, targets), (held_out, truth), (asked, answers) = (synthetic(150, seed) for seed in range(3))
    other = [synthetic(150, seed + 3) for seed in range(3)]
    labels = [
        np.stack([own[:, 0], seen[1][:, 1]], axis=1) for own, seen in zip((targets, truth, answers), other, strict=True)
    ]
    images = [regions(words) for words, _ in other]
    scores = {}
    for name in ("vectors", "image_probe", "vectors_image"):
        fitted = fit_baseline(
            name,
            captions,
            labels[0],
            held_out,
            labels[1],
            embed=embed,
            features=images[0],
            validation_features=images[1],
        )
        scores[name] = mean_average_precision(fitted(asked, images[2]), labels[2])
    assert scores["vectors_image"] > max(scores["vectors"], scores["image_probe"]) + 0.2


@pytest.mark.parametrize("name", BASELINES)
def test_ratings_follow_the_emotions(name: str) -> None:
    (captions, targets), (held_out, truth), (asked, _) = (synthetic(150, seed) for seed in range(3))
    inputs = {"embed": embed, "features": regions(captions), "validation_features": regions(held_out)}
    ratings = {"ratings": rated(captions), "validation_ratings": rated(held_out)}
    fitted = fit_baseline(name, captions, targets, held_out, truth, **inputs, **ratings)
    predicted = fitted(asked, regions(asked))
    alone = fit_baseline(name, captions, targets, held_out, truth, **inputs)(asked, regions(asked))
    assert np.array_equal(predicted[:, :5], alone), "ratings change no emotion"
    assert predicted.shape == (150, 7)
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    if name == "prior":
        assert predicted[0, 5:] == pytest.approx(np.nanmean(rated(captions), axis=0))
    else:
        truth = 0.2 + 0.5 * np.array(["party" in caption for caption in asked])
        assert np.corrcoef(predicted[:, 5], rated(asked)[:, 0])[0, 1] > 0.9
        assert np.corrcoef(predicted[:, 6], truth)[0, 1] > 0.9


def test_ratings_need_no_emotion() -> None:
    captions, none = synthetic(60, 0)[0], np.zeros((60, 0))
    for name in BASELINES:
        fitted = fit_baseline(
            name, captions, none, captions, none, embed=embed, features=regions(captions), ratings=rated(captions),
            validation_features=regions(captions), validation_ratings=rated(captions),
        )  # fmt: skip
        assert fitted(captions, regions(captions)).shape == (60, 2)


def test_rated_neighbours_leave_out_missing_ratings() -> None:
    captions, ratings = ["party", "party", "storm"], np.array([[0.8], [np.nan], [0.2]])
    none = np.zeros((3, 0))
    fitted = fit_baseline("neighbours", captions, none, [], np.zeros((0, 0)), embed=embed, ratings=ratings,
                          validation_ratings=np.zeros((0, 1)))  # fmt: skip
    assert fitted(["party"])[0, 0] == pytest.approx((0.8 + 0.5) / 2), "one neighbour of weight 1 and the mean"


def test_rating_setting_is_selected_by_pearson_then_error() -> None:
    ratings = np.array([[0.1], [0.5], [0.9], [np.nan]])
    outputs = [
        np.array([[0.9], [0.5], [0.1], [0.0]]),
        np.array([[0.4], [0.5], [0.6], [0.0]]),
        np.array([[0.2], [0.5], [0.8], [0.0]]),
    ]
    fitted = [lambda asked, values=values: values for values in outputs]
    assert select_rating_fit(fitted, None, ratings) is fitted[2]
    assert select_rating_fit(fitted, None, np.full((4, 1), np.nan)) is fitted[0]


def test_rejects_invalid_input() -> None:
    captions, targets = synthetic(5, 0)
    for arguments, message in (
        (("forest", captions, targets, captions, targets), "baseline is 'forest', expected one of prior, tfidf"),
        (("vectors", captions, targets, captions, targets), "needs sentence vectors"),
        (("tfidf", captions[:4], targets, captions, targets), "do not match"),
        (("tfidf", captions, targets, captions, targets[:, :2]), "do not match"),
        (("prior", [], np.zeros((0, 5)), captions, targets), "do not match"),
        (("tfidf", ["a", "?", "", "!", "b"], targets, captions, targets), "no training caption contains a word"),
        (("image_probe", captions, targets, captions, targets), "no training pair has region features"),
        (("vectors_image", captions, targets, captions, targets), "needs sentence vectors"),
    ):
        with pytest.raises(EmocapError, match=message):
            fit_baseline(*arguments)
    for given, message in (
        ({"features": regions(captions)[:4]}, "or the features or ratings"),
        ({"ratings": np.zeros((4, 1))}, "or the features or ratings"),
        ({"ratings": np.zeros((5, 1))}, "or the features or ratings"),
        ({"features": [np.full((2, 3), np.nan)] * 5}, "contain NaN or infinity; extract or import them again"),
    ):
        with pytest.raises(EmocapError, match=message):
            fit_baseline(
                "image_probe", captions, targets, captions, targets, **({"features": regions(captions)} | given)
            )


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
