"""Settings of one training run: loss, optimiser, learning rates, number of epochs, early stopping."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emocap.training.loss_settings import BceLoss, LossSettings


class LoraSettings(BaseModel):
    """Low-rank updates of an encoder (Hu et al. 2021, arXiv 2106.09685); an unknown key is an error.

    Attributes:
        rank: of the update of each matrix.
        alpha: the update is scaled by alpha / rank.
        dropout: of the updates' inputs.
        targets: last names of the linear layers that are updated, such as "query"; None means all of an encoder layer.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    rank: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: list[str] | None = Field(None, min_length=1)


class TrainSettings(BaseModel):
    """Settings of one training run; an unknown key is an error.

    Attributes:
        epochs: passes over the training pairs.
        loss: a name (`focal`), or a mapping with that loss's settings (`{name: focal, gamma: 2}`).
        batch_size: pairs per optimiser step on one device.
        eval_batch_size: pairs per batch without gradients.
        optimizer: "adamw" (decoupled weight decay) or "adam" (as the founding study).
        learning_rate: peak learning rate of the encoder.
        head_learning_rate: peak learning rate of `fc`, or of a captioner's decoder; None means the encoder's.
        visual_learning_rate: peak learning rate of the embeddings of regions, which are new where the backbone reads
            text alone; None means that of the other embeddings.
        layer_decay: layer l of L (the embeddings being 0) learns at learning_rate * layer_decay ** (L - l), the pooler
            as the last layer (Howard & Ruder 2018, arXiv 1801.06146; BEiT, Bao et al. 2022, arXiv 2106.08254); None or
            1 means one rate for all.
        weight_decay: of weight matrices; biases and layer norms have none.
        warmup: share of the steps over which the learning rates rise from 0.
        schedule: of the learning rates after the warm-up: "linear" decay to 0, or "constant".
        max_grad_norm: gradients are clipped to this norm; 0 turns clipping off.
        patience: epochs without a better validation score before training stops; None turns early stopping off.
        select_by: the validation score that selects the best epoch ("bce" is the binary cross-entropy whatever the
            loss, "pearson_r" the mean over ratings); None keeps the last epoch.
        save_steps: a checkpoint every so many steps, where `select_by` is None; else and by default one per epoch.
        lora: trains low-rank updates of the encoder, the embeddings of regions and `fc` alone, and merges the updates
            into the weights at the end; None trains the weights themselves.
        precision: "auto" is bf16 on a GPU that supports it, else float32.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    epochs: int = Field(4, ge=1, le=10_000)
    loss: LossSettings = Field(default_factory=BceLoss)
    batch_size: int = Field(32, ge=1)
    eval_batch_size: int = Field(64, ge=1)
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(5e-5, gt=0)
    head_learning_rate: float | None = Field(5e-3, gt=0)
    visual_learning_rate: float | None = Field(None, gt=0)
    layer_decay: float | None = Field(None, gt=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.1, ge=0, lt=1)
    schedule: Literal["linear", "constant"] = "linear"
    max_grad_norm: float = Field(1.0, ge=0)
    patience: int | None = Field(2, ge=1)
    select_by: Literal["bce", "mean_average_precision", "pearson_r"] | None = "bce"
    save_steps: int | None = Field(None, ge=1)
    lora: LoraSettings | None = None
    precision: Literal["auto", "float32", "bf16"] = "auto"
