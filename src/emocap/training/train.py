"""The only training loop: transformers' Trainer, with emocap's losses, optimiser, order of pairs and checkpoints.

The order of the pairs depends on the seed and the epoch only, so that a resumed run equals an uninterrupted one.
"""

import copy
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from torch import nn
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainerCallback, TrainingArguments, set_seed

from emocap.errors import EmocapError
from emocap.models.classifier import EmotionNetwork, masked_bce
from emocap.models.lora import low_rank_updates
from emocap.training.callback import EpochCallback
from emocap.training.history import build_history, selection_key
from emocap.training.losses import build_loss
from emocap.training.optimizer import build_optimizer
from emocap.training.predict import require_finite
from emocap.training.resume import last_complete_checkpoint, load_final_state, save_final_state
from emocap.training.sampler import EpochSampler
from emocap.training.settings import TrainSettings

logger = logging.getLogger("emocap")
WORKER = "in DataLoader worker process"
Metrics = Callable[[np.ndarray, np.ndarray], dict[str, float]]


class TrainingData(Protocol):
    """N items to train on.

    Attributes:
        targets: (N, E + R) float32 of 0 to 1, NaN for a missing rating, or None if there are none.
    """

    @property
    def targets(self) -> np.ndarray | None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class EmotionTrainer(Trainer):
    """Trainer with our sampler and loss, and without transformers' own progress output.

    The loss is a mean over a batch, which the Trainer must divide by the number of accumulated batches. It would not if
    the loss were its `compute_loss_func`, or if it took the `**kwargs` of a `forward` for the number of items of all
    accumulated batches.
    """

    def __init__(self, *args: Any, sampler: EpochSampler, loss: Callable[..., torch.Tensor], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampler, self.loss = sampler, loss
        self.model_accepts_loss_kwargs = False
        for printer in ("PrinterCallback", "ProgressCallback"):
            self.remove_callback(getattr(transformers.trainer_callback, printer))

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
        """The mean loss of a batch, and the outputs if asked for."""
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = self.loss(outputs, labels)
        return (loss, outputs) if return_outputs else loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Write a checkpoint; torch reports a full disk by RuntimeErrors of several wordings."""
        try:
            super()._save_checkpoint(*args, **kwargs)
        except RuntimeError as error:
            raise OSError(f"no space? {str(error).splitlines()[0]}") from error

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> EpochSampler:
        return self.sampler


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
    n_ratings: int = 0,
) -> dict[str, Any]:
    """Train `model` in place; it ends with the weights of its best epoch.

    Checkpoints are kept in `folder/checkpoints` until training is over; a call that finds some resumes from the last.

    Args:
        model: takes a batch of `collate` as keywords and returns `logits`; parameters with `requires_grad` are trained.
        training, validation: items with targets for `collate`; validation, unless None, is evaluated every epoch.
        name: of the run, for its log and history.
        metrics: (probabilities (N, E + R), targets (N, E + R)) to scores; None to compute the loss only.
        lengths: N lengths; items of similar length share a batch.
        loss: (outputs, labels) to the loss; None means the loss of `settings`, over logits and targets.
        numbered_by_epoch: item i of epoch e is requested as e * N + i, for items that change from epoch to epoch.
        n_ratings: number R of the targets' last columns that are ratings, NaN where missing.

    Returns:
        The history, as `docs/RUN_DIR.md` describes `history.json`.

    Raises:
        EmocapError: targets are missing or outside 0 to 1, the loss is not finite, or a checkpoint cannot be written.
    """
    checkpoints = folder / "checkpoints"
    if (history := load_final_state(model, checkpoints)) is not None:
        logger.info("%s: already trained", name)
        return history
    sampler = EpochSampler(lengths, settings.batch_size, seed, numbered_by_epoch=numbered_by_epoch)
    _seed_and_silence(seed)
    start = time.monotonic()
    with _write_errors(checkpoints):
        with _updates(model, settings, name):
            trainer = EmotionTrainer(
                model=copy.copy(model),  # shares the weights, and keeps the Trainer's autocast out of `model`
                args=_arguments(settings, checkpoints, validation is not None, seed, loss_only=metrics is None),
                train_dataset=training,
                eval_dataset=validation,
                data_collator=collate,
                compute_metrics=None if metrics is None else lambda prediction: _scores(prediction, metrics, settings),
                optimizers=(build_optimizer(model, settings), None),
                callbacks=_callbacks(settings, name, sampler, validation is not None),
                sampler=sampler,
                loss=loss or _loss_of_logits(settings, _require_targets(training, name), name, n_ratings),
            )
            trainer.train(resume_from_checkpoint=last_complete_checkpoint(checkpoints))
            model.to("cpu")
        history = build_history(trainer.state.log_history, name, len(lengths), settings, time.monotonic() - start)
        save_final_state(model, checkpoints, history)
    return history


def _updates(model: nn.Module, settings: TrainSettings, name: str) -> AbstractContextManager[None]:
    """What trains low-rank updates alone, where the settings ask for it."""
    if settings.lora is None:
        return nullcontext()
    if not isinstance(model, EmotionNetwork):
        raise EmocapError(f"{name}: lora updates an encoder, but none is trained here; leave lora out")
    return low_rank_updates(model, **settings.lora.model_dump())


def _seed_and_silence(seed: int) -> None:
    """Seed every generator, and keep transformers from printing."""
    set_seed(seed)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def _require_targets(training: TrainingData, name: str) -> np.ndarray:
    if training.targets is None:
        raise EmocapError(f"{name}: its training pairs have no targets; train on labelled or pseudo-labelled pairs")
    return training.targets


def _loss_of_logits(
    settings: TrainSettings, targets: np.ndarray, name: str, n_ratings: int
) -> Callable[..., torch.Tensor]:
    """The loss of the settings as the Trainer calls it."""
    loss = build_loss(settings.loss, targets, f"{name}'s training pairs", n_ratings=n_ratings)
    return lambda outputs, labels: loss(outputs.logits, labels)


def _callbacks(settings: TrainSettings, name: str, sampler: EpochSampler, evaluates: bool) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [EpochCallback(name, sampler, settings.batch_size)]
    if evaluates and settings.select_by is not None and settings.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.patience))
    return callbacks


@contextmanager
def _write_errors(checkpoints: Path) -> Iterator[None]:
    """Turns the errors of a full or unreadable disk into one of ours, and shortens those of torch's data loaders."""
    try:
        yield
    except EmocapError as error:
        if WORKER in str(error):  # with the worker's traceback before the message
            raise EmocapError(str(error).rpartition("EmocapError: ")[2].strip()) from error
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise EmocapError(f"{checkpoints}: cannot be written or read ({reason}); free space and run again") from error


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
        metric_for_best_model=f"eval_{selection_key(settings)}" if selects else None,
        greater_is_better=settings.select_by != "bce" if selects else None,
        restore_callback_states_from_checkpoint=True,
        seed=seed,
        bf16=bf16,
        average_tokens_across_devices=False,  # the loss is a mean over cells and must not be scaled by the devices
        use_cpu=not on_gpu,
        dataloader_num_workers=4 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=loss_only,
        report_to="none",
        disable_tqdm=True,
    )


def _scores(prediction: EvalPrediction, metrics: Metrics, settings: TrainSettings) -> dict[str, float]:
    logits = torch.as_tensor(np.asarray(prediction.predictions), dtype=torch.float32)
    targets = np.asarray(prediction.label_ids)
    scores = metrics(require_finite(torch.sigmoid(logits).numpy()), targets)
    if settings.loss.name != "bce":
        scores = {"bce": masked_bce(logits.double(), torch.as_tensor(targets).double()).item()} | scores
    return scores
