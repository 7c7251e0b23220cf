"""The callback of a training run: sets the sampler's epoch, logs progress, stops at a loss that is not finite."""

import logging
import math
import time
from typing import Any

from transformers import TrainerCallback

from emocap.errors import EmocapError
from emocap.training.sampler import EpochSampler

logger = logging.getLogger("emocap")
SECONDS_BETWEEN_LINES = 10.0


class EpochCallback(TrainerCallback):
    """Sets the sampler's epoch and logs the progress of the run `name`."""

    def __init__(self, name: str, sampler: EpochSampler, batch_size: int) -> None:
        self.name, self.sampler, self.batch_size = name, sampler, batch_size
        self.start = self.last_logged = time.monotonic()
        self.first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.start = self.last_logged = time.monotonic()
        self.first_step = state.global_step
        if state.global_step:
            logger.info("%s: resumes at step %d of %d", self.name, state.global_step, state.max_steps)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.sampler.epoch = math.floor((state.epoch or 0.0) + 1e-6)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = time.monotonic()
        if now - self.last_logged < SECONDS_BETWEEN_LINES:
            return
        self.last_logged = now
        rate = (state.global_step - self.first_step) / (now - self.start)
        left = (state.max_steps - state.global_step) / rate
        logger.info(
            "%s: step %d of %d, %.1f pairs/s, at most %.0f s left",
            self.name, state.global_step, state.max_steps, rate * self.batch_size, left,
        )  # fmt: skip

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        if not math.isfinite(logs.get("loss", 0.0)):
            raise EmocapError(
                f"{self.name}: the loss is not finite at step {state.global_step}; "
                "lower learning_rate or set precision: float32"
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        names = {"eval_bce": "bce", "eval_mean_average_precision": "mAP", "eval_pearson_r": "r"}
        scores = "".join(f", {name} {metrics[key]:.4f}" for key, name in names.items() if key in metrics)
        logger.info("%s: epoch %.0f, validation loss %.4f%s", self.name, state.epoch, metrics["eval_loss"], scores)
