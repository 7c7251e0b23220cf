"""Region tokens in text encoders of six architectures: what they compute, save, load, and refuse."""

import pytest
import torch
import transformers
from transformers import AutoModel

from emocap.errors import EmocapError
from emocap.models.initialisation import build_config, load_backbone
from emocap.models.text_encoder import TextEncoderForEmotion, longest_text
from emocap.models.transfer import is_head_only, transfer
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model
from emocap.training.optimizer import build_optimizer
from emocap.training.settings import TrainSettings

from ..tiny_encoders import OWN, tiny_config, write_tiny_encoder

ADDED = {"visual_embedding_dim": 8, "id2label": {0: "happy", 1: "sad", 2: "awe"}}
WITHOUT_POOLER = {"distilbert", "modernbert", "electra"}


def network(architecture: str, pooling: str = "first+mean", **changes) -> TextEncoderForEmotion:
    torch.manual_seed(0)
    return TextEncoderForEmotion(tiny_config(architecture, pooling=pooling, **ADDED, **changes)).eval()


@pytest.fixture
def batch():
    """Two pairs: twelve tokens and four regions; five tokens and two regions."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 40, (2, 12), generator=generator)
    mask = torch.ones(2, 12, dtype=torch.long)
    ids[1, 5:], mask[1, 5:] = 1, 0
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "visual_embeds": torch.randn(2, 4, 8, generator=generator),
        "visual_attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
    }


@pytest.mark.parametrize("architecture", OWN)
def test_without_images_equals_the_library(architecture: str, batch) -> None:
    model, library = network(architecture), AutoModel.from_config(tiny_config(architecture)).eval()
    library.load_state_dict(model.encoder.state_dict())
    ids, mask = batch["input_ids"], batch["attention_mask"]
    with torch.inference_mode():
        expected = library(input_ids=ids, attention_mask=mask).last_hidden_state
        found = model.encode(mask, input_ids=ids)[0].last_hidden_state
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", OWN)
def test_padding_and_other_pairs_change_nothing(architecture: str, batch) -> None:
    model = network(architecture)
    with torch.inference_mode():
        together = model(**batch).logits[1]
        alone = model(batch["input_ids"][1:, :5], visual_embeds=batch["visual_embeds"][1:, :2]).logits[0]
        without = model(batch["input_ids"][1:, :5]).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone, without, atol=1e-2), "the image matters"


@pytest.mark.parametrize("architecture", OWN)
def test_missing_image_equals_no_image(architecture: str, batch) -> None:
    model = network(architecture)
    batch["visual_attention_mask"][1] = 0
    with torch.inference_mode():
        masked, absent = model(**batch).logits[1], model(batch["input_ids"], batch["attention_mask"]).logits[1]
    torch.testing.assert_close(masked, absent, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", sorted(set(OWN) - {"modernbert"}))
def test_order_of_regions_changes_nothing(architecture: str, batch) -> None:
    model, batch = network(architecture), {name: tensor[:1] for name, tensor in batch.items()}
    with torch.inference_mode():
        logits = model(**batch).logits
        batch["visual_embeds"] = batch["visual_embeds"].flip(1)
        torch.testing.assert_close(model(**batch).logits, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", OWN)
def test_poolings_are_those_of_visualbert(architecture: str, batch) -> None:
    model = network(architecture)
    _, mask = model.encode(batch.pop("attention_mask"), **batch)
    assert mask[1].tolist() == [1] * 7 + [0] * 9, "tokens, then regions, then padding"
    for pooling, width in (("mean", 32), ("first", 32), ("first+mean", 64)):
        assert network(architecture, pooling).fc.in_features == width
    if architecture in WITHOUT_POOLER:
        with pytest.raises(ValueError, match=f"{architecture} has no pooler; choose mean or first"):
            network(architecture, "pooler")
    else:
        assert network(architecture, "pooler").pool(batch["input_ids"]).shape == (2, 32)


def test_attention_of_mpnet_equals_the_library_in_training() -> None:
    ours, library = network("mpnet"), AutoModel.from_config(tiny_config("mpnet")).eval()
    library.load_state_dict(ours.encoder.state_dict())
    ids = torch.arange(5, 35)[None]
    ours.encode(torch.ones_like(ids), input_ids=ids)[0].last_hidden_state.square().sum().backward()
    library(ids).last_hidden_state.square().sum().backward()
    expected = library.encoder.relative_attention_bias.weight.grad
    assert expected.abs().max() > 0
    torch.testing.assert_close(ours.encoder.encoder.relative_attention_bias.weight.grad, expected, atol=1e-4, rtol=1e-3)


@pytest.fixture(params=OWN)
def loaded(request, tmp_path, vocabulary):
    """A backbone's folder, and the classifier that it becomes."""
    folder = write_tiny_encoder(tmp_path, request.param)
    config = build_config(folder, vocabulary, pooling="mean", visual_token_type=0, visual_dim=8, dropout=0.2)
    return folder, *load_backbone(config, folder, seed=0)


