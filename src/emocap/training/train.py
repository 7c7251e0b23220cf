"""The only training loop: transformers' Trainer, told what to optimise, in what order, and what to keep.

Order of pairs depends on seed and epoch alone, so that a run that was killed goes on as an unbroken one would.
"""

import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset, Sampler
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_pt_utils import get_length_grouped_indices
from transformers.trainer_utils import get_last_checkpoint

from emocap.errors import EmocapError
from emocap.files import atomic_file, read_json, write_json
from emocap.training.losses import bce, build_loss
from emocap.training.predict import finite
from emocap.training.settings import TrainSettings

logger = logging.getLogger("emocap")
SECONDS_BETWEEN_LINES = 10.0
TRAINED = "trained.safetensors"
_LAYER = re.compile(r"\.encoder\.layer\.(\d+)\.")
Metrics = Callable[[np.ndarray, np.ndarray], dict[str, float]]


class TrainingData(Protocol):
    """N items to train on.

    Attributes:
        targets: (N, E) float32 of 0 to 1, or None where there are none.
    """

    @property
    def targets(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class EpochSampler(Sampler[int]):
    """Row numbers in an order drawn from (seed, epoch), neighbours of like length.

    Args:
        numbered_by_epoch: the rows of epoch e are numbered from e * N on, for items that change from epoch to epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, *, numbered_by_epoch: bool = False) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = list(lengths), batch_size, seed, 0
        self.numbered_by_epoch = numbered_by_epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        first = self.epoch * len(self.lengths) if self.numbered_by_epoch else 0
        return (first + row for row in get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))


class EmotionTrainer(Trainer):
    """Trainer with emocap's order of pairs."""

    def __init__(self, *args: Any, sampler: EpochSampler, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampler = sampler

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EpochSampler:
        return self.sampler


class _Epochs(TrainerCallback):
    """Tells the sampler its epoch, and people how far training is."""

    def __init__(self, what: str, sampler: EpochSampler, batch_size: int) -> None:
        self.what, self.sampler, self.batch_size = what, sampler, batch_size
        self.start = self.told = time.monotonic()
        self.first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.start = self.told = time.monotonic()
        self.first_step = state.global_step
        if state.global_step:
            logger.info("%s: goes on at step %d of %d", self.what, state.global_step, state.max_steps)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.sampler.epoch = math.floor((state.epoch or 0.0) + 1e-6)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        rate = (state.global_step - self.first_step) / (now - self.start)
        left = (state.max_steps - state.global_step) / rate
        logger.info(
            "%s: step %d of %d, %.1f pairs/s, at most %.0f s left",
            self.what, state.global_step, state.max_steps, rate * self.batch_size, left,
        )  # fmt: skip

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            raise EmocapError(
                f"{self.what}: the loss is not finite at step {state.global_step}; "
                "lower learning_rate or set precision: float32"
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        names = {"eval_bce": "bce", "eval_mean_average_precision": "mAP"}
        scores = "".join(f", {name} {metrics[key]:.4f}" for key, name in names.items() if key in metrics)
        logger.info("%s: epoch %.0f, validation loss %.4f%s", self.what, state.epoch, metrics["eval_loss"], scores)


def train(
    model: nn.Module,
    training: TrainingData,
    validation: TrainingData | None,
    settings: TrainSettings,
    folder: Path,
    *,
    name: str,
    seed: int,
    metrics: Metrics | None,
    collate: Callable[..., dict[str, torch.Tensor]],
    lengths: Sequence[int],
    loss: Callable[..., torch.Tensor] | None = None,
    numbered_by_epoch: bool = False,
) -> dict[str, Any]:
    """Train `model` in place; it ends with its best epoch's weights.

    Checkpoints stay in `folder/checkpoints` until training is over, and a call that finds some goes on from the last.

    Args:
        model: takes a batch of `collate` as keywords, gives `logits`; what has `requires_grad` is trained.
        training: N items with targets that `collate` makes batches of.
        validation: scored after every epoch; None where nothing is held out.
        metrics: (probabilities (N, E), targets (N, E)) to scores; None where the loss alone is followed.
        name: of the run, for its log and history.
        lengths: N lengths; items of like length share a batch.
        loss: (outputs, labels) to what is minimised; None means the loss of `settings`, over logits and targets.
        numbered_by_epoch: item i of epoch e is asked for as e * N + i, for items that change from epoch to epoch.

    Returns:
        The history, as `docs/RUN_DIR.md` describes `history.json`.

    Raises:
        EmocapError: targets are missing or outside 0 to 1, the loss is no longer finite, or a checkpoint cannot be
            written.
    """
    checkpoints = folder / "checkpoints"
    if (history := _finished(model, checkpoints)) is not None:
        logger.info("%s: was trained before", name)
        return history
    if training.targets is None:
        raise EmocapError(f"{name}: its training pairs have no targets; train on labelled or pseudo-labelled pairs")
    if loss is None:
        of_logits = build_loss(settings.loss, training.targets, f"{name}'s training pairs")

        def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
            return of_logits(outputs.logits, labels)

    sampler = EpochSampler(lengths, settings.batch_size, seed, numbered_by_epoch=numbered_by_epoch)
    set_seed(seed)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    callbacks: list[TrainerCallback] = [_Epochs(name, sampler, settings.batch_size)]
    selects = validation is not None and settings.select_by is not None
    if selects and settings.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.patience))
    trainer = EmotionTrainer(
        model=model,
        args=_arguments(settings, checkpoints, validation is not None, seed, loss_only=metrics is None),
        train_dataset=training,
        eval_dataset=validation,
        data_collator=collate,
        compute_loss_func=loss,
        compute_metrics=None if metrics is None else lambda prediction: _scores(prediction, metrics, settings),
        optimizers=(_optimizer(model, settings), None),
        callbacks=callbacks,
        sampler=sampler,
    )
    for printer in ("PrinterCallback", "ProgressCallback"):
        trainer.remove_callback(getattr(transformers.trainer_callback, printer))
    start = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=_last_whole_checkpoint(checkpoints))
        model.to("cpu")
        history = _history(trainer.state.log_history, name, len(lengths), settings, time.monotonic() - start)
        _keep(model, checkpoints, history)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise EmocapError(f"{checkpoints}: cannot be written or read ({reason}); free space and run again") from error
    except RuntimeError as error:
        if "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error):
            raise EmocapError(f"{checkpoints}: cannot be written (no space?); free space and run again") from error
        raise
    return history


