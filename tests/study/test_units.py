"""Folds, seeds and a labelled source: every image is tested once, repeats are distinct, and nothing leaks."""

import shutil
from collections import Counter

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.evaluation.metrics import varying_metrics
from emocap.evaluation.predictions import read_predictions
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.files import read_array, read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, stage_names, units_of
from emocap.study.stages import teacher, transfer
from emocap.study.stages.choices import chosen
from emocap.study.stages.held_out import mean_of_logits
from emocap.training.checkpoint import load_model

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}
TRANSFER = {"AnB": ONE, "AnB+": ONE}
MOODS = {"format": "table", "path": "moods.jsonl"}


def run(path, folder, overrides=None, until=None):
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


@pytest.fixture(scope="module")
def module_tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("units")


@pytest.fixture
def crossed(module_tmp, tiny_study):
    """A study of captions over three folds and two seeds, with a labelled source; made once for all tests here."""
    folder = module_tmp / "run"
    if not (folder / "report.html").is_file():
        run(captions_alone(tiny_study), folder)
    return folder


def captions_alone(tiny_study, **changes):
    options = {
        "features": None,
        "target": {"format": "table", "path": "pairs.jsonl"},
        "source": None,
        "labelled_source": MOODS,
        "labelled": ONE | {"select_by": None},
        "teacher": ONE,
        "transfer": TRANSFER,
        "folds": 3,
        "seeds": [0, 7],
        "keep_models": False,
    }
    return tiny_study(**(options | changes))


def test_folds_test_each_pair_once_per_seed(crossed) -> None:
    results = read_json(crossed / "results.json")
    assert (results["folds"], results["seeds"], results["n_test_pairs"]) == (3, [0, 7], 120)
    found = read_predictions(crossed / "predictions.parquet")
    assert {name: len(repeats) for name, repeats in found.by_model.items()} == {
        **{name: 2 for name in ("prior", "tfidf", "teacher", "labelled_AnB", "labelled_AnB+")},
        "ensemble": 1,
    }
    for repeats in found.by_model.values():
        assert all(sorted(answers.rows) == list(range(120)) for answers in repeats)
    for fold in range(3):
        one, other = (read_json(crossed / f"units/s{seed}_f{fold}/splits.json")["parts"] for seed in (0, 7))
        assert one == other
    tests = [set(read_json(crossed / f"units/s0_f{fold}/splits.json")["parts"]["test"]) for fold in range(3)]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 120


def test_seeds_differ_and_spread_is_reported(crossed) -> None:
    found = read_predictions(crossed / "predictions.parquet").by_model["teacher"]
    assert not np.allclose(found[0].raw, found[1].raw)
    results = read_json(crossed / "results.json")
    assert results["spread"]["teacher"]["bce"] > 0
    low, high = results["intervals"]["teacher"]["bce"]
    assert low < results["models"]["teacher"]["bce"] < high


def test_results_have_what_verdicts_need(crossed) -> None:
    results = read_json(crossed / "results.json")
    assert results["schema"] == 3
    assert list(results["metrics"]) == varying_metrics(3)
    found = results["differences"]["prior"]["teacher"]
    assert list(found) == list(results["intervals"]["teacher"]) == varying_metrics(3)
    assert {"simultaneous", "minimum_detectable", "pairs_needed"} < set(found["mean_average_precision"])
    assert (results["intervals_over"], results["sample"]["n_images"]) == ("images and seeds", 120)
    assert results["sample"]["is_enough"]
    of_emotion = results["calibration"]["teacher"]["per_emotion"]
    assert {label: each["n_positives"] for label, each in of_emotion.items()} == results["emotions"]["positives"]
    assert results["calibration"]["prior"]["brier_skill"] == 0


def test_validation_pairs_choose_baseline_and_recommended_model(crossed, tiny_study) -> None:
    results = read_json(crossed / "results.json")
    picked: Counter[str] = Counter()
    for unit in units_of(load_config(captions_alone(tiny_study)), crossed):
        truth = unit.truth("validation")
        scores = {
            name: mean_average_precision(unit.array(f"baselines/{name}/validation_probabilities.npy"), truth)
            for name in ("prior", "tfidf")
        }
        picked[max(scores, key=scores.__getitem__)] += 1
    assert results["comparison_baseline"]["chosen_in"] == picked
    assert results["comparison_baseline"]["model"] in results["models"]
    scores = {name: score["mean_average_precision"] for name, score in results["validation"].items() if name != "prior"}
    assert results["recommended"] == max(scores, key=scores.__getitem__)


