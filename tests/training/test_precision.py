"""The precision that layers really compute in, and the scale of an accumulated loss."""

import copy

import numpy as np
import pytest
import torch

from emocap.models.transfer import transfer
from emocap.training import train as module
from emocap.training.batching import PairDataset
from emocap.training.settings import TrainSettings
from emocap.training.train import train


def fit(model, training, folder, **changes):
    settings = TrainSettings(**({"epochs": 1, "batch_size": 16, "select_by": None} | changes))
    return train(
        model,
        training,
        None,
        settings,
        folder,
        name="test",
        seed=0,
        metrics=None,
        collate=training.collate,
        lengths=training.lengths,
    )


def seen_dtypes(model):
    """The dtypes of what the attention's projection gives, filled while the model runs."""
    seen = set()
    query = model.visualbert.encoder.layer[0].attention.self.query
    query.register_forward_hook(lambda layer, args, output: seen.add(output.dtype))
    return seen


@pytest.mark.parametrize("resumed", [False, True])
def test_every_training_computes_in_its_own_precision(tiny_model, word_data, tmp_path, resumed: bool) -> None:
    training = word_data(32, 0)
    seen = seen_dtypes(tiny_model)
    fit(tiny_model, training, tmp_path / "student", precision="bf16")
    assert seen == {torch.bfloat16}
    if resumed:
        fit(tiny_model, training, tmp_path / "student", precision="bf16")
    moved = transfer(tiny_model, freeze=False)
    seen = seen_dtypes(moved)
    fit(moved, training, tmp_path / "AnB+", precision="float32")
    assert seen == {torch.float32}


def test_training_leaves_nothing_in_the_model(tiny_model, word_data, tmp_path) -> None:
    before = set(vars(tiny_model))
    fit(tiny_model, word_data(16, 0), tmp_path, precision="bf16")
    assert set(vars(tiny_model)) == before


def test_transferred_model_is_a_fresh_object(tiny_model) -> None:
    tiny_model.forward = None  # as a training by another program may leave it
    seen = seen_dtypes(tiny_model)
    moved = transfer(tiny_model, freeze=False)
    moved(input_ids=torch.tensor([[2, 5, 3]]))
    assert not seen, "the hooks of the old object are not copied either"


def test_accumulated_batches_equal_a_whole_one(tiny_model, word_data, tmp_path, monkeypatch) -> None:
    for layer in tiny_model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    targets = np.eye(3, dtype=np.float32)[np.arange(16) % 3]
    training = PairDataset([[2, 10 + row, 14, 3] for row in range(16)], [""] * 16, targets)
    halves = copy.deepcopy(tiny_model)
    of_whole, of_halves = [], []
    tiny_model.fc.bias.register_hook(lambda gradient: of_whole.append(gradient.clone()))
    halves.fc.bias.register_hook(lambda gradient: of_halves.append(gradient.clone()))
    whole = fit(tiny_model, training, tmp_path / "whole")
    arguments = module._arguments

    def accumulating(*args, **kwargs):
        made = arguments(*args, **kwargs)
        made.gradient_accumulation_steps = 2
        return made

    monkeypatch.setattr(module, "_arguments", accumulating)
    accumulated = fit(halves, training, tmp_path / "halves", batch_size=8)
    assert (len(of_whole), len(of_halves)) == (1, 2)
    assert torch.allclose(of_whole[0], sum(of_halves), atol=1e-6)
    assert accumulated["train"][0]["loss"] == pytest.approx(whole["train"][0]["loss"], rel=1e-5)
    assert all(
        torch.allclose(weight, halves.state_dict()[name], atol=1e-4) for name, weight in tiny_model.state_dict().items()
    )
