"""Calibrations in model cards: each emotion's slope and offset, temperatures of older cards, and damaged ones."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from emocap.classifiers.load import load_classifier
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.training.checkpoint import ModelCard, read_card
from emocap.training.predict import calibrated_probabilities

from ..classifiers.folders import images, write_baseline

LABELS = ("happy", "sad")
CALIBRATION = {"method": "platt_per_emotion", "slopes": [0.5, 1.0], "offsets": [0.0, 1.0]}


def write_prior(folder: Path, **values) -> Path:
    """A baseline that always predicts 0.9 and 0.5."""
    folder.mkdir(exist_ok=True)
    card = ModelCard(list(LABELS), Vocabulary(LABELS).hash, 0, None, "prior", kind="prior", **values)
    write_json(folder / "emocap.json", asdict(card))
    return folder


def test_each_emotion_has_its_slope_and_offset(tmp_path) -> None:
    card = read_card(write_prior(tmp_path / "model", calibration=CALIBRATION))
    expected = [0.75, 1 / (1 + np.exp(-1))]  # odds of 9 become 3; a logit of 0 becomes 1
    assert card.scaling(np.array([[0.9, 0.5]]))[0] == pytest.approx(expected)
    logits = torch.tensor([[np.log(9.0), 0.0, -2.0]])
    assert calibrated_probabilities(logits, card.scaling)[0] == pytest.approx([*expected, 1 / (1 + np.exp(2))])


def test_older_card_divides_by_its_temperature(tmp_path) -> None:
    folder = write_prior(tmp_path / "model", temperature=2.0)
    values = read_json(folder / "emocap.json")
    del values["calibration"]
    write_json(folder / "emocap.json", values)
    assert read_card(folder).scaling(np.array([[0.9, 0.5]]))[0] == pytest.approx([0.75, 0.5])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"calibration": CALIBRATION | {"slopes": [1.0, -1.0]}}, "calibration: a slope is -1, expected above 0"),
        ({"calibration": CALIBRATION | {"offsets": [0.0]}}, r"calibration: \(2,\) slopes and \(1,\) offsets"),
        ({"calibration": CALIBRATION | {"slopes": [1.0], "offsets": [0.0]}}, "calibration: 1 slopes for 2 labels"),
        ({"calibration": {"method": "platt", "slopes": [1.0, 1.0]}}, "offsets"),
        ({"calibration": CALIBRATION, "temperature": 2.0}, "has a calibration and a temperature of 2.0"),
    ],
)
def test_rejects_damaged_calibration(tmp_path, values, message) -> None:
    with pytest.raises(EmocapError, match=message):
        read_card(write_prior(tmp_path / "model", **values))


def test_classifier_applies_the_calibration(tmp_path) -> None:
    write_baseline(tmp_path / "model", "tfidf")
    classifier = load_classifier(tmp_path / "model")
    n = len(classifier.vocabulary)
    raw = classifier.raw_probabilities(images(["storm"]), ["storm"])
    slopes, offsets = np.linspace(0.5, 2, n), np.linspace(-1, 1, n)
    calibration = {"method": "platt_per_emotion", "slopes": slopes.tolist(), "offsets": offsets.tolist()}
    values = read_json(tmp_path / "model/emocap.json") | {"calibration": calibration}
    write_json(tmp_path / "model/emocap.json", values)
    found = load_classifier(tmp_path / "model").probabilities(images(["storm"]), ["storm"])
    logits = np.log(raw / (1 - raw)) * slopes + offsets
    assert found == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)
