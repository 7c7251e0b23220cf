"""AnB and AnB+: which layers move, which are new, which are frozen."""

import pytest
import torch

from emocap.errors import EmocapError
from emocap.models.transfer import is_head_only, transfer


def same(a: torch.nn.Module, b: torch.nn.Module) -> list[bool]:
    return [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_the_lowest_layers_move_and_the_rest_is_new(tiny_model, n: int) -> None:
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


def test_the_student_is_left_as_it_is(tiny_model) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_model.state_dict().items()}
    model = transfer(tiny_model, 1, freeze=True)
    with torch.no_grad():
        model.visualbert.embeddings.word_embeddings.weight.add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_model.state_dict().items())
    assert all(p.requires_grad for p in tiny_model.parameters())


def test_the_head_moves_where_asked(tiny_model) -> None:
    model = transfer(tiny_model, freeze=True, copy_head=True)
    assert torch.equal(model.fc.weight, tiny_model.fc.weight)


def test_new_parts_depend_on_the_seed_alone(tiny_model) -> None:
    torch.manual_seed(5)
    first = transfer(tiny_model, 1, freeze=False, seed=3)
    torch.manual_seed(6)
    again, other = transfer(tiny_model, 1, freeze=False, seed=3), transfer(tiny_model, 1, freeze=False, seed=4)
    assert all(same(first, again))
    assert not all(same(first, other))


def test_too_many_layers_are_refused(tiny_model) -> None:
    with pytest.raises(EmocapError, match=r"n_transferred is 4, but the student has 3 layers; choose 0 to 3"):
        transfer(tiny_model, 4, freeze=True)
