"""Losses of multi-label classification: logits (B, E) and targets (B, E) to the mean over all cells.

Targets are 0 to 1. Every loss is linear in them: a soft target t costs the expected cost of a hard target that is 1
with probability t. The papers of the focal and the asymmetric loss define them for hard targets only.
Ratings follow the emotions and have binary cross-entropy whatever the loss of the emotions (`with_ratings`).
Left out: weights by batch, and losses over the order of emotions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from emocap.errors import EmocapError
from emocap.models.classifier import masked_bce
from emocap.training.loss_settings import (
    AsymmetricLoss,
    BaseLossSettings,
    BceLoss,
    FocalLoss,
    SmoothedLoss,
    WeightedLoss,
)

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def bce(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, -t log p - (1 - t) log(1 - p) (for multi-label networks: Nam et al. 2014, arXiv 1312.5419).

    Args:
        logits: (B, E) float, p being their sigmoid.
        targets: (B, E), 0 to 1.

    Returns:
        () float, the mean over cells.

    Raises:
        EmocapError: shapes differ.

    >>> round(bce(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).item(), 4)  # log 2
    0.6931
    """
    return binary_cross_entropy_with_logits(*_checked(logits, targets))


def over_known_cells(function: Callable[..., torch.Tensor], keywords: dict[str, Any]) -> Loss:
    """A loss over emotions, of which cells with an unknown target (NaN) are left out; 0 if all are.

    Args:
        function: (logits, targets, **keywords) to a mean over cells.
        keywords: of the function; a tensor among them has one value per emotion.

    >>> loss = over_known_cells(bce, {})
    >>> round(loss(torch.zeros(1, 2), torch.tensor([[1.0, float("nan")]])).item(), 4)  # log 2, of one cell
    0.6931
    """

    def mean_over_known(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        is_known = ~torch.isnan(targets)
        if not is_known.any():
            return 0.0 * logits.sum()
        emotion = is_known.nonzero()[:, 1]
        own = {
            name: value[emotion.to(value.device)] if isinstance(value, torch.Tensor) else value
            for name, value in keywords.items()
        }
        return function(logits[is_known][None], targets[is_known][None], **own)

    return mean_over_known


def with_ratings(loss: Loss | None, n_labels: int) -> Loss:
    """A loss over emotions and ratings: the mean over all cells, of which those without a target (NaN) are left out.

    Args:
        loss: of the emotions, a mean over cells; None where there are none.
        n_labels: number E of emotions, whose columns come first.

    >>> mixed = with_ratings(bce, 1)
    >>> targets = torch.tensor([[1.0, 0.5], [1.0, float("nan")]])
    >>> round(mixed(torch.zeros(2, 2), targets).item(), 4)  # log 2, of three cells
    0.6931
    """

    def mean_over_cells(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        emotions, ratings = targets[:, :n_labels], targets[:, n_labels:]
        n_emotions, n_ratings = ((~torch.isnan(part)).sum() for part in (emotions, ratings))
        total = n_ratings * masked_bce(logits[:, n_labels:].float(), ratings.float())
        if loss is not None:
            total = total + n_emotions * loss(logits[:, :n_labels], emotions)
        return total / (n_ratings + n_emotions).clamp(min=1)

    return mean_over_cells


def weighted(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy whose positive part is weighted by emotion (King & Zeng 2001, the weighted likelihood).

    -w t log p - (1 - t) log(1 - p), with the weights of `positive_weights`.

    Args:
        logits: (B, E) float.
        targets: (B, E), 0 to 1.
        weights: (E,) float, one per emotion.

    Returns:
        () float, the mean over cells.

    Raises:
        EmocapError: shapes differ, or there is not one weight per emotion.

    >>> round(weighted(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([3.0, 3.0])).item(), 4)  # 2 log 2
    1.3863
    """
    logits, targets = _checked(logits, targets)
    if weights.shape != logits.shape[1:]:
        raise EmocapError(
            f"loss: {tuple(weights.shape)} weights, but logits are {tuple(logits.shape)}; give one per emotion"
        )
    return binary_cross_entropy_with_logits(logits, targets, pos_weight=weights.to(logits))


def positive_weights(targets: np.ndarray, power: float = 0.5, max_weight: float = 10.0) -> torch.Tensor:
    """Weights of the positives of each emotion, (negatives / positives) ** power, clipped to 1 and `max_weight`.

    Power 1 balances positives and negatives, 0.5 is the square root of that (Mahajan et al. 2018, arXiv 1805.00932, who
    repeat rare labels by the square root). An emotion without positives gets `max_weight`.

    Args:
        targets: (N, E) of the training pairs, 0 to 1; a soft target counts as a fraction of a positive, NaN not.
        power: 0 to 1.
        max_weight: at least 1.

    Returns:
        (E,) float32.

    >>> positive_weights(np.array([[1, 1], [0, 1], [0, 1], [0, 1], [0, 0]]), power=0.5).tolist()
    [2.0, 1.0]
    """
    positives, known = np.nansum(targets, axis=0, dtype=np.float64), (~np.isnan(targets)).sum(axis=0)
    with np.errstate(divide="ignore"):
        ratios = (known - positives) / positives
    return torch.tensor(np.clip(ratios**power, 1.0, max_weight), dtype=torch.float32)


def focal(logits: torch.Tensor, targets: torch.Tensor, gamma: float = 2.0, alpha: float | None = None) -> torch.Tensor:
    """Focal loss (Lin et al. 2017, arXiv 1708.02002), which down-weights easy cells.

    -(1 - p)^gamma log p of a positive, -p^gamma log(1 - p) of a negative.

    Args:
        logits: (B, E) float.
        targets: (B, E), 0 to 1.
        gamma: exponent of the down-weighting of easy cells, at least 0; 0 is binary cross-entropy.
        alpha: weight of positives, that of negatives being 1 - alpha; None leaves both at 1.

    Returns:
        () float, the mean over cells (the paper divides by the number of positives).

    Raises:
        EmocapError: shapes differ.

    >>> round(focal(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), gamma=2).item(), 4)  # log 2 / 4
    0.1733
    """
    logits, targets = _checked(logits, targets)
    log_p, log_q = logsigmoid(logits), logsigmoid(-logits)
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    # Powers via logarithms: the gradient of p ** gamma itself is infinite where p rounds to 0 and gamma < 1.
    return _mean(targets, -positive * (gamma * log_q).exp() * log_p, -negative * (gamma * log_p).exp() * log_q)


def asymmetric(
    logits: torch.Tensor,
    targets: torch.Tensor,
    gamma_negative: float = 4.0,
    gamma_positive: float = 0.0,
    margin: float = 0.05,
) -> torch.Tensor:
    """Asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119): focal, easy negatives costing nothing.

    -(1 - p)^gamma_positive log p of a positive, -s^gamma_negative log(1 - s) of a negative, s = max(p - margin, 0)
    being the shifted probability. Gradients go through the powers too, as in the paper's analysis.

    Args:
        logits: (B, E) float.
        targets: (B, E), 0 to 1.
        gamma_negative, gamma_positive: exponents of the down-weighting of negatives and positives, at least 0.
        margin: a negative of at most this probability costs nothing; 0 to below 1.

    Returns:
        () float, the mean over cells (the paper sums over emotions).

    Raises:
        EmocapError: shapes differ.

    >>> logits = torch.tensor([[3.0, 1.0]]).log()  # p is 3/4 and 1/2, shifted 1/2 and 1/4
    >>> round(asymmetric(logits, torch.tensor([[0.0, 1.0]]), gamma_negative=1, margin=0.25).item(), 4)  # 3/4 log 2
    0.5199
    """
    logits, targets = _checked(logits, targets)
    log_p, log_q = logsigmoid(logits), logsigmoid(-logits)
    if margin == 0:
        negative = -(gamma_negative * log_p).exp() * log_q
    else:
        # Clamped above 0, where the gradient of a power below 1 is infinite; the log factor is 0 there.
        shifted = (torch.sigmoid(logits) - margin).clamp(min=1e-8)
        negative = -(shifted**gamma_negative) * (torch.sigmoid(-logits) + margin).clamp(max=1.0).log()
    return _mean(targets, -(gamma_positive * log_q).exp() * log_p, negative)


def smoothed(logits: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.1) -> torch.Tensor:
    """Binary cross-entropy against targets moved towards 1/2 (label smoothing, Szegedy et al. 2016, arXiv 1512.00567).

    t becomes (1 - smoothing) t + smoothing / 2: the paper mixes in the uniform distribution over the classes, and each
    emotion has two classes, present and absent. Left out: the paper's other form, which mixes in label frequencies.

    Args:
        logits: (B, E) float.
        targets: (B, E), 0 to 1.
        smoothing: 0 to below 1; 0 is binary cross-entropy.

    Returns:
        () float, the mean over cells.

    Raises:
        EmocapError: shapes differ.

    >>> logit = torch.tensor([[3.0]]).log()  # p is 3/4, and so is the target: the entropy of (3/4, 1/4)
    >>> round(smoothed(logit, torch.tensor([[1.0]]), smoothing=0.5).item(), 4)
    0.5623
    """
    return bce(logits, (1.0 - smoothing) * targets + smoothing / 2)


def _class_weights(settings: Any, targets: np.ndarray) -> dict[str, Any]:
    return {"weights": positive_weights(targets, settings.power, settings.max_weight)}


def _own_settings(settings: BaseLossSettings, targets: np.ndarray) -> dict[str, Any]:
    return settings.model_dump(exclude={"name"})


@dataclass(frozen=True)
class LossEntry:
    """One loss.

    Attributes:
        settings: its settings class, whose `name` is the loss's name.
        function: (logits, targets, **keywords) to the loss.
        keywords: (settings, training targets (N, E)) to the function's keywords.
        targets: "soft" where it takes targets between 0 and 1 too, "hard" where it takes 0 and 1 only.
    """

    settings: type[BaseLossSettings]
    function: Callable[..., torch.Tensor]
    keywords: Callable[[Any, np.ndarray], dict[str, Any]] = _own_settings
    targets: Literal["soft", "hard"] = "soft"

    @property
    def name(self) -> str:
        """The name that selects it in a configuration."""
        return self.settings.model_fields["name"].default


_LOSSES = (
    LossEntry(BceLoss, bce),
    LossEntry(WeightedLoss, weighted, _class_weights),
    LossEntry(FocalLoss, focal),
    LossEntry(AsymmetricLoss, asymmetric),
    LossEntry(SmoothedLoss, smoothed),
)
LOSSES: dict[str, LossEntry] = {entry.name: entry for entry in _LOSSES}


def build_loss(
    settings: BaseLossSettings,
    targets: np.ndarray,
    where: str = "training pairs",
    *,
    n_ratings: int = 0,
    unknown_emotions: bool = False,
) -> Loss:
    """The loss that the settings select, as a function of (logits, targets).

    Args:
        settings: of one loss, which concerns the emotions.
        targets: (N, E + R) of the training pairs, 0 to 1, from which the weighted loss takes its weights; NaN is a
            missing rating.
        where: the targets come from, for messages.
        n_ratings: number R of ratings.
        unknown_emotions: whether emotions may be NaN too, where it is not known if a pair evokes them.

    Raises:
        EmocapError: there are no targets, some are outside 0 to 1, or a loss for hard targets is given soft ones.
    """
    if targets.ndim != 2 or targets.size == 0:
        raise EmocapError(f"{where}: targets have shape {targets.shape}, expected pairs by emotions; label some pairs")
    n_labels = targets.shape[1] - n_ratings
    is_missing = np.isnan(targets)
    is_missing[:, :n_labels] &= unknown_emotions
    _require_shares(targets, is_missing, where)
    loss = _emotion_loss(settings, targets[:, :n_labels], where) if n_labels else None
    if loss is None or n_ratings:
        return with_ratings(loss, n_labels)
    return loss


def _require_shares(targets: np.ndarray, is_missing: np.ndarray, where: str) -> None:
    outside = ~((targets >= 0) & (targets <= 1)) & ~is_missing
    if outside.any():
        row, column = (int(index) for index in np.argwhere(outside)[0])
        raise EmocapError(
            f"{where}: the target of pair {row} for emotion {column} is {targets[row, column]:g}, expected 0 to 1; "
            "correct the labels"
        )


def _emotion_loss(settings: BaseLossSettings, targets: np.ndarray, where: str) -> Loss:
    entry = LOSSES[settings.name]
    if entry.targets == "hard" and ((targets > 0) & (targets < 1)).any():
        raise EmocapError(f"{where}: targets are soft, but the loss {entry.name} takes 0 and 1 only; choose another")
    keywords = entry.keywords(settings, targets)
    return (
        over_known_cells(entry.function, keywords) if np.isnan(targets).any() else partial(entry.function, **keywords)
    )


def _checked(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in the same precision, at least float32."""
    if logits.shape != targets.shape or logits.ndim != 2:
        raise EmocapError(
            f"loss: logits are {tuple(logits.shape)} and targets {tuple(targets.shape)}; give both as pairs by emotions"
        )
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return logits, targets.to(logits.dtype)


def _mean(targets: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """The mean over cells of the costs as a positive and as a negative, weighted by the target."""
    return (targets * positive + (1.0 - targets) * negative).mean()
