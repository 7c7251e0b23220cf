"""The training loop: it learns, stops early, keeps the best epoch and resumes; AnB may run its encoder once."""

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
from emocap.evaluation.ranking_metrics import mean_average_precision
from emocap.models.classifier import EmotionHead, set_prior_bias
from emocap.models.transfer import transfer
from emocap.training.batching import PairDataset, PooledDataset
from emocap.training.losses import Loss, bce, build_loss
from emocap.training.optimizer import build_optimizer
from emocap.training.predict import pooled_vectors, predict_probabilities
from emocap.training.sampler import EpochSampler
from emocap.training.settings import TrainSettings
from emocap.training.train import train


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


def test_learns_more_than_the_prior(tiny_model, word_data, tmp_path) -> None:
    training, validation, test = word_data(300, 0), word_data(60, 1), word_data(100, 2)
    history = fit(tiny_model, training, validation, tmp_path, epochs=6)
    predicted = predict_probabilities(tiny_model, test, 32, "test")
    baseline = mean_average_precision(prior(training.targets, 100), test.targets)
    assert mean_average_precision(predicted, test.targets) > baseline + 0.3
    assert [row["step"] for row in history["train"]] == list(range(1, 6 * math.ceil(300 / 16) + 1))
    assert [row["epoch"] for row in history["validation"]] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert history["n_train_pairs"] == 300
    json.dumps(history, allow_nan=False)


def test_keeps_best_epoch_and_stops_early(tiny_model, word_data, tmp_path) -> None:
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


@pytest.mark.parametrize(
    ("save_steps", "kill_at", "more"),
    [
        (None, 25, {}),
        (7, 17, {}),
        (None, 25, {"loss": "weighted", "layer_decay": 0.7}),
        (None, 25, {"lora": {"rank": 2}}),
    ],
)
def test_resumed_run_equals_an_uninterrupted_one(tiny_model, word_data, tmp_path, save_steps, kill_at, more) -> None:
    training = word_data(160, 0)
    validation = word_data(40, 1) if save_steps is None else None
    whole, interrupted = copy.deepcopy(tiny_model), copy.deepcopy(tiny_model)
    uninterrupted = fit(whole, training, validation, tmp_path / "whole", save_steps=save_steps, **more)

    calls = 0

    def killed_at(items):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        return type(training).collate(training, items)

    settings = {
        "epochs": 3,
        "learning_rate": 3e-3,
        "batch_size": 16,
        "patience": None,
        "save_steps": save_steps,
        **more,
    }
    with pytest.raises(Killed):
        train(
            interrupted,
            training,
            validation,
            TrainSettings(**settings),
            tmp_path / "interrupted",
            name="test",
            seed=0,
            metrics=scores,
            collate=killed_at,
            lengths=training.lengths,
        )
    assert list((tmp_path / "interrupted" / "checkpoints").glob("checkpoint-*")), "killed before its first checkpoint"
    torch.manual_seed(99)
    resumed = fit(interrupted, training, validation, tmp_path / "interrupted", save_steps=save_steps, **more)
    assert [row["loss"] for row in resumed["train"]] == [row["loss"] for row in uninterrupted["train"]]
    assert resumed["validation"] == uninterrupted["validation"]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, interrupted.state_dict()[name]), name


