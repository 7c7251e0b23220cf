"""Losses: plain formulas, gradients, limits, and what their settings reject."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torchvision.ops import sigmoid_focal_loss

from emocap.errors import EmocapError
from emocap.training.loss_settings import LOSS_SETTINGS, AsymmetricLoss, BceLoss, WeightedLoss
from emocap.training.losses import (
    LOSSES,
    LossEntry,
    asymmetric,
    bce,
    build_loss,
    focal,
    positive_weights,
    smoothed,
    weighted,
)
from emocap.training.settings import TrainSettings

LOGITS = [[-3.0, -0.4, 0.7], [2.5, 0.1, -1.2]]
SOFT = [[0.0, 0.3, 1.0], [1.0, 0.0, 0.6]]


def mean_cell(positive, negative, targets=SOFT) -> float:
    """The mean over cells in plain Python: positive(p, e) and negative(p, e) are a cell's cost at either target."""
    costs = []
    for logits, row in zip(LOGITS, targets, strict=True):
        for emotion, (x, t) in enumerate(zip(logits, row, strict=True)):
            p = 1 / (1 + math.exp(-x))
            costs.append(t * positive(p, emotion) + (1 - t) * negative(p, emotion))
    return sum(costs) / len(costs)


def exact(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


CASES = {
    "bce": (bce, {}, lambda p, e: -math.log(p), lambda p, e: -math.log(1 - p)),
    "weighted": (
        weighted,
        {"weights": exact([1.0, 2.5, 4.0])},
        lambda p, e: -[1.0, 2.5, 4.0][e] * math.log(p),
        lambda p, e: -math.log(1 - p),
    ),
    "focal": (
        focal,
        {"gamma": 2.0},
        lambda p, e: -((1 - p) ** 2) * math.log(p),
        lambda p, e: -(p**2) * math.log(1 - p),
    ),
    "focal with alpha": (
        focal,
        {"gamma": 0.5, "alpha": 0.25},
        lambda p, e: -0.25 * (1 - p) ** 0.5 * math.log(p),
        lambda p, e: -0.75 * p**0.5 * math.log(1 - p),
    ),
    "asymmetric": (
        asymmetric,
        {"gamma_negative": 4.0, "gamma_positive": 1.0, "margin": 0.05},
        lambda p, e: -(1 - p) * math.log(p),
        lambda p, e: -(max(p - 0.05, 0) ** 4) * math.log(1 - max(p - 0.05, 0)),
    ),
    "asymmetric by half powers": (
        asymmetric,
        {"gamma_negative": 0.5, "margin": 0.3},
        lambda p, e: -math.log(p),
        lambda p, e: -(max(p - 0.3, 0) ** 0.5) * math.log(1 - max(p - 0.3, 0)),
    ),
    "asymmetric without margin": (
        asymmetric,
        {"gamma_negative": 3.0, "margin": 0.0},
        lambda p, e: -math.log(p),
        lambda p, e: -(p**3) * math.log(1 - p),
    ),
    "smoothed": (
        smoothed,
        {"smoothing": 0.2},
        lambda p, e: -0.9 * math.log(p) - 0.1 * math.log(1 - p),
        lambda p, e: -0.1 * math.log(p) - 0.9 * math.log(1 - p),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_plain_formula(case: str) -> None:
    loss, settings, positive, negative = CASES[case]
    assert loss(exact(LOGITS), exact(SOFT), **settings).item() == pytest.approx(
        mean_cell(positive, negative), rel=1e-10
    )


@pytest.mark.parametrize("case", CASES)
def test_gradients(case: str) -> None:
    loss, settings, _, _ = CASES[case]
    logits = exact(LOGITS).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, exact(SOFT), **settings), (logits,))


@pytest.mark.parametrize("case", CASES)
def test_extreme_logits_have_finite_values_and_gradients(case: str) -> None:
    loss, settings, _, _ = CASES[case]
    logits = torch.tensor([[-200.0, 200.0, 0.0], [200.0, -200.0, -200.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[1.0, 0.0, 0.5], [1.0, 0.0, 0.5]]), **settings)
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("case", CASES)
def test_soft_target_is_the_mean_of_hard_ones(case: str) -> None:
    loss, settings, _, _ = CASES[case]
    logits = exact([[0.7, 0.7, 0.7]])
    hard = [loss(logits, exact([[t] * 3]), **settings) for t in (0.0, 1.0)]
    soft = loss(logits, exact([[0.3] * 3]), **settings)
    torch.testing.assert_close(soft, 0.7 * hard[0] + 0.3 * hard[1])


@pytest.mark.parametrize("case", CASES)
def test_half_precision_is_converted_first(case: str) -> None:
    loss, settings, _, _ = CASES[case]
    logits = torch.tensor([[-20.0, 3.0, 5.0]], dtype=torch.bfloat16)
    targets = torch.tensor([[0.0, 1.0, 1.0]])
    narrow = loss(logits, targets, **settings)
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, loss(logits.float(), targets, **settings), rtol=0, atol=0)


