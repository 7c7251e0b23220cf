"""Model weights from the Hugging Face hub or a folder, in one file or in shards, read without executing anything.

Tensors are read with safetensors, or with `torch.load(weights_only=True)`.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of

HUB_TIMEOUT_S = 5.0
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_SUFFIX = ".index.json"
WEIGHT_PATTERNS = (
    *WEIGHT_FILES,
    *(name + INDEX_SUFFIX for name in WEIGHT_FILES),
    "model-*-of-*.safetensors",
    "pytorch_model-*-of-*.bin",
)
_OTHER_FORMATS = {".h5", ".msgpack", ".onnx", ".ckpt", ".pt", ".pth", ".bin", ".safetensors", ".gguf"}
_LFS_POINTER = b"version https://git-lfs"


def hub_is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids downloads from the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def snapshot(name: str, files: Sequence[str], needed: Sequence[str] = WEIGHT_FILES) -> Path:
    """The local folder of a hub repository's files, from the cache or downloaded; fails in seconds without a network.

    Args:
        name: owner/name.
        files: patterns of the file names to download.
        needed: a cached folder must hold one of these, whole or as an index with all of its shards; otherwise an
            earlier download was interrupted.

    Raises:
        EmocapError: not a repository name, or neither cached nor downloadable.
    """
    from huggingface_hub import HfApi, snapshot_download

    cached = _cached_snapshot(name, files, needed)
    if cached is not None:
        return cached
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


def is_cached(name: str) -> bool:
    """Whether the weights of a hub repository are in the local cache, completely."""
    return _cached_snapshot(name, WEIGHT_FILES, WEIGHT_FILES) is not None


def is_reachable(name: str) -> bool:
    """Whether the hub answers for a repository within seconds; it is not asked where `HF_HUB_OFFLINE` forbids it."""
    from huggingface_hub import HfApi

    if hub_is_offline():
        return False
    try:
        HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
    except Exception:  # the client raises errors of many libraries, all with the same meaning here
        return False
    return True


def _cached_snapshot(name: str, files: Sequence[str], needed: Sequence[str]) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(files), local_files_only=True))
    except HFValidationError:
        raise EmocapError(f"{name}: neither a folder nor a name on the hub (owner/name)") from None
    except OSError:
        return None
    is_whole = any((folder / file).is_file() or _has_all_shards(folder / (file + INDEX_SUFFIX)) for file in needed)
    return folder if is_whole else None


def weights_file(folder: Path) -> Path:
    """The weights file of a checkpoint folder whose weights are in one file; safetensors is preferred.

    Raises:
        EmocapError: there is none, or the weights are in shards.
    """
    files = weights_files(folder)
    if len(files) > 1:
        raise EmocapError(f"{files[0]}: weights in shards are not read here; save them in one file")
    return files[0]


def weights_files(folder: Path) -> list[Path]:
    """The weights of a checkpoint folder: one file, or an index and the shards that it names; safetensors is preferred.

    Raises:
        EmocapError: there are none, the index is damaged, or a shard is missing.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / (name + INDEX_SUFFIX)
        if index.is_file():
            return [index, *_shards(index)]
    other = sorted(file.name for file in folder.glob("*") if file.suffix in _OTHER_FORMATS)
    raise EmocapError(
        f"{folder}: holds none of {', '.join(WEIGHT_FILES)}"
        + (f", only {', '.join(other[:4])}" if other else "")
        + "; save the model there with save_pretrained"
    )


def weights_digest(folder: Path) -> str:
    """The SHA-256 of a folder's weights file, or of the joined SHA-256s of the index and its shards.

    Raises:
        EmocapError: as `weights_files`.
    """
    digests = [sha256_of(file) for file in weights_files(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _weight_map(index: Path) -> dict[str, str]:
    """The shard's file name of each tensor."""
    values = read_json(index)
    named = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(named, dict) or not named:
        raise EmocapError(f"{index}: has no weight_map; fetch it again")
    for file in named.values():
        if not isinstance(file, str) or Path(file).name != file:
            raise EmocapError(f"{index}: weight_map names {file!r}, expected a file of the same folder; fetch it again")
    return named


def _shards(index: Path) -> list[Path]:
    names = sorted(set(_weight_map(index).values()))
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise EmocapError(
            f"{index}: {len(missing)} of {len(names)} shards are missing ({', '.join(missing[:4])}); fetch them"
        )
    return [index.parent / name for name in names]


def _has_all_shards(index: Path) -> bool:
    try:
        return index.is_file() and bool(_shards(index))
    except EmocapError:
        return False


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint folder, on the CPU; only tensors are unpickled.

    Raises:
        EmocapError: no weights, a broken file, a missing shard, or a shard without a tensor that the index expects.
    """
    first, *shards = weights_files(folder)
    if not shards:
        tensors = read_tensors(first)
        _require_named_tensors(first, tensors)
        return tensors
    expected = _weight_map(first)
    tensors = {}
    for shard in shards:
        held = read_tensors(shard)
        _require_named_tensors(shard, held)
        absent = [name for name, file in expected.items() if file == shard.name and name not in held]
        if absent:
            raise EmocapError(
                f"{shard}: holds no {absent[0]}, which {first.name} expects in it"
                + (f" ({len(absent)} such tensors)" if len(absent) > 1 else "")
                + "; fetch the index and its shards again"
            )
        # A tensor in two shards is taken from the one that the index names.
        tensors |= {name: tensor for name, tensor in held.items() if expected.get(name, shard.name) == shard.name}
    return tensors


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors or torch file, on the CPU; only tensors are unpickled.

    Raises:
        EmocapError: a damaged file, or one that contains more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly every type of exception
        if _is_lfs_pointer(path):
            raise EmocapError(
                f"{path}: a pointer of Git LFS, not the weights; run git lfs pull in its repository"
            ) from None
        if isinstance(error, UnpicklingError):
            raise EmocapError(
                f"{path}: refused, since it holds more than tensors; convert it to safetensors"
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EmocapError(f"{path}: cannot be read as weights ({reason}); fetch it again") from error


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_POINTER)) == _LFS_POINTER
    except OSError:
        return False


def _require_named_tensors(path: Path, values: object) -> None:
    named = isinstance(values, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in values.items()
    )
    if not named:
        raise EmocapError(f"{path}: holds more than named tensors; save the model itself with save_pretrained")
