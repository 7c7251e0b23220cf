"""The included models are those that were measured: hashes, card, size, 30 answers; and the script that writes them."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emocap import EmotionPredictor
from emocap.classifiers.included import INCLUDED, MODEL_CARD, NAMES, included_models
from emocap.files import sha256_of
from emocap.training.checkpoint import load_model, read_card

from .folders import VOCABULARY, write_network

ROOT = Path(__file__).parents[2]
MAX_BYTES = 5_000_000
TOLERANCE = 0.005


@pytest.fixture(params=NAMES)
def model(request):
    """An included model."""
    return next(model for model in included_models() if model.name == request.param)


def test_files_are_those_that_were_built() -> None:
    hashes = json.loads((INCLUDED / "hashes.json").read_text())
    files = {file.relative_to(INCLUDED).as_posix(): file for file in INCLUDED.glob("*/*") if file.is_file()}
    assert {name: sha256_of(file) for name, file in files.items()} == hashes
    assert sum(file.stat().st_size for file in files.values()) < MAX_BYTES


def test_card_says_data_scores_and_licence(model) -> None:
    card = read_card(model.folder)
    assert len(card.labels) == 29
    assert {"data", "licence", "study", "backbone_bytes"} <= set(card.training)
    measured = json.loads((model.folder / "evaluation.json").read_text())["measured"]
    for metric in ("recall_at_3", "mean_average_precision"):
        low, high = measured["intervals"][metric]
        assert low < measured["scores"][metric] < high
    text = (model.folder / MODEL_CARD).read_text()
    assert card.training["data"] in text
    assert "## Held-out scores" in text


def test_answers_are_those_of_the_build(model) -> None:
    if not model.backbone.is_installed:
        pytest.skip(f"the backbone of the model {model.name} is not installed")
    expected = _require_answers(model.folder)
    assert expected.std(axis=0).max() > 10 * TOLERANCE  # the answers differ by much more than is tolerated


def _require_answers(folder: Path) -> np.ndarray:
    """Compare a model's answers with those recorded in its folder, which are returned."""
    answers = json.loads((folder / "answers.json").read_text())
    assert len(answers) == 30
    predictor = EmotionPredictor.from_pretrained(folder)
    pairs = [(None if answer["image"] is None else _image(answer["image"]), answer["caption"]) for answer in answers]
    features = predictor.features([image for image, _ in pairs])
    found = predictor.pair_outputs(features, [caption for _, caption in pairs])
    expected = np.array([answer["probabilities"] for answer in answers])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    return expected


def _image(seed: int) -> Image.Image:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return import_module("included").image_of(seed)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def run(tiny_model, tiny_bert, tmp_path):
    """A finished run of two folds in short: the results of a teacher, and the weights of its first fold."""
    write_network(tmp_path / "run" / "teacher" / "model", tiny_model, tiny_bert, run="teacher", features=None)
    metrics = {
        "top1_accuracy": 0.7,
        "recall_at_3": 0.4,
        "mean_average_precision": 0.3,
        "expected_calibration_error": 0.01,
    }
    scores = {name: metrics for name in ("teacher", "prior")}
    results = {
        "labels": list(VOCABULARY.labels),
        "n_test_pairs": 1675,
        "folds": 2,
        "seeds": [0],
        "intervals_over": "images",
        "models": scores,
        "intervals": {name: {key: [value - 0.01, value + 0.01] for key, value in metrics.items()} for name in scores},
        "comparison_baseline": {"model": "prior"},
        "calibration": {"teacher": {"ece_before": 0.02, "ece_after": 0.01}},
    }
    manifest = {
        "name": "tiny",
        "command": "emocap run tiny.yaml --set data_root=/mine/data --run-dir /mine/runs/tiny",
        "versions": {"emocap": "0.1.0", "torch": "2.9.0"},
        "config": {"data_root": "/mine/data", "target": {"format": "socratis-csv", "path": "socratis/data.csv"}},
        "data": {"target": {"pairs": 1675}},
    }
    for name, values in (("results.json", results), ("manifest.json", manifest)):
        (tmp_path / "run" / name).write_text(json.dumps(values))
    return tmp_path / "run"


def test_script_writes_a_model_that_answers_as_the_whole_one(run, tiny_bert, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = import_module("included")
    out, bert = tmp_path / "included", str(tiny_bert)
    arguments = [str(run), "--out", str(out), "--large", "", "--small", "teacher", "--small-backbone", bert]
    monkeypatch.setattr(sys, "argv", ["included.py", *arguments])
    script.main()
    assert "of a probability 0.00" in capsys.readouterr().out
    _require_answers(out / "small")
    whole = load_model(run / "teacher" / "model")
    assert read_card(out / "small").labels == whole.card.labels
    text = (out / "small" / MODEL_CARD).read_text()
    assert "`emocap run tiny.yaml --set data_root=DATA --run-dir tiny`" in text
    assert "| learned from | Socratis (1,675 pairs, labelled by people) |" in text
    assert "| teacher | 0.700 [0.690, 0.710] |" in text
    assert "the first fold's model" in text
    hashes = json.loads((out / "hashes.json").read_text())
    assert hashes == {f"small/{file.name}": sha256_of(file) for file in sorted((out / "small").iterdir())}
    assert str(tmp_path) not in text
