"""Folders with one file of numpy per image: .npy features, and the .npz of bottom-up-attention.pytorch and UNITER.

Layouts: MILVLG/bottom-up-attention.pytorch (x, bbox, num_bbox, image_h, image_w; openvqa's older ones hold x turned),
ChenRocks/UNITER (features, norm_bb, conf, soft_labels; Chen et al. 2020). What those files hold as pickled objects
(`info`) is never read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder
from emocap.progress import track
from emocap.regions.interop.records import Found, Record, boxes_and_size, in_pixels, size_of, usable, whole

_FEATURES = ("x", "features", "feat")
_BOXES = ("bbox", "boxes")
_NUMBER = ("num_bbox", "num_boxes")
_SIZES = (("image_w", "image_h"), ("width", "height"))


def read_npy(source: Path) -> Found:
    """The records of a folder of .npy files, (R, D) features each; boxes and sizes are not known.

    Raises:
        EmocapError: the folder cannot be read.
    """
    return _read(source, ".npy", _parse_npy)


def read_npz(source: Path) -> Found:
    """The records of a folder of .npz files.

    Raises:
        EmocapError: the folder cannot be read.
    """
    return _read(source, ".npz", record_of_npz)


def record_of_npz(where: str, id_: str, file: Path | IO[bytes]) -> Record:
    """The record in one .npz file.

    Raises:
        EmocapError: it is damaged, or its arrays do not fit together.
    """
    arrays = _load(file)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise EmocapError("is no .npz file")
    with arrays:
        wanted = {*_FEATURES, *_BOXES, "norm_bb", *_NUMBER, *(name for names in _SIZES for name in names)}
        found = {name: _array(arrays, name) for name in arrays.files if name in wanted}
    features = _first(found, _FEATURES)
    if features is None:
        raise EmocapError(f"has {', '.join(arrays.files)!s:.80}, expected features as one of {', '.join(_FEATURES)}")
    boxes, shares = _first(found, _BOXES), found.get("norm_bb")
    size = next((size_of(found[w], found[h]) for w, h in _SIZES if w in found and h in found), None)
    told = _first(found, _NUMBER)
    number = whole(told, "num_bbox") if told is not None else None
    if features.ndim != 2:
        raise EmocapError(f"features are {features.shape}, expected (regions, numbers)")
    # Turned features show themselves by their second axis being that of the boxes.
    rows = len(boxes) if boxes is not None and boxes.ndim else number
    if rows is not None and len(features) != rows == features.shape[1]:
        features = features.T
    if number is not None:
        if number > len(features):
            raise EmocapError(f"num_bbox is {number}, but features has {len(features)} rows")
        features = features[:number]
        boxes, shares = (part[:number] if part is not None and part.ndim else part for part in (boxes, shares))
    if boxes is None and shares is not None:
        if shares.ndim != 2 or shares.shape[1] < 4:
            raise EmocapError(f"norm_bb is {shares.shape}, expected (regions, 4 or more)")
        boxes, size = in_pixels(shares[:, :4], size)
    return Record(where, id_, features, boxes, size)


def write_npy(records: Iterable[Record], out: Path) -> None:
    """Write a folder of .npy files, whole or not at all; boxes and sizes are lost.

    Raises:
        EmocapError: an id is no file name, or the folder cannot be written.
    """
    with atomic_folder(out) as folder:
        for record in records:
            np.save(_file(folder, record, ".npy"), record.features.astype("<f4"), allow_pickle=False)


def write_npz(records: Iterable[Record], out: Path) -> None:
    """Write a folder of .npz files as bottom-up-attention.pytorch does, without its pickled `info`.

    Raises:
        EmocapError: an id is no file name, or the folder cannot be written.
    """
    with atomic_folder(out) as folder:
        for record in records:
            boxes, (width, height) = boxes_and_size(record)
            np.savez(
                _file(folder, record, ".npz"),
                x=record.features.astype("<f4"),
                bbox=boxes,
                num_bbox=np.int64(len(record.features)),
                image_h=np.int64(height),
                image_w=np.int64(width),
            )


def _read(source: Path, ending: str, parse: Any) -> Found:
    try:
        files = sorted(file for file in source.iterdir() if file.name.endswith(ending))
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read as a folder ({error.strerror or error})") from error
    if not files:
        raise EmocapError(f"{source}: holds no {ending} file; give the folder that they lie in")
    for file in track(files, f"reading {source.name}", len(files), "images"):
        yield usable(str(file), parse, file.name.removesuffix(ending), file)


def _parse_npy(where: str, id_: str, file: Path) -> Record:
    features = _load(file)
    if not isinstance(features, np.ndarray):
        raise EmocapError("is no .npy file")
    return Record(where, id_, features)


def _load(file: Path | IO[bytes]) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise _damage(error) from error


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return arrays[name]
    except Exception as error:
        raise _damage(error) from error


def _damage(error: Exception) -> EmocapError:
    words = " ".join(str(error).split())[:80]
    return EmocapError(f"is cut short, damaged or pickled ({words or type(error).__name__})")


def _first(found: Mapping[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((found[name] for name in names if name in found), None)


def _file(folder: Path, record: Record, ending: str) -> Path:
    if "/" in record.id:
        raise EmocapError(
            f"image {record.where!r}: its id {record.id!r} is no file name; take the stems (--id-of stem)"
        )
    return folder / f"{record.id}{ending}"
