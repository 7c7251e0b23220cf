import json

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.evaluation.predictions import ModelPredictions, write_predictions
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.significance import without_emotions
from emocap.files import write_json
from emocap.ratings import Ratings
from emocap.report.compare import compare_runs
from emocap.report.compare_page import findings, write_comparison
from emocap.report.files.run import read_results


def rated_run(folder, noises, shift=0.0):
    """A run of 60 pairs that predicts valence and arousal, better for less noise."""
    generator = np.random.default_rng(0)
    true, rows, nothing = generator.random((60, 2)), np.arange(60), np.empty((60, 0))
    scales = Ratings.of({"valence": [1, 7], "arousal": [1, 7]})
    predictions = {
        name: [
            ModelPredictions(
                rows, nothing, nothing, np.full(60, 0.5), nothing,
                np.clip(true + noise * generator.normal(size=true.shape), 0, 1).astype(np.float32),
            )
        ]
        for name, noise in noises.items()
    }  # fmt: skip
    true, ids = (true + shift).astype(np.float32), [f"p{row}" for row in rows]
    write_predictions(
        folder / "predictions.parquet", predictions, pair_ids=ids, images=ids, targets=nothing, labels=[], seeds=[0],
        ratings=true, rating_names=scales.names,
    )  # fmt: skip
    references = ["prior"]
    found = without_emotions(predictions, ids, references)
    found["ratings"] = compare_ratings(
        predictions, true.astype(float), ids, scales, references=references, n_bootstrap=100
    )
    found["ratings"]["ceiling"] = {"valence": None, "arousal": None}
    description = {
        "schema": 3, "labels": [], "vocabulary": "x", "n_test_pairs": 60, "n_test_images": 60, "folds": None,
        "seeds": [0], "n_bootstrap": 100, "reference": "prior", "chosen": "teacher", "metrics": {},
        "kinds": {name: "study" if name == "teacher" else "baseline" for name in noises},
    }  # fmt: skip
    write_json(folder / "results.json", description | found)
    return folder


def test_compare_pairs_runs_of_ratings(tmp_path):
    good, poor = (
        rated_run(tmp_path / name, {"prior": 9.0, "teacher": n}) for name, n in (("good", 0.05), ("poor", 0.5))
    )
    compared = compare_runs([good, poor])
    assert [row.name for row in compared.rows] == ["good teacher", "good prior", "poor teacher"]
    assert compared.rows[0].score == pytest.approx(read_results(good).ratings.mean.models["teacher"]["pearson_r"])
    assert findings(compared)[1].startswith("poor teacher is worse than good teacher: −0.")
    by_error = compare_runs([good, poor], metric="valence:rmse", model="teacher")
    assert by_error.rows[1].difference.low > 0
    assert findings(by_error)[0].startswith("poor teacher is worse than good teacher: +")
    html = write_comparison(by_error, tmp_path / "c.html").read_text()
    assert "RMSE of valence" in html
    assert "Concordance (CCC) of arousal" in html


def test_compare_of_other_ratings_is_no_pair(tmp_path):
    noises = {"prior": 9.0, "teacher": 0.1}
    compared = compare_runs([rated_run(tmp_path / "a", noises), rated_run(tmp_path / "b", noises, shift=-0.001)])
    assert compared.remarks == ["b: no paired difference to a, different targets for 60 of 60 test pairs"]


def test_compare_refuses_other_scales(tmp_path):
    runs = [rated_run(tmp_path / name, {"prior": 9.0, "teacher": 0.1}) for name in "ab"]
    results = json.loads((runs[1] / "results.json").read_text())
    results["ratings"]["range"]["valence"] = [1, 9]
    write_json(runs[1] / "results.json", results)
    with pytest.raises(EmocapError, match="b: its ratings or their scales differ from those of .*a"):
        compare_runs(runs)
    with pytest.raises(EmocapError, match="has no metric 'micro_f1'; it has mean_pearson_r, valence:pearson_r"):
        compare_runs([runs[0], rated_run(tmp_path / "c", {"prior": 9.0, "teacher": 0.1})], metric="micro_f1")
