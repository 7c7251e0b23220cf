"""The HDF5 files of hengyuan-hu/bottom-up-attention-vqa and of BAN (Kim et al. 2018).

Fixed: image_features (N, 36, D), image_bb (N, 36, 4) in pixels, spatial_features (N, 36, 6), whose first four columns
are the boxes as fractions of the image. Adaptive: the same without the first axis, and pos_boxes (N, 2) with the first
row and the end row of each image. The row of each id is in a pickle next to the file, `<stem>_imgid2idx.pkl`; the same
as JSON is also read, and so is a dataset `image_ids` inside the file.

Also read are files with datasets of each image: `<id>_features` and `<id>_boxes`, as of the Meshed-Memory Transformer
(Cornia et al. 2020), or a group `<id>` with `features` and `boxes`, `bbox`, `num_boxes`, `image_width`, `image_height`.
"""

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_file, read_json
from emocap.progress import track
from emocap.regions.interop.boxes import boxes_in_pixels, four_columns, fractions_to_pixels
from emocap.regions.interop.mmf import FEATURES, parse_arrays
from emocap.regions.interop.pickle import plain_pickle
from emocap.regions.interop.records import (
    Record,
    Records,
    StoreSize,
    boxes_and_size_or_zero,
    parse_or_reject,
    parse_size,
    require_count,
    require_text,
)

_FEATURES = "_features"
_FIELDS = (*FEATURES, "bbox", "boxes", "num_boxes", "image_width", "image_height", "image_w", "image_h")


def read_hdf5(source: Path) -> Records:
    """The records of an HDF5 file, in the order of their rows.

    Raises:
        EmocapError: h5py is not installed, the file is not HDF5 or has a different layout, or the rows of the ids are
            missing.
    """
    h5py = _h5py()
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        words = " ".join(str(error).split())[:80]
        raise EmocapError(f"{source}: not an HDF5 file, or truncated ({words})") from error
    with file:
        if "image_features" not in file and (ids := _ids_of_datasets(file)):
            for id_ in track(ids, f"reading {source.name}", len(ids), "images"):
                yield parse_or_reject(f"{source}: image {id_}", _parse_datasets, id_, file)
            return
        data = {name: file[name] for name in file if isinstance(file.get(name), h5py.Dataset)}
        _check_layout(source, data, list(file))
        rows = sorted(_rows(source, data), key=lambda item: item[1])
        for id_, row in track(rows, f"reading {source.name}", len(rows), "images"):
            yield parse_or_reject(f"{source}: image {id_} (row {row})", _parse, id_, row, data)


def write_hdf5(records: Iterable[Record], out: Path, size: StoreSize) -> None:
    """Write the adaptive layout, extended by image_w, image_h and image_ids, and the pickle of rows next to it.

    Raises:
        EmocapError: h5py is not installed, or the files cannot be written; nothing is left behind.
    """
    h5py = _h5py()
    rows: dict[int | str, int] = {}
    rows_file = _rows_file(out, ".pkl")
    if rows_file.exists():
        raise EmocapError(f"{rows_file}: exists; give a different path")
    with atomic_file(rows_file) as index, atomic_file(out) as temporary:
        with h5py.File(temporary, "w") as file:
            features = file.create_dataset("image_features", (size.n_regions, size.dim), "<f4")
            boxes = file.create_dataset("image_bb", (size.n_regions, 4), "<f4")
            spatial = file.create_dataset("spatial_features", (size.n_regions, 6), "<f4")
            positions = file.create_dataset("pos_boxes", (size.n_images, 2), "<i8")
            sizes = [file.create_dataset(name, (size.n_images,), "<i4") for name in ("image_w", "image_h")]
            ids = file.create_dataset("image_ids", (size.n_images,), h5py.string_dtype())
            start = 0
            for row, record in enumerate(records):
                image_boxes, image_size = boxes_and_size_or_zero(record)
                end = start + len(record.features)
                if end > start:
                    features[start:end] = record.features
                    boxes[start:end] = image_boxes
                    spatial[start:end] = _spatial(image_boxes, image_size)
                positions[row] = start, end
                ids[row] = record.id
                for side, length in zip(sizes, image_size, strict=True):
                    side[row] = length
                rows[int(record.id) if record.id.isdecimal() else record.id] = row
                start = end
        index.write_bytes(pickle.dumps(rows))


def is_hdf5(source: Path) -> bool:
    """Whether a file is HDF5, by its signature."""
    if not source.is_file():
        return False
    with source.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise EmocapError("HDF5 needs h5py, which is not installed: pip install 'emocap[formats]'") from None
    return h5py


def _rows_file(source: Path, suffix: str) -> Path:
    return source.with_name(f"{source.stem}_imgid2idx{suffix}")


def _ids_of_datasets(file: Any) -> list[str]:
    """Ids of the images that have datasets of their own, in `<id>_features` or a group `<id>`; [] in other files.

    What has no boxes and no number for a name could be all images of a part instead.
    """
    ids = [name.removesuffix(_FEATURES) for name in file if name.endswith(_FEATURES)]
    ids = [id_ for id_ in ids if id_.isdecimal() or f"{id_}_boxes" in file]
    if ids:
        return ids
    groups = [name for name in file if hasattr(file[name], "keys") and any(field in file[name] for field in FEATURES)]
    return [name for name in groups if name.isdecimal() or any(field in file[name] for field in ("boxes", "bbox"))]


