"""A model folder: what it holds, and what is refused."""

import json
import resource
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

from emocap.errors import EmocapError
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model


@pytest.fixture
def folder(tiny_model, tiny_bert, vocabulary, tmp_path):
    features = {"kind": "abc", "extractor": "grid", "settings": {}, "dim": 8}
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "teacher", {"seed": 0})
    save_model(tmp_path / "model", tiny_model, load_tokenizer(tiny_bert), card)
    return tmp_path / "model"


def edit(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_it_comes_back_the_same(folder, tiny_model, tiny_batch) -> None:
    saved = load_model(folder)
    with torch.inference_mode():
        assert torch.equal(saved.model(**tiny_batch).logits, tiny_model(**tiny_batch).logits)
    assert not saved.model.training
    assert saved.vocabulary.labels == ("happy", "sad", "awe")
    assert saved.tokenizer("a dog")["input_ids"] == load_tokenizer(folder)("a dog")["input_ids"]
    assert load_model(folder.parent).folder == folder, "the run's folder will do"


def test_features_of_another_kind_are_refused(folder, caplog) -> None:
    saved = load_model(folder)
    saved.require_features("abc", 8)
    with pytest.raises(EmocapError, match="trained on grid features of kind abc, these are of kind xyz.*--allow-other"):
        saved.require_features("xyz", 8)
    with pytest.raises(EmocapError, match="trained on features of 8 numbers, these have 9"):
        saved.require_features("xyz", 9, allow_other=True)
    with caplog.at_level("WARNING", logger="emocap"):
        saved.require_features("xyz", 8, allow_other=True)
    assert "its answers may be worth little" in caplog.text


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("emocap.json", {"schema": 2}, "schema is 2, expected 1"),
        ("emocap.json", {"labels": ["sad", "happy", "awe"]}, "labels do not have the hash"),
        ("emocap.json", {"surprise": 1}, "surprise"),
        ("emocap.json", {"labels": None}, "labels: Input should be a valid list"),
        ("emocap.json", {"features": {"dim": 8}}, r"features\.kind: Field required"),
        ("config.json", {"id2label": {"0": "sad", "1": "happy", "2": "awe"}}, "the order differs"),
        ("config.json", {"hidden_size": 64}, "weights (do not fit its configuration|cannot be read)"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(folder, file: str, changes, message: str) -> None:
    edit(folder / file, **changes)
    with pytest.raises(EmocapError, match=message) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_missing_weights_are_refused(folder) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["fc.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(EmocapError, match=r"weights do not fit its configuration \(missing_keys fc\.bias\)"):
        load_model(folder)


def test_a_cut_file_is_one_line(folder) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(EmocapError, match="its weights cannot be read") as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_a_configuration_that_is_none_is_one_line(folder) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(EmocapError, match=r"config\.json: not a model's configuration"):
        load_model(folder)


def test_no_space_leaves_no_folder(tiny_model, tiny_bert, vocabulary, tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "teacher")
    tokenizer = load_tokenizer(tiny_bert)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(EmocapError, match="cannot be written"):
            save_model(tmp_path / "full", tiny_model, tokenizer, card)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "[1]", None])
def test_a_tokenizer_that_is_not_the_models_is_refused(folder, damage: str | None) -> None:
    path = folder / "tokenizer.json"
    if damage == "gone":
        path.unlink()
    elif damage is not None:
        path.write_text(damage)
    else:
        tokens = json.loads(path.read_text())
        tokens["model"]["vocab"].pop("celebrates")
        path.write_text(json.dumps(tokens))
    with pytest.raises(EmocapError, match="tokenizer"):
        load_model(folder)
