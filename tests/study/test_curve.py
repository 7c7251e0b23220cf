"""The learning curve of a study."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.report.curve_page import findings, write_curve_page
from emocap.study.config.loading import load_config
from emocap.study.curve import curve_models, run_curve, shares_of
from emocap.study.curve_results import sentence
from emocap.study.stages.learning_curve import nested_rows


@pytest.fixture(scope="module")
def finished(tiny_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("curve") / "run"}


def curve_of(tiny_study, folder: Path, **changes) -> dict:
    path = tiny_study(folds=2, source=None, **changes)
    file = run_curve(load_config(path), folder, models=["tfidf", "teacher"], n_sizes=4)
    return json.loads(file.read_text())


def test_scores_every_size_on_the_same_pairs(tiny_study, finished: dict[str, Path], caplog) -> None:
    with caplog.at_level("INFO", logger="emocap"):
        curve = curve_of(tiny_study, finished["folder"])
    assert "curve: up to 16 trainings: tfidf, teacher at 4 sizes in 2 divisions" in caplog.text
    assert "; 8 are of a network" in caplog.text
    assert (curve["n_test_pairs"], curve["folds"]) == (120, 2)
    for model in ("tfidf", "teacher"):
        points = curve["models"][model]["points"]
        sizes = [point["n_pairs"] for point in points]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == 48, "all training pairs of a fold"
        assert points[-1]["scores"]["mean_average_precision"] > points[0]["scores"]["mean_average_precision"]
        assert set(points[-1]["intervals"]) == set(points[-1]["scores"]) == set(curve["metrics"])
        low, high = points[-1]["intervals"]["mean_average_precision"]
        assert low < points[-1]["scores"]["mean_average_precision"] < high
    assert curve["models"]["tfidf"]["verdict"].endswith(".")


def test_all_pairs_score_as_in_the_study(tiny_study, finished: dict[str, Path], tmp_path: Path) -> None:
    from emocap.study.run import run_study

    curve = curve_of(tiny_study, finished["folder"])
    config = load_config(tiny_study(folds=2, source=None))
    run_study(config, tmp_path / "study", report=lambda written: written)
    results = json.loads((tmp_path / "study" / "results.json").read_text())
    for model in ("tfidf", "teacher"):
        last = curve["models"][model]["points"][-1]
        assert last["scores"]["top1_accuracy"] == pytest.approx(results["models"][model]["top1_accuracy"], abs=1e-6)
    of_curve = curve["models"]["tfidf"]["points"][-1]["intervals"]["mean_average_precision"]
    of_study = results["intervals"]["tfidf"]["mean_average_precision"]
    assert of_curve == pytest.approx(of_study, abs=0.01), "with the variance of rare emotions in both"


def test_finished_points_are_not_trained_again(tiny_study, finished: dict[str, Path]) -> None:
    before = curve_of(tiny_study, finished["folder"])
    points = sorted((finished["folder"] / "curve" / "s0_f0").glob("*_n*"))
    written = [(point / "test_probabilities.npy").stat().st_mtime_ns for point in points]
    shutil.rmtree(points[0])
    assert curve_of(tiny_study, finished["folder"]) == before
    again = [(point / "test_probabilities.npy").stat().st_mtime_ns for point in points]
    assert again[0] != written[0]
    assert again[1:] == written[1:]


def test_the_page_says_it_in_words(tiny_study, finished: dict[str, Path]) -> None:
    curve = curve_of(tiny_study, finished["folder"])
    html = write_curve_page(finished["folder"] / "curve.json").read_text()
    assert all(line.split(":")[0] in html for line in findings(curve))
    assert "<svg" in html
    assert "by least squares" in html


def test_larger_parts_contain_smaller_ones() -> None:
    groups = [str(number // 3) for number in range(60)]
    parts = nested_rows(np.arange(60), groups, [0.1, 0.5, 1.0], [0, 1])
    assert [len(part) for part in parts] == [6, 30, 60]
    assert set(parts[0]) < set(parts[1]) < set(parts[2])
    for part in parts:
        assert all(len({row for row in part if groups[row] == group}) in (0, 3) for group in groups)


def test_sizes_rise_evenly_up_to_all() -> None:
    assert [round(share * 1000) for share in shares_of(1000)] == [62, 125, 250, 500, 1000]
    assert shares_of(5, 3) == [1.0, 1.0, 1.0]


def test_other_models_are_refused(tiny_study) -> None:
    config = load_config(tiny_study())
    assert curve_models(config) == ["tfidf", "teacher"]
    with pytest.raises(EmocapError, match=r"--model AnB\+: the models of this curve are tfidf, teacher"):
        curve_models(config, ["AnB+"])


def test_too_few_test_pairs_give_no_verdict(tiny_study, finished: dict[str, Path]) -> None:
    from emocap.evaluation.power_law import Extrapolation, PowerLaw

    found = Extrapolation(PowerLaw(0.5, 1.0, 0.5, 0.001), None, {}, 96, 0.02, (0.01, 0.03))
    enough = {"is_enough": True}
    small = {"is_enough": False, "n_images": 10, "n_positives": 12, "least_images": 20, "least_positives": 30}
    assert sentence(found, 48, enough) == (
        "96 instead of 48 training pairs would bring +0.020 [+0.010, +0.030] in mean average precision, if the score "
        "goes on by the power law."
    )
    assert sentence(found, 48, small).startswith("Cannot tell what 96 instead of 48 training pairs would bring")
    unsure = Extrapolation(PowerLaw(0.5, 1.0, 0.5, 0.001), None, {}, 96, 0.02, (-0.01, 0.03))
    assert sentence(unsure, 48, enough).startswith("Cannot tell whether 96 instead of 48")


def test_refuses_too_many_folds_before_features(tiny_study, tmp_path) -> None:
    with pytest.raises(EmocapError, match="999 folds of .* images; use fewer folds or more data"):
        run_curve(load_config(tiny_study(folds=999, source=None)), tmp_path / "run", models=["tfidf"], n_sizes=4)
    assert not (tmp_path / "run/features").exists()
