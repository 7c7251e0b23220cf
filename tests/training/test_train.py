"""The loop: it learns, it stops, it keeps the best, it goes on after a kill, and AnB may run its encoder once."""

import copy
import json
import math
import resource
import signal

import numpy as np
import pytest
import torch

from emocap.errors import EmocapError
from emocap.evaluation.baselines import prior
from emocap.evaluation.metrics import mean_average_precision
from emocap.models.classifier import EmotionHead, set_prior_bias
from emocap.models.transfer import transfer
from emocap.training.batching import PooledDataset
from emocap.training.predict import pooled_vectors, predict_probabilities
from emocap.training.settings import TrainSettings
from emocap.training.train import EpochSampler, train


def scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    return {"mean_average_precision": mean_average_precision(probabilities, targets)}


def fit(model, training, validation, folder, seed=0, **changes):
    settings = TrainSettings(**({"epochs": 3, "learning_rate": 3e-3, "batch_size": 16, "patience": None} | changes))
    collate = training.collate
    return train(
        model,
        training,
        validation,
        settings,
        folder,
        name="test",
        seed=seed,
        metrics=scores,
        collate=collate,
        lengths=training.lengths,
    )


def test_it_learns_what_the_prior_cannot_know(tiny_model, word_data, tmp_path) -> None:
    training, validation, test = word_data(300, 0), word_data(60, 1), word_data(100, 2)
    history = fit(tiny_model, training, validation, tmp_path, epochs=6)
    found = predict_probabilities(tiny_model, test, 32, "test")
    baseline = mean_average_precision(prior(training.targets, 100), test.targets)
    assert mean_average_precision(found, test.targets) > baseline + 0.3
    assert [row["step"] for row in history["train"]] == list(range(1, 6 * math.ceil(300 / 16) + 1))
    assert [row["epoch"] for row in history["validation"]] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert history["n_train_pairs"] == 300
    json.dumps(history, allow_nan=False)


def test_the_best_epoch_is_kept_and_patience_ends_it(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(48, 0), word_data(60, 1)
    history = fit(
        tiny_model, training, validation, tmp_path, epochs=40, learning_rate=1e-2, patience=2, schedule="constant"
    )
    losses = [row["loss"] for row in history["validation"]]
    assert len(losses) < 40
    best = int(np.argmin(losses))
    assert history["best_epoch"] == best + 1 == len(losses) - 2
    p = predict_probabilities(tiny_model, validation, 32, "validation")
    kept = torch.nn.functional.binary_cross_entropy(torch.tensor(p), torch.tensor(validation.targets)).item()
    assert kept == pytest.approx(losses[best], abs=1e-4)


class Killed(Exception):
    pass


@pytest.mark.parametrize(("save_steps", "kill_at"), [(None, 25), (7, 17)])
def test_a_killed_run_goes_on_as_an_unbroken_one(tiny_model, word_data, tmp_path, save_steps, kill_at) -> None:
    training = word_data(160, 0)
    validation = word_data(40, 1) if save_steps is None else None
    whole, broken = copy.deepcopy(tiny_model), copy.deepcopy(tiny_model)
    unbroken = fit(whole, training, validation, tmp_path / "whole", save_steps=save_steps)

    calls = 0

    def dying(items):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        return type(training).collate(training, items)

    settings = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 16, "patience": None, "save_steps": save_steps}
    with pytest.raises(Killed):
        train(
            broken,
            training,
            validation,
            TrainSettings(**settings),
            tmp_path / "broken",
            name="test",
            seed=0,
            metrics=scores,
            collate=dying,
            lengths=training.lengths,
        )
    assert list((tmp_path / "broken" / "checkpoints").glob("checkpoint-*")), "it died before its first checkpoint"
    torch.manual_seed(99)
    resumed = fit(broken, training, validation, tmp_path / "broken", save_steps=save_steps)
    assert [row["loss"] for row in resumed["train"]] == [row["loss"] for row in unbroken["train"]]
    assert resumed["validation"] == unbroken["validation"]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, broken.state_dict()[name]), name


