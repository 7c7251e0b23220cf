"""A teacher, or a model of the labelled source, that starts from another backbone than the student."""

import pytest
from safetensors.torch import load_file, save_file

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study
from emocap.training.checkpoint import load_model

from ..tiny_encoders import write_tiny_encoder

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}
TRANSFER = {"AnB": ONE, "AnB+": ONE}


@pytest.fixture
def mpnet(tmp_path):
    """A folder with a tiny MPNet."""
    (tmp_path / "mpnet").mkdir()
    return write_tiny_encoder(tmp_path / "mpnet", "mpnet")


def run(path, folder, overrides=None, until=None):
    return run_study(load_config(path, overrides), folder, report=write_report, until=until)


def changed(folder, before: dict[str, dict]) -> set[str]:
    """The stages whose record differs from `before`."""
    return {path.stem for path in (folder / "stages").glob("*.json") if read_json(path) != before.get(path.stem)}


def records(folder) -> dict[str, dict]:
    return {path.stem: read_json(path) for path in (folder / "stages").glob("*.json")}


def test_teacher_alone_has_its_own_backbone(tiny_study, mpnet, tmp_path) -> None:
    path = tiny_study(teacher=ONE | {"backbone": str(mpnet)}, transfer=TRANSFER)
    run(path, tmp_path / "run", until="AnB+")
    kinds = {name: load_model(tmp_path / "run" / name / "model") for name in ("teacher", "student", "AnB+")}
    assert {name: saved.card.kind for name, saved in kinds.items()} == {
        "teacher": "text_encoder",
        "student": "visual_bert",
        "AnB+": "visual_bert",
    }
    config = read_json(tmp_path / "run/manifest.json")["config"]
    small = config["model"]["backbone"]
    assert (config["teacher"]["backbone"], small) == (str(mpnet), read_json(tmp_path / "run/backbone.json")["name"])
    named = {name: saved.card.training["backbone"] for name, saved in kinds.items()}
    assert named == {"teacher": str(mpnet), "student": small, "AnB+": small}
    assert read_json(tmp_path / "run/teacher_backbone.json")["n_layers"] == 3


def test_another_teacher_reruns_what_follows_it(tiny_study, mpnet, tmp_path) -> None:
    path = tiny_study(teacher=ONE, transfer=TRANSFER)
    run(path, tmp_path / "run", until="scores")
    before = records(tmp_path / "run")
    run(path, tmp_path / "run", [f"teacher.backbone={mpnet}"], until="scores")
    assert changed(tmp_path / "run", before) == {"teacher_backbone", "teacher", "scores"}
    before = records(tmp_path / "run")
    run(path, tmp_path / "run", [f"teacher.backbone={mpnet}"], until="scores")
    assert not changed(tmp_path / "run", before)
    tensors = load_file(mpnet / "model.safetensors")
    save_file({name: tensor + 0.01 for name, tensor in tensors.items()}, mpnet / "model.safetensors")
    run(path, tmp_path / "run", [f"teacher.backbone={mpnet}"], until="scores")
    assert {"teacher_backbone", "teacher", "scores"} <= changed(tmp_path / "run", before)
    run(path, tmp_path / "run", until="scores")
    assert load_model(tmp_path / "run/teacher/model").card.kind == "visual_bert", "the older record counts no more"


def test_labelled_source_moves_layers_of_its_own_backbone(tiny_study, mpnet, tmp_path) -> None:
    path = tiny_study(
        source=None,
        features=None,
        target={"format": "table", "path": "pairs.jsonl"},
        labelled_source={"format": "table", "path": "moods.jsonl"},
        labelled=ONE | {"backbone": str(mpnet)},
        teacher=ONE,
        transfer=TRANSFER | {"layers": [1], "controls": True},
    )
    run(path, tmp_path / "run", until="transfer_study")
    saved = load_model(tmp_path / "run/labelled_AnB+/model")
    assert (saved.card.kind, saved.card.training["backbone"]) == ("text_encoder", str(mpnet))
    assert load_model(tmp_path / "run/teacher/model").card.kind == "visual_bert"
    points = read_json(tmp_path / "run/transfer/points.json")["points"]
    assert {"AnB+_n01", "BnB+_n01"} <= {point["model"] for point in points}


def test_refuses_backbone_that_is_not_there(tiny_study, tmp_path) -> None:
    path = tiny_study(teacher=ONE | {"backbone": "no/such"})
    with pytest.raises(EmocapError, match="no/such: not in the hub's cache"):
        run(path, tmp_path / "run")


def test_refuses_more_layers_than_the_labelled_backbone(tiny_study, mpnet, tmp_path) -> None:
    moods = {"format": "table", "path": "moods.jsonl"}
    path = tiny_study(labelled_source=moods, labelled=ONE | {"backbone": str(mpnet)}, transfer={"n_transferred": 4})
    with pytest.raises(EmocapError, match="transfer.n_transferred is 4, but .* has 3 layers"):
        run(path, tmp_path / "run")


def test_captioner_needs_a_visualbert(tiny_study, mpnet, tmp_path) -> None:
    path = tiny_study(model={"backbone": str(mpnet), "max_length": 16}, captioner={})
    with pytest.raises(EmocapError, match="captioner: needs a BERT or VisualBERT, but model.backbone .* is a mpnet"):
        run(path, tmp_path / "run")