def test_backbone_loses_no_tensor(loaded) -> None:
    folder, model, report = loaded
    library = AutoModel.from_pretrained(folder)
    if library.config.model_type == "bert":
        assert model.kind == "visual_bert"
        return
    assert all(torch.equal(model.encoder.state_dict()[name], value) for name, value in library.state_dict().items())
    new = ("visual_embeddings.projection.weight", "visual_embeddings.projection.bias", "fc.weight", "fc.bias")
    assert report.initialised == new
    assert not report.ignored
    assert any(module.p == 0.2 for module in model.encoder.modules() if isinstance(module, torch.nn.Dropout))


def test_saved_model_predicts_the_same(loaded, batch, vocabulary, tmp_path) -> None:
    folder, model, _ = loaded
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 38, None, "teacher", kind=model.kind)
    save_model(tmp_path / "saved", model.eval(), load_tokenizer(folder), card)
    saved = load_model(tmp_path / "saved")
    assert type(saved.model) is type(model)
    with torch.inference_mode():
        assert torch.equal(saved.model(**batch).logits, model(**batch).logits)
    again, report = load_backbone(
        build_config(tmp_path / "saved", vocabulary, pooling="mean", visual_token_type=0), tmp_path / "saved"
    )
    assert not report.initialised, "a saved model is a backbone too, with its regions and fc"
    assert torch.equal(again.fc.weight, model.fc.weight)


@pytest.mark.parametrize("n", [1, 3])
def test_transfer_copies_the_lowest_layers(loaded, n: int) -> None:
    _, base, _ = loaded
    model = transfer(base, n, freeze=True, seed=1)
    for number, (old, new) in enumerate(zip(base.layers, model.layers, strict=True)):
        pairs = list(zip(old.parameters(), new.parameters(), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs) == (number < n)
        assert all(b.requires_grad == (number >= n) for _, b in pairs)
    assert not any(p.requires_grad for part in model.lower for p in part.parameters())
    assert is_head_only(model) == (n == 3)
    named = {id(p) for part in (*model.lower, *model.layers, *model.upper, model.fc) for p in part.parameters()}
    assert named == {id(p) for p in model.parameters()}, "no parameter is forgotten"


def test_layers_near_the_input_learn_slower(loaded) -> None:
    _, model, _ = loaded
    settings = TrainSettings(learning_rate=1.0, layer_decay=0.5, head_learning_rate=7.0, visual_learning_rate=5.0)
    groups = build_optimizer(model, settings).param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert [rates[id(next(layer.parameters()))] for layer in model.layers] == [0.25, 0.5, 1.0]
    assert rates[id(model.get_input_embeddings().weight)] == 0.125
    assert rates[id(model.fc.weight)] == 7.0
    regions = [p for name, p in model.named_parameters() if name.startswith(model.visual_names)]
    assert {rates[id(parameter)] for parameter in regions} == {5.0}


@pytest.mark.parametrize(("architecture", "longest"), [("roberta", 38), ("mpnet", 38), ("electra", 40)])
def test_longest_text_leaves_out_reserved_positions(architecture: str, longest: int) -> None:
    model = network(architecture)
    assert longest_text(model) == longest
    model(torch.full((1, longest), 5), visual_embeds=torch.zeros(1, 9, 8))  # regions use no further position


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ('{"model_type": "gpt2"}', "no text encoder"),
        ('{"model_type": "bart"}', "no text encoder .*, but an encoder-decoder; choose"),
        ('{"model_type": "t5"}', "but an encoder-decoder"),
        ('{"model_type": "roberta", "is_decoder": true}', "but a decoder; choose another backbone"),
        ('{"model_type": "vit"}', "no text encoder"),
        ("{}", "model_type is None, .* add it if the model is one"),
        ('{"model_type": "roberta", "type_vocab_size": 1}', r"model.visual_token_type is 1, but .* has 1 types"),
        ('{"model_type": "roberta", "hidden_size": "wide"}', "describes no model that can be built"),
    ],
)
def test_refuses_what_is_no_text_encoder(tmp_path, vocabulary, values: str, message: str) -> None:
    (tmp_path / "config.json").write_text(values)
    with pytest.raises(EmocapError, match=message) as error:
        build_config(tmp_path, vocabulary, pooling="mean", visual_token_type=1)
    assert "\n" not in str(error.value)


def test_head_of_another_task_is_left_out(tmp_path, vocabulary) -> None:
    model = transformers.RobertaForMaskedLM(tiny_config("roberta"))
    model.save_pretrained(tmp_path)
    config = build_config(tmp_path, vocabulary, pooling="pooler", visual_token_type=0)
    found, report = load_backbone(config, tmp_path)
    assert "lm_head.dense.weight" in report.ignored
    assert "encoder.pooler.dense.weight" in report.initialised
    own = found.encoder.state_dict()
    assert all(torch.equal(own[name], value) for name, value in model.roberta.state_dict().items())


def test_half_precision_checkpoint_becomes_float32(tmp_path, vocabulary) -> None:
    AutoModel.from_config(tiny_config("mpnet")).half().save_pretrained(tmp_path)
    config = build_config(tmp_path, vocabulary, pooling="mean", visual_token_type=0)
    model, _ = load_backbone(config, tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