def test_folds_are_predicted_by_unseen_models(crossed) -> None:
    found = read_predictions(crossed / "predictions.parquet").by_model["teacher"][0]
    for fold in range(3):
        unit = crossed / f"units/s0_f{fold}"
        expected = read_array(unit / "teacher/test_probabilities.npy")
        test = set(read_json(unit / "splits.json")["parts"]["test"])
        images = read_predictions(crossed / "predictions.parquet").images
        rows = np.array([images[row] in test for row in found.rows])
        assert np.allclose(found.raw[rows], expected)


def test_ensemble_averages_logits_over_models_and_seeds(crossed) -> None:
    found = read_predictions(crossed / "predictions.parquet").by_model
    members = [a.ordered().raw for name in ("teacher", "labelled_AnB+") for a in found[name]]
    assert np.allclose(found["ensemble"][0].raw, mean_of_logits(members), atol=1e-5)
    assert mean_of_logits([np.array([[0.9]]), np.array([[0.5]])])[0, 0] == pytest.approx(0.75)  # logits ln 9 and 0


def test_prior_stays_frequencies_and_ensemble_represents_study(crossed) -> None:
    results = read_json(crossed / "results.json")
    assert results["calibration"]["prior"]["methods"] == ["none"] * 6
    found = read_predictions(crossed / "predictions.parquet").by_model["prior"][0]
    assert np.allclose(found.probabilities, found.raw, atol=1e-6)
    assert results["chosen"] == "ensemble"


def test_selects_model_without_ensemble(tiny_study) -> None:
    def named(**changes):
        config = load_config(captions_alone(tiny_study, evaluation={"ensemble": []}, **changes))
        return chosen(config, {"teacher": 0.3, "labelled_AnB": 0.2, "labelled_AnB+": 0.1})

    assert named(folds=None, seeds=None) == "teacher", "the best on the validation pairs of one split"
    assert named(folds=3) == "labelled_AnB+", "the last over folds, whose validation pairs are tested in others"


def test_labelled_source_transfers_only_layers(crossed) -> None:
    labelled = load_model(crossed / "labelled")
    assert labelled.vocabulary.labels == ("grief", "joy") or labelled.vocabulary.labels == ("joy", "grief")
    assert read_json(crossed / "results.json")["labels"] == read_json(crossed / "vocabulary.json")["labels"]
    assert not list(crossed.glob("units/*/*/model")), "models of several units are dropped"


def test_only_changed_unit_runs_again(crossed, tiny_study, tmp_path, monkeypatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(crossed, copy)
    (copy / "units/s7_f2/unit.json").unlink()
    trained = []
    fit = transfer.fit_on_target
    for stage in (teacher, transfer):
        monkeypatch.setattr(
            stage, "fit_on_target", lambda study, run, *a, **k: (trained.append(run), fit(study, run, *a, **k))
        )
    run(captions_alone(tiny_study), copy)
    assert trained == ["teacher", "labelled_AnB", "labelled_AnB+"]
    assert (copy / "results.json").read_bytes() == (crossed / "results.json").read_bytes()
    run(captions_alone(tiny_study), copy, overrides=["seeds=[0]", "transfer.AnB.epochs=2"], until="s0_f0")
    assert trained[3:] == ["teacher", "labelled_AnB", "labelled_AnB+"]


def test_keeps_models_of_units_on_request(tiny_study, tmp_path) -> None:
    path = captions_alone(tiny_study, keep_models=True, folds=2, seeds=[0], labelled_source=None)
    stages = stage_names(load_config(path))
    assert stages[:6] == ["prepare", "features", "s0_f0", "s0_f1", "evaluation", "model_folders"]
    assert stages[-1] == "report"
    run(path, tmp_path / "run")
    saved = load_model(tmp_path / "run/units/s0_f1/teacher")
    assert saved.card.training["fold"] == 1


def test_saved_model_predicts_what_was_evaluated(tiny_study, tmp_path) -> None:
    path = captions_alone(tiny_study, folds=None, seeds=None, labelled_source=None)
    run(path, tmp_path / "run")
    results = read_json(tmp_path / "run/results.json")
    card = load_model(tmp_path / "run/teacher").card
    [method] = results["calibration"]["teacher"]["methods"]
    assert method == ("none" if card.calibration is None else card.calibration["method"])
    found = read_predictions(tmp_path / "run/predictions.parquet").by_model["teacher"][0]
    assert np.allclose(found.probabilities, card.scaling(found.raw), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": 500}, "500"),
        ({"label_aggregation": "votes"}, "votes needs a corpus that keeps annotators separate"),
        ({"labelled_source": {"format": "coco", "path": "captions_source.json"}}, "has no labels; use it as `source`"),
    ],
)
def test_reports_impossible_settings_in_one_line(tiny_study, tmp_path, changes, message) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        run(captions_alone(tiny_study, **changes), tmp_path / "run")
    assert "\n" not in str(error.value)
