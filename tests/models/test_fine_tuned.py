"""Backbones as people have them: heads of transformers' classes, prefixes, dtypes, and what is refused by its name."""

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from emocap.errors import EmocapError
from emocap.models.backbones import backbone_files, find_backbone
from emocap.models.initialisation import build_config, load_backbone

from ..tiny_bert import TINY

SETTINGS = {key: value for key, value in TINY.items() if key != "model_type"}
ADAPTER = "encoder.layer.0.output.adapters.task.down.weight"


@pytest.fixture
def folder(tiny_bert, tmp_path):
    """A copy of the tiny BERT's folder."""
    return shutil.copytree(tiny_bert, tmp_path / "copy")


@pytest.fixture
def load(vocabulary):
    """Loads a folder as a study does: `load(folder, pooling=...)`."""

    def load_folder(folder, **changes):
        backbone = find_backbone(str(folder))
        config = build_config(backbone.folder, vocabulary, **{"pooling": "mean", "visual_token_type": 0} | changes)
        return load_backbone(config, backbone.folder)

    return load_folder


def rewrite(folder, change) -> None:
    """Replace the folder's tensors by `change(tensors)`."""
    tensors = change(load_file(folder / "model.safetensors"))
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("task", "head", "has_pooler"),
    [
        ("SequenceClassification", "classifier.weight", True),
        ("TokenClassification", "classifier.weight", False),
        ("QuestionAnswering", "qa_outputs.weight", False),
        ("MaskedLM", "cls.predictions.bias", False),
        ("PreTraining", "cls.seq_relationship.weight", True),
        ("MultipleChoice", "classifier.bias", True),
        ("NextSentencePrediction", "cls.seq_relationship.bias", True),
    ],
)
def test_names_the_head_that_it_leaves_out(folder, load, caplog, task: str, head: str, has_pooler: bool) -> None:
    model = getattr(transformers, f"BertFor{task}")(transformers.BertConfig(**SETTINGS))
    model.save_pretrained(folder)
    with caplog.at_level("INFO", logger="emocap"):
        loaded, report = load(folder)
    assert head in report.ignored
    assert any(head in record.message and "not used" in record.message for record in caplog.records)
    assert ("visualbert.pooler.dense.weight" in report.loaded) == has_pooler
    own = loaded.visualbert.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in model.bert.state_dict().items())


@pytest.mark.parametrize(
    ("task", "head"),
    [("QuestionAnswering", "cls.weight"), ("RegionToPhraseAlignment", "attention.query.weight")],
)
def test_names_the_head_of_a_visualbert(folder, load, task: str, head: str) -> None:
    config = transformers.VisualBertConfig(**SETTINGS, visual_embedding_dim=8)
    getattr(transformers, f"VisualBertFor{task}")(config).save_pretrained(folder)
    model, report = load(folder)
    assert head in report.ignored
    assert report.initialised == ("fc.weight", "fc.bias")
    assert model.config.visual_embedding_dim == 8, "by default the checkpoint's own"


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.bert.", "0.auto_model.", "_orig_mod.roberta."])
def test_finds_the_encoder_under_any_prefix(folder, load, prefix: str) -> None:
    outer = prefix[: prefix.rstrip(".").rfind(".") + 1]
    head = {f"{outer}classifier.weight": torch.zeros(2, 32), f"{prefix}embeddings.position_ids": torch.arange(32)}
    before, _ = load(folder)
    rewrite(folder, lambda tensors: {f"{prefix}{name}": tensor for name, tensor in tensors.items()} | head)
    after, report = load(folder)
    assert set(report.ignored) == set(head)
    assert torch.equal(after.visualbert.pooler.dense.weight, before.visualbert.pooler.dense.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_loads_any_floating_dtype_as_float32(folder, load, dtype) -> None:
    rewrite(folder, lambda tensors: {name: tensor.to(dtype) for name, tensor in tensors.items()})
    model, _ = load(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {ADAPTER: torch.zeros(4, 32)}, rf"1 tensors unexpected \({ADAPTER}\); save the encoder alone"),
        (lambda t: t | {"encoder.layer.3.output.dense.bias": torch.zeros(32)}, r"unexpected \(encoder\.layer\.3\."),
        (lambda t: t | {"crf.transitions": torch.zeros(2, 2)}, r"1 tensors unexpected \(crf\.transitions\)"),
        (lambda t: t | {"embeddings.LayerNorm.gamma": torch.ones(32)}, r"unexpected \(embeddings\.LayerNorm\."),
        (lambda t: {f"{side}.{n}": x for side in "pq" for n, x in t.items()}, r"holds 2 encoders \(p\., q\.\)"),
        (lambda t: {"wte.weight": torch.zeros(2, 2)}, r"which its config.json asks for \(wte\.weight"),
        (lambda t: {n: x.to(torch.int8) for n, x in t.items()}, r"is torch\.int8; give weights that are not quantised"),
    ],
)
def test_names_what_makes_it_no_encoder(folder, load, change, message: str) -> None:
    rewrite(folder, change)
    with pytest.raises(EmocapError, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change", [{"vocab_size": "45"}, {"hidden_act": "none"}, {"num_attention_heads": 5}, {"pad_token_id": 1000}]
)
def test_reports_an_impossible_configuration_in_one_line(folder, load, change) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(EmocapError, match=r"config\.json: describes no model that can be built") as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_warns_if_the_pooler_is_new(folder, load, caplog) -> None:
    rewrite(folder, lambda tensors: {name: tensor for name, tensor in tensors.items() if "pooler" not in name})
    load(folder, pooling="mean")
    assert "has no pooler" not in caplog.text
    load(folder, pooling="pooler")
    assert "has no pooler" in caplog.text


def test_one_token_type_serves_text_and_regions(folder, load, tiny_batch) -> None:
    transformers.BertModel(transformers.BertConfig(**SETTINGS | {"type_vocab_size": 1})).save_pretrained(folder)
    model, _ = load(folder, visual_dim=8)
    assert model(**tiny_batch).logits.shape == (2, 3)
    with pytest.raises(EmocapError, match=r"visual_token_type is 1, but .* has 1 types"):
        load(folder, visual_token_type=1)


def test_head_of_other_emotions_is_named(tiny_model, tiny_bert, load, tmp_path) -> None:
    tiny_model.config.id2label = {0: "calm", 1: "awe", 2: "sad"}
    tiny_model.save_pretrained(tmp_path)
    shutil.copy(tiny_bert / "vocab.txt", tmp_path)
    _, report = load(tmp_path)
    assert set(report.ignored) == {"fc.weight", "fc.bias"}
    assert set(report.initialised) == {"fc.weight", "fc.bias"}


def test_reads_older_folders_of_sentence_transformers(folder, load, tmp_path) -> None:
    older = tmp_path / "older"
    (older / "1_Pooling").mkdir(parents=True)
    shutil.copytree(folder, older / "0_Transformer")
    modules = [{"idx": 0, "path": "0_Transformer"}, {"idx": 1, "path": "1_Pooling"}]
    (older / "modules.json").write_text(json.dumps(modules))
    assert find_backbone(str(older)).folder == older / "0_Transformer"
    assert older / "0_Transformer" / "model.safetensors" in backbone_files(str(older))
    assert len(load(older)[1].loaded) == len(load(folder)[1].loaded)


def test_an_adapter_alone_is_named(tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(EmocapError, match="an adapter without its model; merge them"):
        find_backbone(str(tmp_path))
