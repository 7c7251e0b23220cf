"""A served model: tiny and untrained, in a run with results."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emocap.api.captioner import EmotionCaptioner
from emocap.app.limits import Limits
from emocap.app.served_model import ServedModel, load_served
from emocap.app.server import build_app
from emocap.emotions import Vocabulary

from ..small_captioner import write_captioner

SCORES = {"top1_accuracy": 0.8, "top3_accuracy": 0.9, "recall_at_3": 0.5, "mean_average_precision": 0.4}
PRIOR = {"top1_accuracy": 0.7, "top3_accuracy": 0.8, "recall_at_3": 0.4, "mean_average_precision": 0.1}
EVALUATION = {
    "data": "demo", "n_pairs": 234, "n_images": 200, "metric": "mean_average_precision", "score": 0.4,
    "interval": [0.35, 0.45], "baseline": "vectors", "baseline_score": 0.5, "baseline_interval": [0.46, 0.54],
    "difference": {"difference": -0.1, "low": -0.15, "high": -0.05},
    "verdict": "AnB+ is worse than vectors by mAP on 234 test pairs of 200 images, in one training run.",
    "version": "0.9", "model_hash": "0123456789abcdef" * 4, "decision": "worse",
}  # fmt: skip
FREQUENCIES = np.array([0.6, 0.3, 0.1])


def write_run(folder: Path, bert: Path) -> Path:
    """A run directory with a captioner of emotions and styles, results, and a baseline that beat the model."""
    write_captioner(folder, bert, Vocabulary(("happy", "sad", "awe")), styles=["romantic", "humorous"])
    results = {
        "n_test_pairs": 234,
        "models": {"AnB+": SCORES, "prior": PRIOR},
        "intervals": {"AnB+": {name: [value - 0.05, value + 0.05] for name, value in SCORES.items()}},
    }
    ranker = folder / "captioner" / "model" / "ranker"
    card = json.loads((ranker / "emocap.json").read_text())
    (ranker / "emocap.json").write_text(json.dumps(card | {"synthetic": True, "language": "en"}))
    (ranker / "evaluation.json").write_text(json.dumps(EVALUATION))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "manifest.json").write_text(json.dumps({"config": {"captioner": {}, "target": {"oracle": "o.parquet"}}}))
    return folder


@pytest.fixture(scope="session")
def run(tiny_bert, tmp_path_factory) -> Path:
    """The run directory of a study with a captioner and results; read only."""
    return write_run(tmp_path_factory.mktemp("served") / "run", tiny_bert)


@pytest.fixture(scope="session")
def loaded(run) -> ServedModel:
    """The served model of the run, with base rates of its emotions; read only."""
    return replace(load_served(run), frequencies=FREQUENCIES)


@pytest.fixture
def served(loaded) -> ServedModel:
    """A copy, which a test may change."""
    return replace(loaded)


@pytest.fixture(scope="session")
def captioner_without_styles(tiny_bert, tmp_path_factory) -> EmotionCaptioner:
    """A captioner of the same emotions that learnt no styles; read only."""
    run = tmp_path_factory.mktemp("plain") / "run"
    return EmotionCaptioner.from_pretrained(write_captioner(run, tiny_bert, Vocabulary(("happy", "sad", "awe"))))


@pytest.fixture
def serving(served, tmp_path):
    """Builds a client of the REST interface: `serving(key=..., waiting=...)`; services are stopped at the end."""
    from starlette.testclient import TestClient

    services = []

    def build(key=None, **limits):
        app, service = build_app(served, Limits(**limits), tmp_path, page=False, key=key)
        services.append(service)
        client = TestClient(app, raise_server_exceptions=False)
        client.service = service
        return client

    yield build
    for service in services:
        service.stop()