def test_focal_loss_equals_torchvision() -> None:
    logits, targets = exact(LOGITS), exact([[0, 1, 1], [1, 0, 0]])
    for gamma, alpha in ((2.0, 0.25), (1.5, None)):
        theirs = sigmoid_focal_loss(logits, targets, -1 if alpha is None else alpha, gamma, reduction="mean")
        torch.testing.assert_close(focal(logits, targets, gamma, alpha), theirs)


def test_limits_are_binary_cross_entropy() -> None:
    logits, targets = exact(LOGITS), exact(SOFT)
    same = bce(logits, targets)
    torch.testing.assert_close(focal(logits, targets, gamma=0.0), same)
    torch.testing.assert_close(asymmetric(logits, targets, 0.0, 0.0, 0.0), same)
    torch.testing.assert_close(smoothed(logits, targets, 0.0), same)
    torch.testing.assert_close(weighted(logits, targets, torch.ones(3)), same)


def test_negative_within_the_margin_costs_nothing() -> None:
    logits = torch.tensor([[-3.5, -6.0]], requires_grad=True)  # 0.029 and 0.002
    value = asymmetric(logits, torch.zeros(1, 2), margin=0.05)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0, 0]]


def test_negative_at_the_margin_has_finite_gradient() -> None:
    logits = torch.zeros(1, 1, requires_grad=True)
    asymmetric(logits, torch.zeros(1, 1), gamma_negative=0.5, margin=0.5).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_positive_weights_by_hand() -> None:
    targets = np.zeros((100, 4), dtype=np.float32)
    targets[:20, 0] = 1  # 80 / 20
    targets[:80, 1] = 1  # 20 / 80, below 1
    targets[:2, 2] = 0.5  # 99 / 1
    assert positive_weights(targets, 0.5, 5.0).tolist() == [2.0, 1.0, 5.0, 5.0]
    assert positive_weights(targets, 1.0, 1000.0).tolist() == [4.0, 1.0, 99.0, 1000.0]
    assert positive_weights(targets, 0.0, 5.0).tolist() == [1.0, 1.0, 1.0, 1.0]


def test_weighted_loss_counts_the_training_targets() -> None:
    targets = np.array([[1, 1], [0, 1], [0, 1], [0, 1], [0, 0]], dtype=np.float32)
    loss = build_loss(WeightedLoss(power=0.5), targets)
    value = loss(torch.zeros(1, 2), torch.ones(1, 2)).item()
    assert value == pytest.approx(1.5 * math.log(2))
    capped = build_loss(WeightedLoss(power=1.0, max_weight=3.0), targets)
    assert capped(torch.zeros(1, 2), torch.ones(1, 2)).item() == pytest.approx(2 * math.log(2))


