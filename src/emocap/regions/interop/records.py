"""Records, the features of one image in a file, and the strict decoding of their fields.

The functions raise EmocapError with the reason alone; `parse_or_reject` adds the place, so that one invalid record does
not stop an import.
"""

import base64
import binascii
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from emocap.corpora.pairs import RejectedRow
from emocap.corpora.pairs_builder import is_text
from emocap.errors import EmocapError
from emocap.regions.extractors.base import OBJECT
from emocap.regions.interop.boxes import boxes_in_pixels
from emocap.regions.interop.dtypes import require_dtype

_ID = ("image_id", "img_id")
WIDTH = ("image_w", "img_w", "image_width")
HEIGHT = ("image_h", "img_h", "image_height")
_BOXES = ("boxes", "bbox")
_MAX_INT = 2**31 - 1
_MAX_COLUMNS = 7


class Record(NamedTuple):
    """The regions of one image.

    Attributes:
        where: for messages, such as "trainval.tsv: line 12".
        id: id of the image in the file.
        features: (R, D) float; D is 0 if R is 0 and the file does not specify it.
        boxes_xyxy: (R, 4) float32 in pixels; None if the file has none.
        size: width and height in pixels; None if the file does not specify it, (1, 1) if in addition the boxes are
            fractions of the unknown size.
        objects: (R,) of `OBJECT`; None if the file has none.
    """

    where: str
    id: str
    features: np.ndarray
    boxes_xyxy: np.ndarray | None = None
    size: tuple[int, int] | None = None
    objects: np.ndarray | None = None


class StoreSize(NamedTuple):
    """Numbers of images and regions of a store, and the features per region."""

    n_images: int
    n_regions: int
    dim: int


Records: TypeAlias = Generator[Record | RejectedRow, None, None]


def parse_or_reject(where: str, parse: Callable[..., Record], *arguments: Any) -> Record | RejectedRow:
    """The result of `parse(where, *arguments)`, or why the record is rejected."""
    try:
        return parse(where, *arguments)
    except EmocapError as error:
        return RejectedRow(where, str(error))


def parse_fields(where: str, fields: Mapping[str, Any], dtype: str = "float32") -> Record:
    """The record of a TSV line or a pickled dict of its fields: numbers as text, arrays in base64 or as bytes.

    Args:
        where: place for messages.
        fields: by name.
        dtype: of the features, a name in `DTYPES`; boxes have the same, or float32.

    Raises:
        EmocapError: a field is missing or damaged, or does not match the number of boxes.
    """
    number, data = feature_bytes(fields)
    size = parse_size(_first_field(fields, WIDTH), _first_field(fields, HEIGHT))
    boxes, size = boxes_in_pixels(_decode_boxes(_first_field(fields, _BOXES), number, dtype), size)
    features = rows_of_numbers(data, "features", require_dtype(dtype), number, None)
    return Record(where, require_text(_first_field(fields, _ID), "id"), features, boxes, size, _objects(fields, number))


def feature_bytes(fields: Mapping[str, Any]) -> tuple[int, bytes]:
    """Number of boxes and the bytes of the features of a TSV line or a pickled dict of its fields.

    Raises:
        EmocapError: a field is missing or damaged.
    """
    number = require_count(_first_field(fields, ("num_boxes",)), "num_boxes")
    return number, _decode_base64(_first_field(fields, ("features",)), "features")


def parse_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height in pixels; None if one is 0, which means unknown."""
    size = require_count(width, "image width"), require_count(height, "image height")
    return size if all(size) else None


def boxes_and_size_or_zero(record: Record) -> tuple[np.ndarray, tuple[int, int]]:
    """A record's boxes and size, 0 if unknown."""
    boxes = np.zeros((len(record.features), 4), "<f4") if record.boxes_xyxy is None else record.boxes_xyxy
    return boxes, record.size or (0, 0)


def require_count(value: Any, name: str) -> int:
    """A non-negative integer from a number, text or an array with one element.

    Raises:
        EmocapError: the value is something else.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.size == 1 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        number = int(value) if isinstance(value, int | str | bytes) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= _MAX_INT:
        raise EmocapError(f"{name} is {_short_repr(value)}, expected an integer of 0 or more")
    return number


def require_text(value: Any, name: str) -> str:
    """Text from UTF-8 bytes, text or an integer.

    Raises:
        EmocapError: the value is something else, is empty, or contains a character that is invalid in file names.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="surrogateescape")
    if not is_text(value) or not value or "\0" in value:
        raise EmocapError(f"{name} is {_short_repr(value)}, expected text")
    return str(value)


