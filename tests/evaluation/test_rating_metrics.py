"""Metrics of ratings, their comparison and their ceiling: by hand, against scipy, and by simulation."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from emocap.evaluation.predictions import ModelPredictions, read_predictions, write_predictions
from emocap.evaluation.rating_ceiling import noise_ceiling
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.rating_metrics import RATING_METRICS, concordance, mean_pearson_r, pearson_r, rmse
from emocap.ratings import Ratings

TRUE, PREDICTED = np.array([0.0, 0.5, 1.0, 0.5]), np.array([0.1, 0.5, 0.7, 0.3])
RATINGS = Ratings.of({"valence": [1, 7], "arousal": [0, 100]})


def test_concordance_by_hand() -> None:
    # Means 0.5 and 0.4; variances 0.125 and 0.05; covariance (0.5*0.3 + 0 + 0.5*0.3 + 0) / 4 = 0.075.
    assert concordance(PREDICTED, TRUE) == pytest.approx(2 * 0.075 / (0.125 + 0.05 + 0.01))
    assert pearson_r(PREDICTED, TRUE) == pytest.approx(0.075 / np.sqrt(0.125 * 0.05))
    assert rmse(PREDICTED, TRUE, 6.0) == pytest.approx(6 * np.sqrt((0.01 + 0 + 0.09 + 0.04) / 4))


def test_agrees_with_scipy_on_random_numbers() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.random(300), rng.random(300)
    predicted = 0.6 * true + 0.4 * predicted
    r = pearsonr(predicted, true).statistic
    assert pearson_r(predicted, true) == pytest.approx(r)
    # Lin's own form: r times the bias correction 2 / (v + 1/v + u²).
    v, u = predicted.std() / true.std(), (predicted.mean() - true.mean()) / np.sqrt(predicted.std() * true.std())
    assert concordance(predicted, true) == pytest.approx(r * 2 / (v + 1 / v + u**2))


@pytest.mark.parametrize("name", list(RATING_METRICS))
def test_weights_are_repeated_pairs(name: str) -> None:
    rng = np.random.default_rng(1)
    true, predicted, weights = rng.random(30), rng.random(30).astype(np.float32), rng.integers(0, 4, 30)
    drawn = np.repeat(np.arange(30), weights)
    of = RATING_METRICS[name].statistic
    plain = of(predicted[drawn], true[drawn], 6.0)(np.ones((1, len(drawn))))
    assert of(predicted, true, 6.0)(weights[None])[0] == pytest.approx(plain[0])


def test_missing_ratings_are_left_out() -> None:
    true = np.append(TRUE, np.nan)
    for metric in (pearson_r, concordance, rmse):
        assert metric(np.append(PREDICTED, 0.9), true) == pytest.approx(metric(PREDICTED, TRUE))
    assert np.isnan(pearson_r(np.ones(2), np.full(2, np.nan)))


def test_constant_predictions_tell_nothing_apart() -> None:
    assert (pearson_r(np.full(4, 0.3), TRUE), concordance(np.full(4, 0.3), TRUE)) == (0, 0)
    assert np.isnan(pearson_r(PREDICTED, np.full(4, 0.3)))


def test_mean_is_over_ratings() -> None:
    both = mean_pearson_r(np.stack([PREDICTED, 1 - PREDICTED], axis=1), np.stack([TRUE, TRUE], axis=1))
    assert both == pytest.approx(0)
    assert np.isnan(mean_pearson_r(np.empty((4, 0)), np.empty((4, 0))))


def test_ceiling_is_what_a_simulation_gives() -> None:
    rng = np.random.default_rng(2)
    n_images, n_people = 4000, 8
    true = rng.normal(0.5, 0.12, n_images)
    answers = true[:, None] + rng.normal(0, 0.25, (n_images, n_people))
    observed, sds = answers.mean(axis=1), answers.std(axis=1, ddof=1)
    found = noise_ceiling(observed, sds, np.full(n_images, n_people), 6.0)
    assert found == pytest.approx(
        {"pearson_r": pearson_r(true, observed), "ccc": concordance(true, observed), "rmse": rmse(true, observed, 6.0)},
        abs=0.01,
    )


def test_ceiling_needs_spread_and_number_of_people() -> None:
    values, known, missing = np.array([0.2, 0.8]), np.array([0.1, 0.1]), np.full(2, np.nan)
    assert noise_ceiling(values, missing, known, 1.0) is None
    assert noise_ceiling(values, known, missing, 1.0) is None
    assert noise_ceiling(values, np.array([0.1, np.nan]), np.ones(2), 1.0) is None


def predictions_of(values: np.ndarray) -> ModelPredictions:
    n, none = len(values), np.empty((len(values), 0), dtype=np.float32)
    return ModelPredictions(np.arange(n), none, none, np.full(n, 0.5, np.float32), none, values.astype(np.float32))


@pytest.fixture(scope="module")
def compared():
    rng = np.random.default_rng(3)
    true = rng.random((200, 2))
    true[150:, 1] = np.nan
    noise = rng.normal(0, 0.2, (200, 2))
    models = {
        "prior": [predictions_of(np.full((200, 2), 0.5))],
        "weak": [predictions_of(rng.random((200, 2)))],
        "good": [predictions_of(np.clip(np.nan_to_num(true, nan=0.5) + noise, 0, 1))],
    }
    images = [f"i{row // 2}" for row in range(200)]
    return true, models, compare_ratings(models, true, images, RATINGS, references=["prior", "weak"], n_bootstrap=300)


def test_comparison_is_in_units_with_intervals(compared) -> None:
    true, models, results = compared
    assert results["range"] == {"valence": [1.0, 7.0], "arousal": [0.0, 100.0]}
    assert results["n_pairs"] == {"valence": 200, "arousal": 150}
    good = models["good"][0].ratings
    scores = results["models"]["good"]["arousal"]
    assert scores["rmse"] == pytest.approx(100 * np.sqrt(np.mean((good[:150, 1] - true[:150, 1]) ** 2)), rel=1e-5)
    for name in RATING_METRICS:
        low, high = results["intervals"]["good"]["valence"][name]
        assert low < results["models"]["good"]["valence"][name] < high


def test_differences_are_paired_and_decide(compared) -> None:
    results = compared[2]
    better = results["differences"]["weak"]["good"]["valence"]
    models = results["models"]
    for name in RATING_METRICS:
        assert better[name]["difference"] == pytest.approx(
            models["good"]["valence"][name] - models["weak"]["valence"][name]
        )
    assert better["pearson_r"]["low"] > 0 > better["rmse"]["high"]
    none = results["differences"]["prior"]["weak"]["valence"]["pearson_r"]
    assert none["low"] < 0 < none["high"]
    mean = np.mean([models["good"][name]["pearson_r"] for name in RATINGS.names])
    assert results["mean"]["models"]["good"]["pearson_r"] == pytest.approx(mean)
    assert results["mean"]["differences"]["weak"]["good"]["pearson_r"]["low"] > 0


def test_interval_contains_the_true_value_often() -> None:
    rng, hits = np.random.default_rng(4), 0
    for _ in range(60):
        x = rng.normal(0, 1, 80)
        y = 0.5 * x + np.sqrt(0.75) * rng.normal(0, 1, 80)  # r is 0.5
        shown = predictions_of(np.clip(0.5 + 0.1 * x, 0, 1)[:, None])
        true, one = np.clip(0.5 + 0.1 * y, 0, 1)[:, None], Ratings.of({"valence": [0, 1]})
        images = [str(row) for row in range(80)]
        found = compare_ratings({"a": [shown]}, true, images, one, references=[], n_bootstrap=200)
        low, high = found["intervals"]["a"]["valence"]["pearson_r"]
        hits += low <= 0.5 <= high
    assert 52 <= hits <= 60  # 95% of 60 is 57


def test_predicted_ratings_are_read_as_written(tmp_path) -> None:
    true = np.array([[0.1, np.nan], [0.2, 0.4], [0.3, 0.5]])
    written = predictions_of(np.array([[0.5, 0.6], [0.7, 0.8], [0.9, 1.0]]))
    write_predictions(
        tmp_path / "p.parquet",
        {"teacher": [written]},
        pair_ids=["a", "b", "c"],
        images=["a", "b", "c"],
        targets=np.empty((3, 0)),
        labels=[],
        seeds=[0],
        ratings=true,
        rating_names=RATINGS.names,
    )
    stored = read_predictions(tmp_path / "p.parquet")
    assert stored.rating_names == RATINGS.names
    assert np.array_equal(stored.ratings, true.astype(np.float32), equal_nan=True)
    assert np.array_equal(stored.by_model["teacher"][0].ratings, written.ratings)
