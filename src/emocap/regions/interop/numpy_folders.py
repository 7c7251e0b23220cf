"""Folders with one NumPy file per image: .npy features, and the .npz of bottom-up-attention.pytorch and UNITER.

Layouts: MILVLG/bottom-up-attention.pytorch (x, bbox, num_bbox, image_h, image_w; x is transposed in older files of
openvqa), ChenRocks/UNITER (features, norm_bb, conf, soft_labels; Chen et al. 2020). Pickled objects in these files
(`info`) are never read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder
from emocap.progress import track
from emocap.regions.interop.records import (
    Record,
    Records,
    boxes_and_size_or_zero,
    parse_or_reject,
    parse_size,
    require_count,
    to_pixels,
)

_FEATURES = ("x", "features", "feat")
_BOXES = ("bbox", "boxes")
_NUMBER = ("num_bbox", "num_boxes")
_SIZES = (("image_w", "image_h"), ("width", "height"))


def read_npy(source: Path) -> Records:
    """The records of a folder of .npy files, (R, D) features each; boxes and sizes are unknown.

    Raises:
        EmocapError: the folder cannot be read.
    """
    return _read(source, ".npy", _parse_npy)


def read_npz(source: Path) -> Records:
    """The records of a folder of .npz files.

    Raises:
        EmocapError: the folder cannot be read.
    """
    return _read(source, ".npz", parse_npz)


def parse_npz(where: str, id_: str, file: Path | IO[bytes]) -> Record:
    """The record in one .npz file.

    Raises:
        EmocapError: it is damaged, or the shapes of its arrays do not match.
    """
    arrays = _load(file)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise EmocapError("is not an .npz file")
    with arrays:
        wanted = {*_FEATURES, *_BOXES, "norm_bb", *_NUMBER, *(name for names in _SIZES for name in names)}
        values = {name: _array(arrays, name) for name in arrays.files if name in wanted}
    features = _first(values, _FEATURES)
    if features is None:
        raise EmocapError(f"has {', '.join(arrays.files)!s:.80}, expected features as one of {', '.join(_FEATURES)}")
    boxes, fractions = _first(values, _BOXES), values.get("norm_bb")
    size = next((parse_size(values[w], values[h]) for w, h in _SIZES if w in values and h in values), None)
    count = _first(values, _NUMBER)
    number = require_count(count, "num_bbox") if count is not None else None
    if features.ndim != 2:
        raise EmocapError(f"features are {features.shape}, expected (regions, numbers)")
    # Features are transposed if their second axis has the length of the boxes.
    rows = len(boxes) if boxes is not None and boxes.ndim else number
    if rows is not None and len(features) != rows == features.shape[1]:
        features = features.T
    if number is not None:
        if number > len(features):
            raise EmocapError(f"num_bbox is {number}, but features has {len(features)} rows")
        features = features[:number]
        boxes, fractions = (part[:number] if part is not None and part.ndim else part for part in (boxes, fractions))
    if boxes is None and fractions is not None:
        if fractions.ndim != 2 or fractions.shape[1] < 4:
            raise EmocapError(f"norm_bb is {fractions.shape}, expected (regions, 4 or more)")
        boxes, size = to_pixels(fractions[:, :4], size)
    return Record(where, id_, features, boxes, size)


def has_files(source: Path, suffix: str) -> bool:
    """Whether a folder contains files with this suffix."""
    return source.is_dir() and any(file.suffix == suffix for file in source.iterdir())


def write_npy(records: Iterable[Record], out: Path) -> None:
    """Write a folder of .npy files atomically, without boxes and sizes.

    Raises:
        EmocapError: an id is not a valid file name, or the folder cannot be written.
    """
    with atomic_folder(out) as folder:
        for record in records:
            np.save(_file(folder, record, ".npy"), record.features.astype("<f4"), allow_pickle=False)


def write_npz(records: Iterable[Record], out: Path) -> None:
    """Write a folder of .npz files as bottom-up-attention.pytorch does, without its pickled `info`.

    Raises:
        EmocapError: an id is not a valid file name, or the folder cannot be written.
    """
    with atomic_folder(out) as folder:
        for record in records:
            boxes, (width, height) = boxes_and_size_or_zero(record)
            np.savez(
                _file(folder, record, ".npz"),
                x=record.features.astype("<f4"),
                bbox=boxes,
                num_bbox=np.int64(len(record.features)),
                image_h=np.int64(height),
                image_w=np.int64(width),
            )


def _read(source: Path, suffix: str, parse: Any) -> Records:
    try:
        files = sorted(file for file in source.iterdir() if file.name.endswith(suffix))
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read as a folder ({error.strerror or error})") from error
    if not files:
        raise EmocapError(f"{source}: holds no {suffix} files; give the folder that contains them")
    for file in track(files, f"reading {source.name}", len(files), "images"):
        yield parse_or_reject(str(file), parse, file.name.removesuffix(suffix), file)


def _parse_npy(where: str, id_: str, file: Path) -> Record:
    features = _load(file)
    if not isinstance(features, np.ndarray):
        raise EmocapError("is not an .npy file")
    return Record(where, id_, features)


def _load(file: Path | IO[bytes]) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except Exception as error:  # numpy and zipfile raise many types for damaged files
        raise _damage(error) from error


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return arrays[name]
    except Exception as error:
        raise _damage(error) from error


def _damage(error: Exception) -> EmocapError:
    words = " ".join(str(error).split())[:80]
    return EmocapError(f"is truncated, damaged or pickled ({words or type(error).__name__})")


def _first(values: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((values[name] for name in names if name in values), None)


def _file(folder: Path, record: Record, suffix: str) -> Path:
    if "/" in record.id:
        raise EmocapError(
            f"image {record.where!r}: its id {record.id!r} is not a valid file name; use the stems (--id-of stem)"
        )
    return folder / f"{record.id}{suffix}"