def _keep(model: nn.Module, checkpoints: Path, history: dict[str, Any]) -> None:
    """Set down that training is over, with what it ended at: one that stopped early must not go on after a kill."""
    with atomic_file(checkpoints / TRAINED) as temporary:
        # copies, since tied weights are one tensor under two names, which the format refuses
        save_file({key: tensor.clone().contiguous() for key, tensor in model.state_dict().items()}, temporary)
    write_json(checkpoints / "history.json", history)


def _finished(model: nn.Module, checkpoints: Path) -> dict[str, Any] | None:
    if not (checkpoints / "history.json").is_file():
        return None
    model.load_state_dict(load_file(checkpoints / TRAINED))
    return read_json(checkpoints / "history.json")


def discard_checkpoints(folder: Path) -> None:
    """Remove a finished run's checkpoints."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _arguments(
    settings: TrainSettings, checkpoints: Path, evaluates: bool, seed: int, *, loss_only: bool
) -> TrainingArguments:
    selects = evaluates and settings.select_by is not None
    on_gpu = torch.cuda.is_available()
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and on_gpu and torch.cuda.is_bf16_supported())
    by_steps = settings.save_steps is not None and not selects
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.eval_batch_size,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        lr_scheduler_type="linear" if settings.schedule == "linear" else "constant_with_warmup",
        max_grad_norm=settings.max_grad_norm,
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="steps" if by_steps else "epoch",
        save_steps=settings.save_steps if by_steps else 500,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        load_best_model_at_end=selects,
        metric_for_best_model=f"eval_{_selected(settings)}" if selects else None,
        greater_is_better=settings.select_by != "bce" if selects else None,
        restore_callback_states_from_checkpoint=True,
        seed=seed,
        bf16=bf16,
        average_tokens_across_devices=False,  # the loss is a mean over cells; it is not to be scaled by the devices
        use_cpu=not on_gpu,
        dataloader_num_workers=4 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=loss_only,
        report_to="none",
        disable_tqdm=True,
    )


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    n_layers = 1 + max(
        (int(layer) for name, _ in model.named_parameters() for layer in _LAYER.findall(name)), default=-1
    )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = _rate(name, n_layers, settings)
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    parameters = [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, lr=settings.learning_rate, fused=True)


def _rate(name: str, n_layers: int, settings: TrainSettings) -> float:
    """The peak learning rate of the parameter of that name."""
    if name.startswith(("fc.", "decoder.")):
        return settings.head_learning_rate or settings.learning_rate
    if settings.layer_decay is None:
        return settings.learning_rate
    depth = 0 if ".embeddings." in name else n_layers
    if inside := _LAYER.search(name):
        depth = int(inside[1]) + 1
    return settings.learning_rate * settings.layer_decay ** (n_layers - depth)


def _selected(settings: TrainSettings) -> str:
    """The validation row's key that decides on the best epoch."""
    if settings.select_by == "bce":
        return "loss" if settings.loss.name == "bce" else "bce"
    return "mean_average_precision"


