"""The loss of ratings beside emotions: missing ratings do not count, and do not move the model."""

import numpy as np
import pytest
import torch

from emocap.errors import EmocapError
from emocap.models.classifier import masked_bce
from emocap.training.loss_settings import BceLoss, FocalLoss
from emocap.training.losses import bce, build_loss, focal

NAN = float("nan")
LOGITS = torch.tensor([[0.3, -1.0, 2.0], [0.7, 0.1, -0.4], [-0.2, 1.5, 0.9]])
TARGETS = torch.tensor([[1.0, 0.2, NAN], [0.0, NAN, NAN], [1.0, 0.7, 0.4]])


def test_masked_loss_is_that_of_rated_rows() -> None:
    rated = [0, 2]
    assert masked_bce(LOGITS[:, 1:2], TARGETS[:, 1:2]) == pytest.approx(
        bce(LOGITS[rated, 1:2], TARGETS[rated, 1:2]).item()
    )


def test_loss_is_the_mean_over_known_cells() -> None:
    loss = build_loss(BceLoss(), TARGETS.numpy(), n_ratings=2)
    known = ~torch.isnan(TARGETS)
    by_hand = [
        bce(LOGITS[row, column].view(1, 1), TARGETS[row, column].view(1, 1)).item()
        for row, column in known.nonzero().tolist()
    ]
    assert len(by_hand) == 6
    assert loss(LOGITS, TARGETS).item() == pytest.approx(np.mean(by_hand))


def test_other_losses_concern_the_emotions_alone() -> None:
    loss = build_loss(FocalLoss(), TARGETS.numpy(), n_ratings=2)
    expected = (3 * focal(LOGITS[:, :1], TARGETS[:, :1]) + 3 * masked_bce(LOGITS[:, 1:], TARGETS[:, 1:])) / 6
    assert loss(LOGITS, TARGETS).item() == pytest.approx(expected.item())


def test_missing_ratings_have_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    build_loss(BceLoss(), TARGETS.numpy(), n_ratings=2)(logits, TARGETS).backward()
    assert torch.isfinite(logits.grad).all()
    assert ((logits.grad == 0) == torch.isnan(TARGETS)).all()


def test_batch_without_any_rating_costs_nothing() -> None:
    logits = LOGITS[:, :2].clone().requires_grad_()
    loss = build_loss(BceLoss(), np.array([[0.5, 0.5]]), n_ratings=2)(logits, torch.full((3, 2), NAN))
    loss.backward()
    assert (loss.item(), logits.grad.abs().sum().item()) == (0, 0)


@pytest.mark.parametrize(
    ("targets", "n_ratings", "message"),
    [([[NAN, 0.5]], 1, "for emotion 0 is nan"), ([[1.0, 1.5]], 1, "for emotion 1 is 1.5, expected 0 to 1")],
)
def test_targets_out_of_range_are_refused(targets, n_ratings, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        build_loss(BceLoss(), np.array(targets), n_ratings=n_ratings)