def test_settings_are_passed_to_the_loss() -> None:
    loss = build_loss(AsymmetricLoss(gamma_negative=1, gamma_positive=2, margin=0.1), np.ones((1, 3)))
    torch.testing.assert_close(loss(exact(LOGITS), exact(SOFT)), asymmetric(exact(LOGITS), exact(SOFT), 1.0, 2.0, 0.1))


@pytest.mark.parametrize("loss", list(LOSSES))
def test_builds_every_loss_by_name(loss: str) -> None:
    settings = TrainSettings(loss=loss)
    assert settings.loss.name == loss
    assert build_loss(settings.loss, np.eye(3))(exact(LOGITS), exact(SOFT)).isfinite()
    assert [entry.settings for entry in LOSSES.values()] == list(LOSS_SETTINGS)


def test_refuses_soft_targets_for_hard_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "bce", LossEntry(BceLoss, bce, targets="hard"))
    assert build_loss(BceLoss(), np.eye(3))(exact(LOGITS), exact([[0, 1, 1], [1, 0, 0]])).isfinite()
    with pytest.raises(EmocapError, match="here: targets are soft, but the loss bce takes 0 and 1 only"):
        build_loss(BceLoss(), np.full((2, 3), 0.5), "here")


def test_rejects_mismatched_shapes() -> None:
    with pytest.raises(EmocapError, match=r"logits are \(2, 3\) and targets \(3,\); give both as pairs by emotions"):
        focal(exact(LOGITS), torch.zeros(3))
    with pytest.raises(EmocapError, match=r"\(2,\) weights, but logits are \(2, 3\); give one per emotion"):
        weighted(exact(LOGITS), exact(SOFT), torch.ones(2))


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan])
def test_rejects_targets_outside_0_to_1(value: float) -> None:
    targets = np.array([[0.0, 1.0], [0.5, value]])
    with pytest.raises(EmocapError, match=r"here: the target of pair 1 for emotion 1 is .*expected 0 to 1; correct"):
        build_loss(BceLoss(), targets, "here")


