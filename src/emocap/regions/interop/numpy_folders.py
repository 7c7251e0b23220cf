"""Folders with one NumPy file per image: .npy features, and the .npz of bottom-up-attention.pytorch and UNITER.

Layouts: facebookresearch/mmf (NAME.npy with a pickled dict in NAME_info.npy, or all of it in one pickled dict),
MILVLG/bottom-up-attention.pytorch (x, bbox, num_bbox, image_h, image_w; x is transposed in older files of openvqa),
ChenRocks/UNITER (features, norm_bb, conf, soft_labels; Chen et al. 2020). Folders are searched
recursively: the id of train/a.npy is train/a. The pickled `info` of .npz files is never read.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder, is_system_file
from emocap.progress import track
from emocap.regions.interop.boxes import boxes_in_pixels, fractions_to_pixels
from emocap.regions.interop.mmf import parse_arrays
from emocap.regions.interop.pickle import plain_pickle
from emocap.regions.interop.records import (
    Record,
    Records,
    boxes_and_size_or_zero,
    parse_or_reject,
    parse_size,
    require_count,
)

_FEATURES = ("x", "features", "feat")
_BOXES = ("bbox", "boxes")
_NUMBER = ("num_bbox", "num_boxes")
_SIZES = (("image_w", "image_h"), ("width", "height"), ("image_width", "image_height"), ("img_w", "img_h"))
_INFO = "_info"


def read_npy(source: Path) -> Records:
    """The records of a folder of .npy files, (R, D) features each; boxes and sizes are unknown without MMF's info.

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
    if boxes is not None:
        boxes, size = boxes_in_pixels(boxes, size)
    elif fractions is not None:
        boxes, size = fractions_to_pixels(fractions, size)
    return Record(where, id_, features, boxes, size)


def has_files(source: Path, suffix: str) -> bool:
    """Whether a folder, or a folder in it, contains files with this suffix."""
    return source.is_dir() and any(_files(source, suffix))


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


def _files(source: Path, suffix: str) -> Iterator[Path]:
    """Files with this suffix below a folder, relative to it, without those that the operating system made."""
    for file in source.rglob(f"*{suffix}"):
        path = file.relative_to(source)
        if not is_system_file(path) and file.is_file():
            yield path


def _read(source: Path, suffix: str, parse: Any) -> Records:
    try:
        if not source.is_dir():
            raise EmocapError(f"{source}: not a folder; give the folder that contains the {suffix} files")
        files = sorted(_files(source, suffix), key=lambda path: path.parts)
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read as a folder ({error.strerror or error})") from error
    if not files:
        raise EmocapError(f"{source}: holds no {suffix} files; give the folder that contains them")
    names = set(files)
    for path in track(files, f"reading {source.name}", len(files), "files"):
        file, id_ = source / path, path.as_posix().removesuffix(suffix)
        if not _is_info(source, path, names):
            yield parse_or_reject(str(file), parse, id_, file)


def _is_info(source: Path, path: Path, names: set[Path]) -> bool:
    """Whether a file is the pickled dict of MMF that belongs to the features in another file."""
    if not path.stem.endswith(_INFO) or path.with_name(path.stem.removesuffix(_INFO) + path.suffix) not in names:
        return False
    try:
        return _holds_pickle(source / path)
    except EmocapError:  # damaged, which is said with the features
        return True


def _parse_npy(where: str, id_: str, file: Path) -> Record:
    features, info = _load_npy(file), _load_info(file)
    if isinstance(features, dict):
        return parse_arrays(where, id_, {**features, **info})
    if not isinstance(features, np.ndarray):
        raise EmocapError(f"is a pickled {type(features).__name__}, expected an array")
    return parse_arrays(where, id_, {**info, "features": features}) if info else Record(where, id_, features)


def _load_info(file: Path) -> dict[Any, Any]:
    """MMF's pickled dict next to the features in a file; empty if there is none."""
    info_file = file.with_name(f"{file.stem}{_INFO}.npy")
    try:
        info = _load_npy(info_file) if info_file.is_file() and _holds_pickle(info_file) else {}
    except EmocapError as error:
        raise EmocapError(f"its {info_file.name} {error}") from error
    if not isinstance(info, dict):
        raise EmocapError(f"its {info_file.name} is a pickled {type(info).__name__}, expected a dict")
    return info


def _load_npy(file: Path) -> Any:
    """The array in an .npy file, or the value that is pickled in it."""
    if not _holds_pickle(file):
        return _load(file)
    with file.open("rb") as opened:
        _read_header(opened)
        return plain_pickle(opened.read())


def _holds_pickle(file: Path) -> bool:
    """Whether an .npy file holds objects, by its header."""
    try:
        with file.open("rb") as opened:
            return bool(_read_header(opened).hasobject)
    except Exception as error:  # NumPy raises many types for damaged files
        raise _damage(error) from error


def _read_header(file: IO[bytes]) -> np.dtype:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)[2]


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
