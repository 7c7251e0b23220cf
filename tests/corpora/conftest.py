"""A small Socratis corpus."""

import json
from pathlib import Path

import pytest

PERSON = {"age": "55-64", "gender": "male", "education": "none", "ethnicity": [["White", "true"]]}


@pytest.fixture
def socratis(tmp_path: Path):
    """Writes a Socratis JSON of given values; by default two pairs, the first with two annotators."""

    def write(values=None) -> Path:
        path = tmp_path / "imCaptionEmotionExplanation_formatted.json"
        default = {
            "P1": [
                ["a.jpg", "A dog waits.", ["Happy", '"sad"', "very sad"], ["because it waits", None, None], PERSON],
                ["a.jpg", "A dog waits.", ["happy", "None", ""], [None, None, None], {"age": "not entered"}],
            ],
            "P2": [["b.jpg", "A storm.", ["not entered"], [None], {}]],
        }
        path.write_text(json.dumps(default if values is None else values))
        return path

    return write