UNKNOWN = np.array([[1, np.nan, 0], [np.nan, 0, 1], [1, 1, np.nan], [np.nan] * 3, [0, 1, 0]], dtype=np.float32)


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_emotions_are_left_out(name: str) -> None:
    """The naive twin takes the loss of each known cell alone."""
    settings = LOSSES[name].settings()
    loss = build_loss(settings, UNKNOWN, unknown_emotions=True)
    keywords = LOSSES[name].keywords(settings, UNKNOWN)
    logits = torch.randn(UNKNOWN.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.tensor(UNKNOWN)
    cells = []
    for row, column in torch.argwhere(~torch.isnan(targets)).tolist():
        own = {key: value[[column]] if torch.is_tensor(value) else value for key, value in keywords.items()}
        cells.append(LOSSES[name].function(logits[[row]][:, [column]], targets[[row]][:, [column]], **own))
    torch.testing.assert_close(loss(logits, targets), torch.stack(cells).mean())
    logits.requires_grad_()
    loss(logits, targets).backward()
    assert torch.equal(logits.grad == 0, torch.isnan(targets))


def test_unknown_emotions_beside_ratings_count_as_no_cells() -> None:
    targets = np.array([[1, np.nan, 0.5], [np.nan, np.nan, np.nan]], dtype=np.float32)
    loss = build_loss(BceLoss(), targets, n_ratings=1, unknown_emotions=True)
    assert loss(torch.zeros(2, 3), torch.tensor(targets)).item() == pytest.approx(math.log(2))
    assert loss(torch.zeros(1, 3), torch.full((1, 3), math.nan)).item() == 0


def test_weights_count_known_cells_only() -> None:
    targets = np.array([[1, 0], [np.nan, 0], [0, 0], [0, 1], [0, np.nan], [0, 0]])
    assert positive_weights(targets, power=1).tolist() == [4, 4]


def test_rejects_empty_targets() -> None:
    with pytest.raises(EmocapError, match=r"training pairs: targets have shape \(0, 3\)"):
        build_loss(BceLoss(), np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("loss", "dumped"),
    [
        ("bce", {"name": "bce"}),
        ("focal", {"name": "focal", "gamma": 2.0, "alpha": None}),
        ({"name": "focal", "gamma": 0, "alpha": 0.25}, {"name": "focal", "gamma": 0.0, "alpha": 0.25}),
        ("weighted", {"name": "weighted", "power": 0.5, "max_weight": 10.0}),
        ("asymmetric", {"name": "asymmetric", "gamma_negative": 4.0, "gamma_positive": 0.0, "margin": 0.05}),
        ({"name": "smoothed"}, {"name": "smoothed", "smoothing": 0.1}),
    ],
)
def test_accepts_name_or_mapping_and_round_trips(loss, dumped) -> None:
    settings = TrainSettings(loss=loss, layer_decay=0.8)
    assert settings.model_dump(mode="json")["loss"] == dumped
    assert TrainSettings(**settings.model_dump(mode="json")) == settings
    assert TrainSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("hinge", "there is no loss 'hinge'; choose one of bce, weighted, focal, asymmetric, smoothed"),
        ({"gamma": 2}, "the mapping has no name; give one of bce, "),
        ({"name": ["focal"]}, r"there is no loss \['focal'\]; choose"),
        ({"name": "focal", "margin": 0.1}, "the loss 'focal' has no setting 'margin'; it has gamma, alpha"),
        ({"name": "bce", "gamma": 2, 3: 4}, "the loss 'bce' has no setting 'gamma', '3'; it has none"),
        (None, r"expected the name of a loss \(bce, "),
        (2.0, r"expected the name of a loss \(bce, "),
        ({"name": "focal", "gamma": -1}, "greater than or equal to 0"),
        ({"name": "focal", "alpha": 1}, "less than 1"),
        ({"name": "weighted", "power": 1.5}, "less than or equal to 1"),
        ({"name": "weighted", "max_weight": 0.5}, "greater than or equal to 1"),
        ({"name": "asymmetric", "margin": 1.0}, "less than 1"),
        ({"name": "smoothed", "smoothing": math.nan}, "finite"),
    ],
)
def test_rejects_invalid_settings_with_one_error(loss, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        TrainSettings(loss=loss)
    assert error.value.error_count() == 1


@pytest.mark.parametrize("decay", [0, -0.5, 1.1, math.nan])
def test_rejects_layer_decay_out_of_range(decay: float) -> None:
    with pytest.raises(ValidationError, match="layer_decay"):
        TrainSettings(layer_decay=decay)


def test_default_loss_and_decay() -> None:
    settings = TrainSettings()
    assert settings.loss == BceLoss()
    assert settings.layer_decay is None


@pytest.mark.parametrize("name", LOSSES)
def test_pairs_without_emotions_train_towards_no(name: str) -> None:
    entry = LOSSES[name]
    for targets in (np.zeros((2, 3), np.float32), np.array([[0, 0, 0], [1, 0.5, 0]], np.float32)):
        loss = build_loss(entry.settings(name=name), targets)
        logits = torch.tensor([[-1.0, 0.0, 2.0]] * 2, requires_grad=True)
        value = loss(logits, torch.as_tensor(targets))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(logits.grad).all()
        assert (logits.grad[0] > 0).all()  # a step down the gradient lowers every probability of the row of zeros


def test_weights_of_no_positives_are_the_largest() -> None:
    assert positive_weights(np.zeros((4, 2)), max_weight=7.0).tolist() == [7, 7]
    assert positive_weights(np.array([[0, 0], [0, 0], [0, 0], [1, 0]]), power=1.0, max_weight=7.0).tolist() == [3, 7]
