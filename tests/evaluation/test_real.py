"""The scores of a constant prediction on the real captions, which every model must beat."""

import os
from pathlib import Path

import pytest

from emocap.corpora.formats.socratis import read_socratis_csv
from emocap.emotions import build_vocabulary
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import evaluate

DATA = Path(os.environ.get("EMOCAP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data on this machine")
def test_the_prior_on_socratis() -> None:
    pairs = read_socratis_csv(DATA / "socratis" / "cleaned_data.csv")
    vocabulary = build_vocabulary(pairs.emotions)
    targets = pairs.targets(vocabulary)
    scores = evaluate(prior(targets, len(pairs)), targets, vocabulary.labels)
    expected = {"top1_accuracy": 0.67, "top2_accuracy": 0.83, "top3_accuracy": 0.89, "recall_at_3": 0.39}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=0.02)