def require_storable(record: Record) -> Record:
    """Require that a store can hold the record, and return it.

    Raises:
        EmocapError: shapes do not match, or a number is not finite or too large.
    """
    features, boxes = record.features, record.boxes_xyxy
    if features.ndim != 2 or features.dtype.kind not in "fiu" or (len(features) and not features.shape[1]):
        raise EmocapError(f"features are {features.shape} {features.dtype}, expected (regions, numbers) of numbers")
    with np.errstate(over="ignore"):
        half = features.astype("<f2")
    if not np.isfinite(half).all():
        raise EmocapError("a feature is not finite or exceeds half precision (65,504)")
    if boxes is None:
        return record
    if boxes.shape != (len(features), 4) or boxes.dtype.kind not in "fiu":
        raise EmocapError(f"boxes are {boxes.shape} {boxes.dtype}, expected ({len(features)}, 4) of numbers")
    if not np.isfinite(boxes).all():
        raise EmocapError("a box is not finite")
    return record


def rows_of_numbers(data: bytes, key: str, dtype: str, rows: int, columns: int | None) -> np.ndarray:
    """(rows, columns) numbers; None infers the number of columns.

    Args:
        data: the bytes.
        key: name of the field, for messages.
        dtype: of NumPy.
        rows: number of rows.
        columns: number of columns.

    Raises:
        EmocapError: there are more or fewer bytes.
    """
    row_bytes = np.dtype(dtype).itemsize * (columns or 1)
    expected = rows * row_bytes
    if columns is None and rows:
        fits = len(data) > 0 and len(data) % expected == 0
        columns = len(data) // expected
    else:
        fits = len(data) == expected
    if not fits:
        raise EmocapError(
            f"{key} has {len(data):,} bytes, expected {'a multiple of ' if key == 'features' else ''}{expected:,} "
            f"for num_boxes {rows}; truncated?"
        )
    return np.frombuffer(data, dtype).reshape(rows, columns or 0)


def encode_base64(array: np.ndarray, dtype: str) -> bytes:
    """The array's bytes in base64."""
    return base64.b64encode(array.astype(dtype).tobytes())


def _objects(fields: Mapping[str, Any], number: int) -> np.ndarray | None:
    if "objects_id" not in fields:
        return None
    objects = np.zeros(number, OBJECT)
    objects["attribute"] = -1
    columns = {
        "object": ("objects_id", "<i8"),
        "object_probability": ("objects_conf", "<f4"),
        "attribute": ("attrs_id", "<i8"),
        "attribute_probability": ("attrs_conf", "<f4"),
    }
    for column, (key, dtype) in columns.items():
        if key in fields:
            values = rows_of_numbers(_decode_base64(fields[key], key), key, dtype, number, 1)[:, 0]
            if not np.isfinite(values).all() or (dtype == "<i8" and ((values < -1) | (values > _MAX_INT)).any()):
                raise EmocapError(f"{key} holds a number that is out of range")
            objects[column] = values
    return objects


def _decode_boxes(value: Any, number: int, dtype: str) -> np.ndarray:
    """(number, 4 to 7) boxes in the dtype of the features or float32, whichever their bytes fit."""
    data = _decode_base64(value, "boxes")
    for numbers in (require_dtype("float32"), require_dtype(dtype)):
        for columns in range(4, _MAX_COLUMNS + 1):
            if number and len(data) == number * columns * np.dtype(numbers).itemsize:
                return np.frombuffer(data, numbers).reshape(number, columns)
    return rows_of_numbers(data, "boxes", require_dtype("float32"), number, 4)


def _decode_base64(value: Any, key: str) -> bytes:
    """The decoded base64; bytes that are not base64 are returned as they are."""
    if not isinstance(value, str | bytes):
        raise EmocapError(f"{key} is {_short_repr(value)}, expected base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(value, bytes):
            return value
        raise EmocapError(f"{key} is truncated or not base64 ({error})") from None


def _first_field(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in fields:
            return fields[name]
    raise EmocapError(f"has no {' or '.join(names)}")


def _short_repr(value: Any) -> str:
    # Only of flat values: the repr of maliciously nested lists can exceed the memory.
    if isinstance(value, str | bytes):
        return repr(value[:40])
    return repr(value) if value is None or isinstance(value, bool | float) else type(value).__name__
