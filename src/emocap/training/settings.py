"""What a training run may be told: optimiser, learning rates, length, stopping."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainSettings(BaseModel):
    """Settings of one training run; an unknown key is an error.

    Attributes:
        epochs: passes over the training pairs.
        batch_size: pairs per optimiser step on one device.
        eval_batch_size: pairs per batch without gradients.
        optimizer: "adamw" (decoupled weight decay) or "adam" (as the founding study).
        learning_rate: of the encoder, at its peak.
        head_learning_rate: of `fc`, at its peak; None means the encoder's.
        weight_decay: of weight matrices; biases and layer norms have none.
        warmup: share of the steps over which the rates rise from 0.
        schedule: how the rates go on: "linear" to 0, or "constant".
        max_grad_norm: gradients are scaled down to this norm; 0 leaves them.
        patience: epochs without a better validation score before training stops; None never stops early.
        select_by: the validation score whose best epoch is kept; None keeps the last epoch.
        save_steps: a checkpoint every so many steps besides one per epoch's end; None means per epoch only.
        precision: "auto" is bf16 on a GPU that has it, else float32.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    epochs: int = Field(4, ge=1, le=10_000)
    batch_size: int = Field(32, ge=1)
    eval_batch_size: int = Field(64, ge=1)
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-5, gt=0)
    head_learning_rate: float | None = Field(5e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    schedule: Literal["linear", "constant"] = "linear"
    max_grad_norm: float = Field(1.0, ge=0)
    patience: int | None = Field(2, ge=1)
    select_by: Literal["bce", "mean_average_precision"] | None = "bce"
    save_steps: int | None = Field(None, ge=1)
    precision: Literal["auto", "float32", "bf16"] = "auto"
