"""Arrays in a safetensors file: written by NumPy alone, and checked when they are read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emocap.errors import EmocapError


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays into a folder that is being written.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    except SafetensorError as error:
        raise OSError(str(error).splitlines()[0]) from error


def read_arrays(
    path: Path, dtypes: Mapping[str, str], other_dtypes: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Named arrays.

    Args:
        dtypes: the type of each expected array, such as "float32".
        other_dtypes: the type that some of them may have instead.

    Raises:
        EmocapError: missing or damaged, other arrays than expected, or a number that is not finite.
    """
    try:
        arrays = load_file(path)
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file; restore it, or run the study again") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EmocapError(f"{path}: cannot be read ({reason}); restore it, or run the study again") from error
    found = {name: str(array.dtype) for name, array in arrays.items()}
    other = {name: dtype for name, dtype in (other_dtypes or {}).items() if found.get(name) == dtype}
    if found != {**dtypes, **other}:
        raise EmocapError(f"{path}: holds {_listed(found)}, expected {_listed(dtypes)}; run the study again")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise EmocapError(f"{path}: {name} contains NaN or infinity; run the study again")
    return arrays


def _listed(dtypes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in sorted(dtypes.items())) or "nothing"
