"""A model folder: saving, loading, and what is rejected."""

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
    features = {"fingerprint": "abc", "extractor": "grid", "settings": {}, "dim": 8}
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, features, "teacher", {"seed": 0})
    save_model(tmp_path / "model", tiny_model, load_tokenizer(tiny_bert), card)
    return tmp_path / "model"


def edit(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_saves_and_loads_the_same_model(folder, tiny_model, tiny_batch) -> None:
    saved = load_model(folder)
    with torch.inference_mode():
        assert torch.equal(saved.model(**tiny_batch).logits, tiny_model(**tiny_batch).logits)
    assert not saved.model.training
    assert saved.vocabulary.labels == ("happy", "sad", "awe")
    assert saved.tokenizer("a dog")["input_ids"] == load_tokenizer(folder)("a dog")["input_ids"]
    assert load_model(folder.parent).folder == folder, "the run's folder is accepted too"


def test_rejects_other_features(folder, caplog) -> None:
    saved = load_model(folder)
    saved.require_features("abc", 8)
    with pytest.raises(EmocapError, match="with fingerprint abc, these have fingerprint xyz.*--allow-other"):
        saved.require_features("xyz", 8)
    with pytest.raises(EmocapError, match="trained on features of dimension 8, these have 9"):
        saved.require_features("xyz", 9, allow_other=True)
    with caplog.at_level("WARNING", logger="emocap"):
        saved.require_features("xyz", 8, allow_other=True)
    assert "its predictions may be unreliable" in caplog.text


def test_reads_the_fingerprint_of_older_cards(folder) -> None:
    features = {"kind": "abc", "extractor": "grid", "settings": {}, "dim": 8}
    edit(folder / "emocap.json", features=features)
    saved = load_model(folder)
    assert saved.card.features == {"fingerprint": "abc", "extractor": "grid", "settings": {}, "dim": 8}
    saved.require_features("abc", 8)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("emocap.json", {"schema": 2}, "schema is 2, expected 1"),
        ("emocap.json", {"labels": ["sad", "happy", "awe"]}, "labels do not have the hash"),
        ("emocap.json", {"surprise": 1}, "surprise"),
        ("emocap.json", {"labels": None}, "labels: Input should be a valid list"),
        ("emocap.json", {"features": {"dim": 8}}, r"features\.fingerprint: Field required"),
        ("config.json", {"id2label": {"0": "sad", "1": "happy", "2": "awe"}}, "the order differs"),
        ("config.json", {"hidden_size": 64}, "weights (do not match its configuration|cannot be read)"),
    ],
)
def test_rejects_inconsistent_files(folder, file: str, changes, message: str) -> None:
    edit(folder / file, **changes)
    with pytest.raises(EmocapError, match=message) as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_rejects_missing_weights(folder) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["fc.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(EmocapError, match=r"weights do not match its configuration \(missing_keys fc\.bias\)"):
        load_model(folder)


def test_reports_truncated_weights_in_one_line(folder) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(EmocapError, match="its weights cannot be read") as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_reports_invalid_configuration_in_one_line(folder) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(EmocapError, match=r"config\.json: not a model's configuration"):
        load_model(folder)


def test_full_disk_leaves_no_folder(tiny_model, tiny_bert, vocabulary, tmp_path) -> None:
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
def test_rejects_a_different_tokenizer(folder, damage: str | None) -> None:
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