def _parse_datasets(where: str, id_: str, file: Any) -> Record:
    try:
        if id_ + _FEATURES in file:
            names = {field: f"{id_}_{field}" for field in _FIELDS if f"{id_}_{field}" in file}
        else:
            names = {field: f"{id_}/{field}" for field in _FIELDS if field in file[id_]}
        return parse_arrays(where, id_, {field: file[name][()] for field, name in names.items()})
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        words = " ".join(str(error).split())[:80]
        raise EmocapError(f"is truncated or damaged ({words})") from error


def _check_layout(source: Path, data: dict[str, Any], names: list[str]) -> None:
    features, positions = data.get("image_features"), data.get("pos_boxes")
    expected = "expected image_features (N, R, D), or (all, D) with pos_boxes (N, 2)"
    if features is None:
        raise EmocapError(f"{source}: holds {', '.join(names)!s:.80}, {expected}")
    if features.ndim != (2 if positions is not None else 3) or (
        positions is not None and (positions.ndim != 2 or positions.shape[1] != 2 or positions.dtype.kind not in "iu")
    ):
        with_positions = "" if positions is None else f" with pos_boxes {positions.shape}"
        raise EmocapError(f"{source}: image_features is {features.shape}{with_positions}, {expected}")
    for name, width in (("image_bb", 4), ("spatial_features", 4)):
        dataset = data.get(name)
        if dataset is not None and (dataset.shape[:-1] != features.shape[:-1] or dataset.shape[-1] < width):
            raise EmocapError(
                f"{source}: {name} is {dataset.shape}, image_features {features.shape}; their shapes do not match"
            )


def _rows(source: Path, data: dict[str, Any]) -> list[tuple[str, int]]:
    """Each id with its row."""
    as_json, as_pickle = _rows_file(source, ".json"), _rows_file(source, ".pkl")
    if "image_ids" in data:
        where = f"{source}: image_ids"
        rows = [(id_, row) for row, id_ in enumerate(np.ravel(data["image_ids"][()]).tolist())]
    elif as_json.is_file():
        where, row_of = str(as_json), read_json(as_json)
        rows = list(row_of.items()) if isinstance(row_of, dict) else []
    elif as_pickle.is_file():
        where = str(as_pickle)
        try:
            row_of = plain_pickle(as_pickle.read_bytes())
        except OSError as error:
            raise EmocapError(f"{where}: cannot be read ({error.strerror or error})") from error
        except EmocapError as error:
            raise EmocapError(f"{where}: {error}") from error
        rows = list(row_of.items()) if isinstance(row_of, dict) else []
    else:
        raise EmocapError(
            f"{source}: the row of each image is missing; put {as_json.name} next to it ({{id: row}}), or "
            f"{as_pickle.name}, or a dataset image_ids into it"
        )
    if not rows:
        raise EmocapError(f"{where}: names no image, expected the row of each id")
    try:
        return [(require_text(id_, "id"), require_count(row, "row")) for id_, row in rows]
    except EmocapError as error:
        raise EmocapError(f"{where}: {error}") from error


def _parse(where: str, id_: str, row: int, data: dict[str, Any]) -> Record:
    try:
        features, positions = data["image_features"], data.get("pos_boxes")
        n_images = len(features if positions is None else positions)
        if row >= n_images:
            raise EmocapError(f"its row is {row}, but the file has {n_images} images")
        place: int | slice = row
        if positions is not None:
            start, end = map(int, positions[row])
            if not 0 <= start <= end <= len(features):
                raise EmocapError(f"pos_boxes is {start} to {end}, of {len(features)} regions")
            place = slice(start, end)
        size = None
        if "image_w" in data and "image_h" in data:
            size = parse_size(data["image_w"][row], data["image_h"][row])
        boxes = four_columns(data["image_bb"][place]) if "image_bb" in data else None
        if "spatial_features" in data:
            fractions = four_columns(data["spatial_features"][place])
            if boxes is None:
                boxes, size = fractions_to_pixels(fractions, size)
            elif size is None:
                size = _infer_size(boxes, fractions)
        if boxes is not None:
            boxes, size = boxes_in_pixels(boxes, size)
        return Record(where, id_, features[place], boxes, size)
    except (OSError, ValueError, TypeError, IndexError) as error:
        words = " ".join(str(error).split())[:80]
        raise EmocapError(f"is truncated or damaged ({words})") from error


def _infer_size(boxes: np.ndarray, fractions: np.ndarray) -> tuple[int, int] | None:
    """The image size that relates boxes in pixels to boxes as fractions; None if no box determines it."""
    sides = []
    for axis in (2, 3):
        # The farthest edge has the smallest relative rounding error.
        farthest = int(np.argmax(fractions[:, axis])) if len(fractions) else None
        if farthest is None or not 0 < fractions[farthest, axis] < np.inf:
            return None
        side = float(boxes[farthest, axis]) / float(fractions[farthest, axis])
        if not 0.5 <= side < 2**31 - 1:
            return None
        sides.append(round(side))
    return sides[0], sides[1]


def _spatial(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(R, 6): the boxes and their widths and heights as fractions of the image; 0 if its size is unknown."""
    if not all(size):
        return np.zeros((len(boxes), 6), "<f4")
    fractions = boxes / np.array([*size, *size], "<f4")
    return np.concatenate([fractions, fractions[:, 2:] - fractions[:, :2]], axis=1)