def test_a_run_that_stopped_early_does_not_go_on_after_a_kill(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(16, 0), word_data(60, 1)
    settings = {"epochs": 40, "learning_rate": 3e-2, "batch_size": 8, "patience": 1, "schedule": "constant"}
    first, again = copy.deepcopy(tiny_model), copy.deepcopy(tiny_model)
    history = fit(first, training, validation, tmp_path, **settings)
    assert len(history["validation"]) < 40
    assert fit(again, training, validation, tmp_path, **settings) == history
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("damage", ["optimizer.pt", "trainer_state.json", "model.safetensors"])
def test_a_checkpoint_cut_short_is_passed_over(tiny_model, word_data, tmp_path, damage: str) -> None:
    training = word_data(64, 0)
    first = fit(copy.deepcopy(tiny_model), training, None, tmp_path, select_by=None, epochs=3)
    (tmp_path / "checkpoints" / "history.json").unlink()  # as if killed before it was over
    newest = max((tmp_path / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    broken = newest / damage
    broken.write_bytes(broken.read_bytes()[:100])
    again = fit(copy.deepcopy(tiny_model), training, None, tmp_path, select_by=None, epochs=3)
    assert [row["loss"] for row in again["train"]] == [row["loss"] for row in first["train"]]


def test_no_space_for_a_checkpoint_is_one_line(tiny_model, word_data, tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(EmocapError, match="checkpoints: cannot be written") as error:
            fit(tiny_model, word_data(32, 0), None, tmp_path, select_by=None, epochs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert "\n" not in str(error.value)


def test_frozen_encoder_run_once_equals_training_through_it(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(96, 0), word_data(30, 1)
    direct = transfer(tiny_model, freeze=True, seed=1)
    set_prior_bias(direct.fc, torch.tensor(training.targets.mean(0)))
    cached = copy.deepcopy(direct)
    settings = {"head_learning_rate": 5e-3, "epochs": 2}
    slow = fit(direct, training, validation, tmp_path / "slow", **settings)
    pooled = [PooledDataset(pooled_vectors(cached, data, 16, "x"), data.targets) for data in (training, validation)]
    head = EmotionHead(cached.fc)
    fast = train(
        head,
        pooled[0],
        pooled[1],
        TrainSettings(batch_size=16, patience=None, **settings),
        tmp_path / "fast",
        name="test",
        seed=0,
        metrics=scores,
        collate=PooledDataset.collate,
        lengths=training.lengths,
    )
    assert [r["loss"] for r in fast["train"]] == pytest.approx([r["loss"] for r in slow["train"]], abs=1e-5)
    torch.testing.assert_close(cached.fc.weight, direct.fc.weight, atol=1e-5, rtol=1e-4)
    before, after = tiny_model.visualbert.state_dict(), direct.visualbert.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "a frozen layer moved"


def test_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = list(range(100))

    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(lengths, 4, seed)
        sampler.epoch = epoch
        torch.manual_seed(epoch * 7)
        return list(sampler)

    assert sorted(order(0, 0)) == lengths
    assert order(0, 1) == order(0, 1)
    assert order(0, 0) != order(0, 1) != order(1, 1)


def test_adam_and_frozen_parameters(tiny_model) -> None:
    from emocap.training.train import _optimizer

    tiny_model.freeze([tiny_model.visualbert])
    optimizer = _optimizer(tiny_model, TrainSettings(optimizer="adam", head_learning_rate=None, learning_rate=1e-4))
    assert type(optimizer) is torch.optim.Adam
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    assert {group["lr"] for group in optimizer.param_groups} == {1e-4}
    adamw = _optimizer(transfer(tiny_model, freeze=False), TrainSettings(head_learning_rate=1e-2, learning_rate=1e-4))
    assert {(g["lr"], g["weight_decay"]) for g in adamw.param_groups} == {
        (1e-4, 0.01),
        (1e-4, 0.0),
        (1e-2, 0.01),
        (1e-2, 0.0),
    }


def test_a_loss_that_is_not_finite_is_one_line(tiny_model, word_data, tmp_path) -> None:
    with torch.no_grad():
        tiny_model.fc.weight.fill_(float("nan"))
    with pytest.raises(EmocapError, match="loss is not finite at step 1; lower learning_rate"):
        fit(tiny_model, word_data(32, 0), None, tmp_path, select_by=None)
