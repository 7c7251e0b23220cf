"""What a training run may be told: loss, optimiser, learning rates, length, stopping."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class _Loss(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class BceLoss(_Loss):
    """Binary cross-entropy."""

    name: Literal["bce"] = "bce"


class WeightedLoss(_Loss):
    """Binary cross-entropy that counts positives more, by (negatives / positives) ** power up to `max_weight`."""

    name: Literal["weighted"] = "weighted"
    power: float = Field(0.5, ge=0, le=1)
    max_weight: float = Field(10.0, ge=1)


class FocalLoss(_Loss):
    """Lin et al. 2017: easy cells count less, by the power `gamma`; `alpha` is the weight of positives."""

    name: Literal["focal"] = "focal"
    gamma: float = Field(2.0, ge=0)
    alpha: float | None = Field(None, gt=0, lt=1)


class AsymmetricLoss(_Loss):
    """Ridnik et al. 2021: powers of their own for negatives and positives; negatives below `margin` cost nothing."""

    name: Literal["asymmetric"] = "asymmetric"
    gamma_negative: float = Field(4.0, ge=0)
    gamma_positive: float = Field(0.0, ge=0)
    margin: float = Field(0.05, ge=0, lt=1)


class SmoothedLoss(_Loss):
    """Szegedy et al. 2016: binary cross-entropy against targets moved towards 1/2 by the share `smoothing`."""

    name: Literal["smoothed"] = "smoothed"
    smoothing: float = Field(0.1, ge=0, lt=1)


_KINDS: dict[str, type[_Loss]] = {
    "bce": BceLoss,
    "weighted": WeightedLoss,
    "focal": FocalLoss,
    "asymmetric": AsymmetricLoss,
    "smoothed": SmoothedLoss,
}


def _named(value: Any) -> Any:
    """The loss as a mapping, where it is given by name; what it cannot be is refused in one sentence."""
    if isinstance(value, _Loss):
        return value
    if isinstance(value, str):
        value = {"name": value}
    names = ", ".join(_KINDS)
    if not isinstance(value, dict):
        raise ValueError(f"expected the name of a loss ({names}), or a mapping with its name and settings")
    name = value.get("name")
    if name is None:
        raise ValueError(f"the mapping has no name; give one of {names}")
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(f"there is no loss {name!r}; choose one of {names}")
    own = [key for key in _KINDS[name].model_fields if key != "name"]
    unknown = [str(key) for key in value if key != "name" and key not in own]
    if unknown:
        known = f"it has {', '.join(own)}" if own else "it has none"
        raise ValueError(f"the loss {name!r} has no setting {', '.join(map(repr, unknown))}; {known}")
    return value


LossSettings = Annotated[
    BceLoss | WeightedLoss | FocalLoss | AsymmetricLoss | SmoothedLoss,
    Field(discriminator="name"),
    BeforeValidator(_named),
]


class TrainSettings(BaseModel):
    """Settings of one training run; an unknown key is an error.

    Attributes:
        epochs: passes over the training pairs.
        loss: what is minimised: a name (`focal`), or a mapping with that loss's settings (`{name: focal, gamma: 2}`).
        batch_size: pairs per optimiser step on one device.
        eval_batch_size: pairs per batch without gradients.
        optimizer: "adamw" (decoupled weight decay) or "adam" (as the founding study).
        learning_rate: of the encoder, at its peak.
        head_learning_rate: of `fc`, or of a captioner's decoder, at its peak; None means the encoder's.
        layer_decay: layer l of L (the embeddings being 0) learns at learning_rate * layer_decay ** (L - l), the pooler
            as the last layer (Howard & Ruder 2018, arXiv 1801.06146; BEiT, Bao et al. 2022, arXiv 2106.08254); None or
            1 means one rate for all.
        weight_decay: of weight matrices; biases and layer norms have none.
        warmup: share of the steps over which the rates rise from 0.
        schedule: how the rates go on: "linear" to 0, or "constant".
        max_grad_norm: gradients are scaled down to this norm; 0 leaves them.
        patience: epochs without a better validation score before training stops; None never stops early.
        select_by: the validation score whose best epoch is kept ("bce" is the binary cross-entropy whatever the loss);
            None keeps the last epoch.
        save_steps: a checkpoint every so many steps besides one per epoch's end; None means per epoch only.
        precision: "auto" is bf16 on a GPU that has it, else float32.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    epochs: int = Field(4, ge=1, le=10_000)
    loss: LossSettings = Field(default_factory=BceLoss)
    batch_size: int = Field(32, ge=1)
    eval_batch_size: int = Field(64, ge=1)
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-5, gt=0)
    head_learning_rate: float | None = Field(5e-3, gt=0)
    layer_decay: float | None = Field(None, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    schedule: Literal["linear", "constant"] = "linear"
    max_grad_norm: float = Field(1.0, ge=0)
    patience: int | None = Field(2, ge=1)
    select_by: Literal["bce", "mean_average_precision"] | None = "bce"
    save_steps: int | None = Field(None, ge=1)
    precision: Literal["auto", "float32", "bf16"] = "auto"