def _scores(prediction: EvalPrediction, metrics: Metrics, settings: TrainSettings) -> dict[str, float]:
    logits = torch.as_tensor(np.asarray(prediction.predictions), dtype=torch.float32)
    targets = np.asarray(prediction.label_ids)
    scores = metrics(finite(torch.sigmoid(logits).numpy()), targets)
    if settings.loss.name != "bce":
        scores = {"bce": bce(logits.double(), torch.as_tensor(targets)).item()} | scores
    return scores


def _last_whole_checkpoint(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; one cut short is removed."""
    while checkpoints.is_dir() and (last := get_last_checkpoint(str(checkpoints))) is not None:
        if _reads(Path(last)):
            return last
        logger.warning("%s: cut short, the one before is used", last)
        shutil.rmtree(last)
    return None


def _reads(checkpoint: Path) -> bool:
    try:
        for file in ("optimizer.pt", "scheduler.pt"):
            torch.load(checkpoint / file, map_location="cpu", weights_only=True)
        read_json(checkpoint / "trainer_state.json")
        with safe_open(checkpoint / "model.safetensors", framework="pt") as weights:
            return bool(weights.keys()) and any(checkpoint.glob("rng_state*.pth"))
    except (OSError, RuntimeError, EOFError, ValueError, SafetensorError, UnpicklingError, EmocapError):
        return False


def _history(
    log: list[dict[str, Any]], name: str, n_pairs: int, settings: TrainSettings, seconds: float
) -> dict[str, Any]:
    train_rows = [{key: row[key] for key in ("step", "epoch", "loss")} for row in log if "loss" in row]
    validation_rows = [
        {"step": row["step"], "epoch": row["epoch"], "loss": row["eval_loss"]}
        | {
            key.removeprefix("eval_"): row[key]
            for key in row
            if key in {"eval_bce", "eval_mean_average_precision", "eval_recall_at_3"}
        }
        for row in log
        if "eval_loss" in row
    ]
    best = None
    if validation_rows and settings.select_by is not None:
        key, sign = _selected(settings), -1 if settings.select_by == "bce" else 1
        best = max(validation_rows, key=lambda row: sign * row[key])["epoch"]
    return {
        "schema": 1,
        "run": name,
        "train": train_rows,
        "validation": validation_rows,
        "best_epoch": best,
        "seconds": round(seconds, 1),
        "n_train_pairs": n_pairs,
    }
