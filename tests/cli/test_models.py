"""`emocap models`, and the included model that a command takes where none is named."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emocap import EmocapError, EmotionPredictor
from emocap.classifiers import included
from emocap.classifiers.compact import write_compact
from emocap.classifiers.included import included_model
from emocap.cli.main import app
from emocap.cli.models import chosen_model
from emocap.training.checkpoint import load_model

MEASURED = {
    "pairs": 1675,
    "scores": {"top1_accuracy": 0.738, "mean_average_precision": 0.271},
    "prior": {"top1_accuracy": 0.664, "mean_average_precision": 0.136},
    "intervals": {"top1_accuracy": [0.716, 0.759], "mean_average_precision": [0.26, 0.282]},
    "synthetic": False,
}


@pytest.fixture
def place(model_folder, tiny_bert, tmp_path, monkeypatch):
    """A folder of included models in the place of the package's; `write(name)` writes one, with its backbone or not."""
    monkeypatch.setattr(included, "INCLUDED", tmp_path / "included")
    monkeypatch.chdir(tmp_path)
    saved = load_model(model_folder)

    def write(name: str, *, is_installed: bool = True) -> None:
        training = {"data": "1,675 pairs of Socratis", "licence": "CC BY 4.0", "backbone_bytes": 91_000_000}
        write_compact(
            saved,
            tmp_path / "included" / name,
            backbone=str(tiny_bert),
            changes={"training": training},
            evaluation={"measured": MEASURED},
        )
        if not is_installed:
            path = tmp_path / "included" / name / "backbone.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"name": str(tmp_path / "no-such-backbone")}))

    return write


def test_lists_what_is_installed_and_what_could_be(place, tmp_path) -> None:
    place("small")
    place("large", is_installed=False)
    lines = CliRunner().invoke(app, ["models"]).output.splitlines()
    assert lines[0].startswith("large: not installed: pip install")
    small = lines[lines.index("small: installed, the default") :]
    assert "3 emotions from captions" in small[1]
    assert "(91 MB)" in small[2]
    assert "1,675 pairs of Socratis" in small[3]
    assert "top-1 0.738 [0.716, 0.759], mAP 0.271 [0.260, 0.282] on 1,675 test pairs" in small[4]
    assert "CC BY 4.0" in small[5]
    assert str(tmp_path / "included" / "small") in small[6]


def test_predicts_with_the_included_model(place) -> None:
    place("small")
    result = CliRunner().invoke(app, ["predict", "a dog waits alone"])
    assert result.exit_code == 0, result.output
    assert (
        "emocap: the included model small, mAP 0.271 [0.260, 0.282] on 1,675 test pairs; see emocap models\n"
        in result.stderr
    )
    assert len(result.stdout.splitlines()) == 3


def test_large_is_taken_where_its_backbone_is(place, tmp_path) -> None:
    place("small")
    assert included_model().name == "small"
    place("large")
    assert included_model().name == "large"
    assert included_model("small").folder == tmp_path / "included" / "small"
    assert EmotionPredictor.included().folder == tmp_path / "included" / "large"
    assert EmotionPredictor.included("small").folder == tmp_path / "included" / "small"


def test_image_prefers_models_that_learned_from_images(place, tmp_path) -> None:
    place("small")
    place("large")
    card = tmp_path / "included" / "small" / "emocap.json"
    features = {"fingerprint": "0", "extractor": "grid", "settings": {}, "dim": 8}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"features": features}))
    assert included_model(reads_images=True).name == "small"
    assert included_model().name == "large"
    assert included_model("large", reads_images=True).name == "large"
    assert chosen_model(None, reads_images=True).name == "small"


def test_path_wins_over_the_name(place, model_folder, tmp_path) -> None:
    place("small")
    assert chosen_model(tmp_path / "nowhere") == tmp_path / "nowhere"
    assert chosen_model(Path("small")) == tmp_path / "included" / "small"
    model_folder.rename(tmp_path / "small")
    assert chosen_model(Path("small")) == Path("small")


def test_missing_models_and_packages_are_said(place, tmp_path) -> None:
    with pytest.raises(EmocapError, match="this emocap includes no model; train one, and give its folder with --model"):
        chosen_model(None)
    with pytest.raises(EmocapError, match="this emocap includes no model large; give the folder"):
        included_model("large")
    with pytest.raises(EmocapError, match="model 'huge': expected one of large, small"):
        included_model("huge")
    place("small", is_installed=False)
    with pytest.raises(EmocapError, match="the backbone of the included model is not installed; pip install"):
        chosen_model(None)
    with pytest.raises(EmocapError, match="which is not installed; pip install"):
        included_model("small")


def test_damaged_included_model_is_refused(place, tmp_path) -> None:
    place("small")
    path = tmp_path / "included" / "small" / "backbone.json"
    path.write_text(json.dumps({"name": "offline"}))
    with pytest.raises(EmocapError, match=r"small/backbone\.json: .*reinstall emocap"):
        included_model()
