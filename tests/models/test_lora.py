"""Low-rank updates: what is trained, of which rank the change is, and that the model is an ordinary one afterwards."""

import copy

import pytest
import torch

from emocap.errors import EmocapError
from emocap.models.classifier import EmotionHead, EmotionNetwork
from emocap.models.lora import low_rank_updates
from emocap.models.text_encoder import TextEncoderForEmotion
from emocap.models.transfer import transfer
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model
from emocap.training.settings import TrainSettings
from emocap.training.train import train

from ..tiny_encoders import OWN, tiny_config

UPDATES = {"rank": 3, "alpha": 6.0, "dropout": 0.0}


def step(model: EmotionNetwork, batch: dict[str, torch.Tensor], rate: float = 0.05) -> None:
    """A few steps that change all that is trained."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    for _ in range(4):
        optimizer.zero_grad()
        model(**batch, labels=torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])).loss.backward()
        optimizer.step()


@pytest.fixture(params=["visual_bert", *OWN])
def network(request, tiny_model) -> EmotionNetwork:
    """A network of each architecture, all of whose layers are pretrained."""
    if request.param == "visual_bert":
        return tiny_model
    torch.manual_seed(0)
    config = tiny_config(request.param, pooling="mean", visual_embedding_dim=8, num_labels=3)
    return TextEncoderForEmotion(config).eval()


def test_each_matrix_changes_by_the_rank(network, tiny_batch) -> None:
    before, names = copy.deepcopy(network.state_dict()), list(network.state_dict())
    with low_rank_updates(network, **UPDATES):
        step(network, tiny_batch)
    assert list(network.state_dict()) == names
    assert all(parameter.requires_grad for parameter in network.parameters())
    ranks = {}
    for name, weight in network.state_dict().items():
        difference = weight.double() - before[name].double()
        if difference.any():
            sizes = torch.linalg.svdvals(difference) if difference.dim() == 2 else difference.abs()
            ranks[name] = int((sizes > 1e-5 * sizes.max()).sum())
    whole = {name for name in ranks if name.startswith((network.visual_names, "fc."))}
    assert {name.partition(".")[0] for name in whole} >= {"fc"}
    layers = [name for name in ranks if name not in whole]
    assert {ranks[name] for name in layers} == {3}
    inside = {
        name
        for layer in network.layers
        for name, weight in network.named_parameters()
        if weight.dim() == 2 and any(weight is other for other in layer.parameters())
    }
    assert set(layers) == inside, "every matrix of the layers, and nothing below them"


def test_merged_model_computes_what_was_trained(network, tiny_batch) -> None:
    with low_rank_updates(network, **UPDATES):
        step(network, tiny_batch)
        network.eval()
        with torch.inference_mode():
            trained = network(**tiny_batch).logits
    with torch.inference_mode():
        torch.testing.assert_close(network(**tiny_batch).logits, trained, atol=1e-4, rtol=1e-4)


def test_only_updates_regions_and_fc_are_trained(tiny_model) -> None:
    with low_rank_updates(tiny_model, **UPDATES, targets=["query", "value"]):
        named = {name: p for name, p in tiny_model.named_parameters() if p.requires_grad}
        updates = {name for name in named if ".lora_" in name}
        assert {name.split(".lora_")[0].rpartition(".")[2] for name in updates} == {"query", "value"}
        assert len(updates) == 3 * 2 * 2
        others = set(named) - updates
        assert all(name.startswith(("fc.", "visualbert.embeddings.visual_")) for name in others)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_layers_above_the_copied_are_trained_whole(tiny_model, tiny_batch, n: int) -> None:
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    model = transfer(tiny_model, n, freeze=False, seed=1)
    with low_rank_updates(model, **UPDATES):
        updated = [any(".lora_" in name for name, _ in layer.named_parameters()) for layer in model.layers]
        whole = [all(p.requires_grad for p in layer.parameters()) for layer in model.layers]
        step(model, tiny_batch)
    assert updated == [number < n for number in range(3)]
    assert whole == [number >= n for number in range(3)]
    assert all(torch.equal(before[name], value) for name, value in tiny_model.state_dict().items()), "the base is kept"


def test_pooler_is_updated_where_it_is_used(tiny_model) -> None:
    tiny_model.pooling = "pooler"
    with low_rank_updates(tiny_model, **UPDATES):
        assert any("pooler.dense.lora_A" in name for name, _ in tiny_model.named_parameters())


def test_saved_model_holds_no_adapter(tiny_model, tiny_bert, tiny_batch, vocabulary, tmp_path) -> None:
    with low_rank_updates(tiny_model, **UPDATES):
        step(tiny_model, tiny_batch)
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "AnB-LoRA", kind=tiny_model.kind)
    save_model(tmp_path / "model", tiny_model.eval(), load_tokenizer(tiny_bert), card)
    assert not list((tmp_path / "model").glob("adapter*"))
    with torch.inference_mode():
        assert torch.equal(load_model(tmp_path / "model").model(**tiny_batch).logits, tiny_model(**tiny_batch).logits)


def test_refuses_unknown_targets_and_heads_alone(tiny_model, tmp_path) -> None:
    with pytest.raises(
        EmocapError, match="lora.targets names 'q_proj', but the encoder's linear layers are dense, key"
    ):
        with low_rank_updates(tiny_model, **UPDATES, targets=["q_proj"]):
            pass
    assert not any(".lora_" in name for name in tiny_model.state_dict())
    pooled = type("Pooled", (list,), {"targets": None})([0])
    with pytest.raises(EmocapError, match="AnB: lora updates an encoder, but none is trained here; leave lora out"):
        train(
            EmotionHead(tiny_model.fc),
            pooled,
            None,
            TrainSettings(lora={}, select_by=None),
            tmp_path,
            name="AnB",
            seed=0,
            metrics=None,
            collate=dict,
            lengths=[1],
        )
