"""Model weights from the Hugging Face hub or a folder, read without executing anything in them.

Tensors are read with safetensors, or with `torch.load(weights_only=True)`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file

from emocap.errors import EmocapError

HUB_TIMEOUT_S = 5.0
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def hub_is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids downloads from the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def snapshot(name: str, files: Sequence[str], needed: Sequence[str] = WEIGHT_FILES) -> Path:
    """The local folder of a hub repository's files, from the cache or downloaded; fails in seconds without a network.

    Args:
        name: owner/name.
        files: patterns of the file names to download.
        needed: a cached folder must hold one of these; otherwise an earlier download was interrupted.

    Raises:
        EmocapError: not a repository name, or neither cached nor downloadable.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(files), local_files_only=True))
        if not set(needed).isdisjoint(file.name for file in folder.iterdir()):
            return folder
    except HFValidationError:
        raise EmocapError(f"{name}: neither a folder nor a name on the hub (owner/name)") from None
    except OSError:
        pass  # not in the cache
    if hub_is_offline():
        raise EmocapError(
            f"{name}: not in the hub's cache, and HF_HUB_OFFLINE forbids fetching it; unset it or give a folder"
        )
    try:
        HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
        return Path(snapshot_download(name, allow_patterns=list(files), etag_timeout=HUB_TIMEOUT_S))
    except Exception as error:  # the client raises errors of many libraries, all with the same meaning here
        reason = type(error).__name__
        raise EmocapError(
            f"{name}: cannot be fetched from the hub ({reason}); check the name and the network, or give a local folder"
        ) from error


def weights_file(folder: Path) -> Path:
    """The weights file of a checkpoint folder; safetensors is preferred.

    Raises:
        EmocapError: there is none.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise EmocapError(f"{folder}: holds none of {', '.join(WEIGHT_FILES)}")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint folder, on the CPU; only tensors are unpickled.

    Raises:
        EmocapError: no weights, or a broken file.
    """
    return read_tensors(weights_file(folder))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or torch file, on the CPU; only tensors are unpickled.

    Raises:
        EmocapError: a damaged file, or one that contains more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise EmocapError(f"{path}: refused, since it holds more than tensors; convert it to safetensors") from error
    except Exception as error:  # damaged files raise nearly every type of exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EmocapError(f"{path}: cannot be read as weights ({reason}); fetch it again") from error
