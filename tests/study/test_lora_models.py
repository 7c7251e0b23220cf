"""AnB-LoRA, the third way of transfer: in a study that asks for it, and in its transfer study."""

import pytest
import torch

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.report.page import write_report
from emocap.study.config.loading import load_config
from emocap.study.run import run_study
from emocap.training.checkpoint import load_model

ONE = {"epochs": 1, "learning_rate": 3e-3, "batch_size": 32}
MOODS = {"format": "table", "path": "moods.jsonl"}
TEXTS = {
    "features": None,
    "target": {"format": "table", "path": "pairs.jsonl"},
    "source": None,
    "labelled_source": MOODS,
    "teacher": ONE,
    "labelled": ONE | {"select_by": None},
}


def test_study_trains_and_shows_it(tiny_study, tmp_path) -> None:
    transfer = {"AnB": ONE, "AnB+": ONE, "AnB-LoRA": ONE | {"lora": {"rank": 2}}, "layers": [1], "controls": False}
    config = load_config(tiny_study(**TEXTS, transfer=transfer))
    run_study(config, tmp_path / "run", report=write_report)
    results = read_json(tmp_path / "run/results.json")
    assert "labelled_AnB-LoRA" in results["models"]
    assert {point["run"] for point in results["transfer_study"]["points"]} == {"AnB", "AnB+", "AnB-LoRA"}
    assert "AnB-LoRA" in (tmp_path / "run/report.html").read_text()
    base, moved = (load_model(tmp_path / f"run/{name}/model").model for name in ("labelled", "labelled_AnB-LoRA"))
    for old, new in zip(base.layers, moved.layers, strict=True):
        difference = (new.attention.self.query.weight - old.attention.self.query.weight).detach().double()
        sizes = torch.linalg.svdvals(difference)
        assert (sizes > 1e-5 * sizes.max()).sum() == 2
    words = [model.get_input_embeddings().weight for model in (base, moved)]
    assert torch.equal(*words), "the embeddings are not trained"


def test_studies_that_do_not_ask_have_none(tiny_study) -> None:
    plain, asked = (load_config(tiny_study(**TEXTS, transfer=more)) for more in ({}, {"AnB-LoRA": {}}))
    assert set(asked.models) - set(plain.models) == {"labelled_AnB-LoRA"}
    assert asked.training_settings("labelled_AnB-LoRA").lora.rank == 8
    assert "labelled_AnB-LoRA" not in asked.members


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        ({"AnB": {"lora": {}}}, "AnB freezes what it copies; give transfer.AnB-LoRA"),
        ({"AnB-LoRA": {"lora": {"rank": 0}}}, "rank"),
        ({"AnB-LoRA": {"lora": {"size": 4}}}, "size"),
    ],
)
def test_refuses_settings_that_contradict(tiny_study, transfer: dict, message: str) -> None:
    with pytest.raises(EmocapError, match=message) as error:
        load_config(tiny_study(**TEXTS, transfer=transfer))
    assert "\n" not in str(error.value)
