"""AnB and AnB+: which layers are copied, which are new, which are frozen."""

import pytest
import torch

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.models.transfer import is_head_only, transfer, unfreeze
from emocap.training.checkpoint import ModelCard, load_model, load_tokenizer, save_model

FIVE = Vocabulary(("calm", "happy", "fear", "sad", "awe"))


def same(a: torch.nn.Module, b: torch.nn.Module) -> list[bool]:
    return [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_copies_lowest_layers_and_reinitialises_the_rest(tiny_model, n: int) -> None:
    model = transfer(tiny_model, n, freeze=True, seed=1)
    old, new = tiny_model.visualbert, model.visualbert
    assert all(same(old.embeddings, new.embeddings))
    for number, (a, b) in enumerate(zip(old.encoder.layer, new.encoder.layer, strict=True)):
        assert torch.equal(a.attention.self.query.weight, b.attention.self.query.weight) == (number < n)
        assert all(p.requires_grad == (number >= n) for p in b.parameters())
    assert not torch.equal(tiny_model.fc.weight, model.fc.weight)
    assert model.fc.weight.requires_grad
    assert is_head_only(model) == (n == 3)


def test_anb_plus_trains_everything(tiny_model) -> None:
    model = transfer(tiny_model, None, freeze=False)
    assert all(p.requires_grad for p in model.parameters())
    assert all(same(tiny_model.visualbert, model.visualbert))
    assert not is_head_only(model)


def test_does_not_modify_the_student(tiny_model) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    model = transfer(tiny_model, 1, freeze=True)
    with torch.no_grad():
        model.visualbert.embeddings.word_embeddings.weight.add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_model.state_dict().items())
    assert all(p.requires_grad for p in tiny_model.parameters())


def test_copies_the_head_on_request(tiny_model) -> None:
    model = transfer(tiny_model, freeze=True, copy_head=True)
    assert torch.equal(model.fc.weight, tiny_model.fc.weight)


def test_new_layers_depend_only_on_the_seed(tiny_model) -> None:
    torch.manual_seed(5)
    first = transfer(tiny_model, 1, freeze=False, seed=3)
    torch.manual_seed(6)
    again, other = transfer(tiny_model, 1, freeze=False, seed=3), transfer(tiny_model, 1, freeze=False, seed=4)
    assert all(same(first, again))
    assert not all(same(first, other))


def test_rejects_too_many_layers(tiny_model) -> None:
    with pytest.raises(EmocapError, match=r"n_transferred is 4, but the student has 3 layers; choose 0 to 3"):
        transfer(tiny_model, 4, freeze=True)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_another_vocabulary_changes_only_the_head(tiny_model, tiny_batch, n: int) -> None:
    own, other = (
        transfer(tiny_model, n, freeze=True, seed=2),
        transfer(tiny_model, n, freeze=True, seed=2, vocabulary=FIVE),
    )
    assert all(same(own.visualbert, other.visualbert)), "the re-initialised layers do not depend on the labels"
    assert [p.requires_grad for p in own.parameters()] == [p.requires_grad for p in other.parameters()]
    assert other.fc.weight.shape == (5, 32)
    assert other.fc.bias.tolist() == [0] * 5
    assert 0.01 < other.fc.weight.std() < 0.03
    assert other(**tiny_batch, labels=torch.ones(2, 5)).logits.shape == (2, 5)


def test_another_vocabulary_is_saved_with_the_model(tiny_model, tiny_bert, tmp_path) -> None:
    model = transfer(tiny_model, freeze=False, vocabulary=FIVE)
    assert model.config.num_labels == model.visualbert.config.num_labels == 5
    assert model.config.id2label == dict(enumerate(FIVE.labels))
    assert model.config.label2id == {"calm": 0, "happy": 1, "fear": 2, "sad": 3, "awe": 4}
    assert tiny_model.config.id2label == {0: "happy", 1: "sad", 2: "awe"}
    assert tiny_model.fc.weight.shape == (3, 32)
    card = ModelCard(list(FIVE.labels), FIVE.hash, 16, None, "AnB+")
    save_model(tmp_path / "model", model, load_tokenizer(tiny_bert), card)
    saved = load_model(tmp_path / "model")
    assert saved.vocabulary == FIVE
    assert torch.equal(saved.model.fc.weight, model.fc.weight)


def test_new_head_leaves_the_callers_generator_alone(tiny_model) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = transfer(tiny_model, freeze=True, seed=1, vocabulary=FIVE)
    assert torch.equal(torch.rand(3), expected)
    again = transfer(tiny_model, freeze=True, seed=1, vocabulary=FIVE)
    assert all(same(first, again))
    assert not all(same(first, transfer(tiny_model, freeze=True, seed=2, vocabulary=FIVE)))


def test_same_vocabulary_changes_nothing(tiny_model, vocabulary) -> None:
    transferred = transfer(tiny_model, 1, freeze=True, copy_head=True, seed=1, vocabulary=vocabulary)
    assert all(same(transferred, transfer(tiny_model, 1, freeze=True, copy_head=True, seed=1)))


@pytest.mark.parametrize("labels", [FIVE.labels, ("sad", "happy", "awe")])
def test_rejects_copying_a_head_of_other_emotions(tiny_model, labels: tuple[str, ...]) -> None:
    with pytest.raises(
        EmocapError, match=r"transfer\.head is copied, but the student's emotions .* use fresh"
    ) as error:
        transfer(tiny_model, freeze=True, copy_head=True, vocabulary=Vocabulary(labels))
    assert "\n" not in str(error.value)


def test_unfreeze_restores_training_and_dropout(tiny_model) -> None:
    model = transfer(tiny_model, None, freeze=True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    assert not model.visualbert.embeddings.training
    unfreeze(model)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert not is_head_only(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("pooling", ["mean", "first", "first+mean", "pooler"])
def test_head_only_ignores_an_unused_pooler(tiny_model, pooling: str) -> None:
    tiny_model.pooling = pooling
    tiny_model.freeze([tiny_model.visualbert.embeddings, tiny_model.visualbert.encoder])
    assert is_head_only(tiny_model) == (pooling != "pooler")