def test_finished_run_is_not_trained_again(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(16, 0), word_data(60, 1)
    settings = {"epochs": 40, "learning_rate": 3e-2, "batch_size": 8, "patience": 1, "schedule": "constant"}
    first, again = copy.deepcopy(tiny_model), copy.deepcopy(tiny_model)
    history = fit(first, training, validation, tmp_path, **settings)
    assert len(history["validation"]) < 40
    assert fit(again, training, validation, tmp_path, **settings) == history
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("damage", ["optimizer.pt", "trainer_state.json", "model.safetensors"])
def test_skips_truncated_checkpoint(tiny_model, word_data, tmp_path, damage: str) -> None:
    training = word_data(64, 0)
    first = fit(copy.deepcopy(tiny_model), training, None, tmp_path, select_by=None, epochs=3)
    (tmp_path / "checkpoints" / "history.json").unlink()  # as if killed before it was finished
    newest = max((tmp_path / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    damaged = newest / damage
    damaged.write_bytes(damaged.read_bytes()[:100])
    again = fit(copy.deepcopy(tiny_model), training, None, tmp_path, select_by=None, epochs=3)
    assert [row["loss"] for row in again["train"]] == [row["loss"] for row in first["train"]]


@pytest.mark.parametrize("n_bytes", [20_000, 200_000], ids=["in the weights", "in the optimizer"])
def test_reports_full_disk_in_one_line(tiny_model, word_data, tmp_path, n_bytes: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        with pytest.raises(EmocapError, match="checkpoints: cannot be written") as error:
            fit(tiny_model, word_data(32, 0), None, tmp_path, select_by=None, epochs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert "\n" not in str(error.value)


def test_reports_any_error_of_a_full_disk(tiny_model, word_data, tmp_path, monkeypatch) -> None:
    def fail(*_, **__):
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(EmocapError, match="checkpoints: cannot be written or read .no space.*iostream error"):
        fit(tiny_model, word_data(32, 0), None, tmp_path, select_by=None, epochs=1)


@pytest.mark.parametrize("loss", ["bce", "asymmetric"])
def test_cached_vectors_equal_training_with_frozen_encoder(tiny_model, word_data, tmp_path, loss: str) -> None:
    training, validation = word_data(96, 0), word_data(30, 1)
    direct = transfer(tiny_model, freeze=True, seed=1)
    set_prior_bias(direct.fc, torch.tensor(training.targets.mean(0)))
    cached = copy.deepcopy(direct)
    settings = {"head_learning_rate": 5e-3, "epochs": 2, "loss": loss, "layer_decay": 0.5}
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
    assert all(torch.equal(before[name], after[name]) for name in before), "a frozen layer changed"


def cost(loss: Loss, model: torch.nn.Module, data: PairDataset) -> float:
    """The loss of a model, over all pairs and emotions."""
    p = torch.tensor(predict_probabilities(model, data, 32, "cost"), dtype=torch.float64)
    return loss(torch.logit(p), torch.tensor(data.targets, dtype=torch.float64)).item()


@pytest.mark.parametrize("loss", ["weighted", "focal", "asymmetric", "smoothed"])
def test_learns_with_every_loss(tiny_model, word_data, tmp_path, loss: str) -> None:
    training, validation, test = word_data(200, 0), word_data(30, 1), word_data(100, 2)
    history = fit(tiny_model, training, validation, tmp_path, epochs=5, loss=loss, layer_decay=0.9)
    predicted = predict_probabilities(tiny_model, test, 32, "test")
    baseline = mean_average_precision(prior(training.targets, 100), test.targets)
    assert mean_average_precision(predicted, test.targets) > baseline + 0.2
    assert np.mean([row["loss"] for row in history["train"][-5:]]) < history["train"][0]["loss"]
    kept = next(row for row in history["validation"] if row["epoch"] == history["best_epoch"])
    minimised = build_loss(TrainSettings(loss=loss).loss, training.targets)
    assert kept["loss"] == pytest.approx(cost(minimised, tiny_model, validation), abs=1e-4)
    assert kept["bce"] == pytest.approx(cost(bce, tiny_model, validation), abs=1e-4)


def test_best_epoch_is_by_bce_for_any_loss(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(64, 0), word_data(60, 1)
    set_prior_bias(tiny_model.fc, torch.tensor(training.targets.mean(0)))
    smoothed = {"name": "smoothed", "smoothing": 0.95}  # so that the loss falls while the cross-entropy rises
    history = fit(
        tiny_model, training, validation, tmp_path,
        loss=smoothed, learning_rate=1e-4, head_learning_rate=1e-2, schedule="constant", patience=2, epochs=6,
    )  # fmt: skip
    rows = history["validation"]
    losses, bces = [row["loss"] for row in rows], [row["bce"] for row in rows]
    assert np.argmin(losses) == len(rows) - 1
    assert history["best_epoch"] == np.argmin(bces) + 1 == 1
    assert len(rows) == 3, "patience is by the cross-entropy too"
    assert cost(bce, tiny_model, validation) == pytest.approx(min(bces), abs=1e-4)


def test_validation_loss_is_bce_by_default(tiny_model, word_data, tmp_path) -> None:
    training, validation = word_data(32, 0), word_data(40, 1)
    history = fit(tiny_model, training, validation, tmp_path, epochs=1)
    (row,) = history["validation"]
    assert list(row) == ["step", "epoch", "loss", "mean_average_precision"]
    assert row["loss"] == pytest.approx(cost(bce, tiny_model, validation), abs=1e-5)


def test_rejects_missing_or_invalid_targets(tiny_model, word_data, tmp_path) -> None:
    data = word_data(16, 0)
    with pytest.raises(EmocapError, match="test: its training pairs have no targets"):
        fit(tiny_model, PairDataset(data.input_ids, data.images), None, tmp_path, select_by=None)
    data.targets[3, 1] = 2
    with pytest.raises(EmocapError, match="test's training pairs: the target of pair 3 for emotion 1 is 2, expected"):
        fit(tiny_model, data, None, tmp_path, select_by=None)


def rates(model: torch.nn.Module, settings: TrainSettings) -> dict[str, float]:
    """Each trained parameter's learning rate, by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, settings).param_groups
    rate_of = [(names[id(parameter)], group["lr"]) for group in groups for parameter in group["params"]]
    assert len(rate_of) == len(dict(rate_of)) == sum(p.requires_grad for p in model.parameters())
    return dict(rate_of)


@pytest.mark.parametrize("n_frozen", [0, 1, 2])
def test_learning_rates_decay_towards_the_embeddings(tiny_model, n_frozen: int) -> None:
    model = transfer(tiny_model, n_frozen, freeze=n_frozen > 0)
    settings = TrainSettings(learning_rate=8e-5, head_learning_rate=1e-2, layer_decay=0.5)
    by_hand = {"embeddings": 1e-5, "layer.0": 2e-5, "layer.1": 4e-5, "layer.2": 8e-5, "pooler": 8e-5, "fc": 1e-2}
    if n_frozen:
        by_hand = {part: rate for part, rate in by_hand.items() if part != "embeddings"}
        by_hand = {part: rate for part, rate in by_hand.items() if part not in [f"layer.{i}" for i in range(n_frozen)]}
    rate_of = rates(model, settings)
    assert {part for part in by_hand for name in rate_of if f".{part}." in f".{name}"} == set(by_hand)
    for name, rate in rate_of.items():
        (part,) = [part for part in by_hand if f".{part}." in f".{name}"]
        assert rate == pytest.approx(by_hand[part], rel=1e-12), name


def test_embeddings_of_regions_learn_at_their_own_rate(tiny_model):
    found = rates(tiny_model, TrainSettings(visual_learning_rate=3e-4, layer_decay=0.5))
    visual = {rate for name, rate in found.items() if ".embeddings.visual_" in name}
    assert visual == {3e-4}
    assert found["visualbert.embeddings.word_embeddings.weight"] < 5e-5
    assert 3e-4 not in rates(tiny_model, TrainSettings()).values()


def test_decay_of_1_changes_no_learning_rate(tiny_model) -> None:
    assert set(rates(tiny_model, TrainSettings(layer_decay=1.0)).values()) == {5e-5, 5e-3}
    assert set(rates(EmotionHead(tiny_model.fc), TrainSettings(layer_decay=0.5)).values()) == {5e-3}
    same = TrainSettings(layer_decay=0.5, head_learning_rate=None)
    assert rates(tiny_model, same)["fc.weight"] == 5e-5, "fc has the encoder's peak learning rate"


def test_order_depends_only_on_seed_and_epoch() -> None:
    lengths = list(range(100))

    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(lengths, 4, seed)
        sampler.epoch = epoch
        torch.manual_seed(epoch * 7)
        return list(sampler)

    assert sorted(order(0, 0)) == lengths
    assert order(0, 1) == order(0, 1)
    assert order(0, 0) != order(0, 1) != order(1, 1)


def test_optimizer_skips_frozen_parameters(tiny_model) -> None:
    tiny_model.freeze([tiny_model.visualbert])
    optimizer = build_optimizer(
        tiny_model, TrainSettings(optimizer="adam", head_learning_rate=None, learning_rate=1e-4)
    )
    assert type(optimizer) is torch.optim.Adam
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    assert {group["lr"] for group in optimizer.param_groups} == {1e-4}
    adamw = build_optimizer(
        transfer(tiny_model, freeze=False), TrainSettings(head_learning_rate=1e-2, learning_rate=1e-4)
    )
    assert {(g["lr"], g["weight_decay"]) for g in adamw.param_groups} == {
        (1e-4, 0.01),
        (1e-4, 0.0),
        (1e-2, 0.01),
        (1e-2, 0.0),
    }


def test_reports_loss_that_is_not_finite(tiny_model, word_data, tmp_path) -> None:
    with torch.no_grad():
        tiny_model.fc.weight.fill_(float("nan"))
    with pytest.raises(EmocapError, match="loss is not finite at step 1; lower learning_rate"):
        fit(tiny_model, word_data(32, 0), None, tmp_path, select_by=None)
