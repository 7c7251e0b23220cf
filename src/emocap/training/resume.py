"""The checkpoints of a training run: the newest complete one, the final state, and their removal."""

import logging
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.trainer_utils import get_last_checkpoint

from emocap.errors import EmocapError
from emocap.files import atomic_file, read_json, write_json

logger = logging.getLogger("emocap")
TRAINED = "trained.safetensors"


def save_final_state(model: nn.Module, checkpoints: Path, history: dict[str, Any]) -> None:
    """Record that training is over, so that a run that stopped early does not resume after it was killed."""
    with atomic_file(checkpoints / TRAINED) as temporary:
        # copies, since tied weights are one tensor under two names, which the format refuses
        save_file({key: tensor.clone().contiguous() for key, tensor in model.state_dict().items()}, temporary)
    write_json(checkpoints / "history.json", history)


def load_final_state(model: nn.Module, checkpoints: Path) -> dict[str, Any] | None:
    """Load a finished run's weights into the model and return its history; None if the run is not finished."""
    if not (checkpoints / "history.json").is_file():
        return None
    model.load_state_dict(load_file(checkpoints / TRAINED))
    return read_json(checkpoints / "history.json")


def discard_checkpoints(folder: Path) -> None:
    """Remove a finished run's checkpoints."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def last_complete_checkpoint(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written completely; truncated ones are removed."""
    while checkpoints.is_dir() and (last := get_last_checkpoint(str(checkpoints))) is not None:
        if _is_complete(Path(last)):
            return last
        logger.warning("%s: truncated, the checkpoint before it is used", last)
        shutil.rmtree(last)
    return None


def _is_complete(checkpoint: Path) -> bool:
    try:
        for file in ("optimizer.pt", "scheduler.pt"):
            torch.load(checkpoint / file, map_location="cpu", weights_only=True)
        read_json(checkpoint / "trainer_state.json")
        with safe_open(checkpoint / "model.safetensors", framework="pt") as weights:
            return bool(weights.keys()) and any(checkpoint.glob("rng_state*.pth"))
    except (OSError, RuntimeError, EOFError, ValueError, SafetensorError, UnpicklingError, EmocapError):
        return False
