"""One image's features as the field's files hold them, and the strict decoding of their fields.

A record that cannot be used raises EmocapError with the reason alone; `usable` adds where it was, so that one bad
record never ends an import.
"""

import base64
import binascii
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from emocap.corpora.pairs import RejectedRow, is_text
from emocap.errors import EmocapError
from emocap.regions.extractors.base import OBJECT

_ID = ("image_id", "img_id")
_WIDTH = ("image_w", "img_w", "image_width")
_HEIGHT = ("image_h", "img_h", "image_height")
_MOST = 2**31 - 1


class Record(NamedTuple):
    """The regions of one image.

    Attributes:
        where: for messages, such as "trainval.tsv: line 12".
        id: of the image in the file.
        features: (R, D) float; D is 0 where R is 0 and the file does not tell it.
        boxes_xyxy: (R, 4) float32 in pixels; None where the file has none.
        size: width and height in pixels; None where the file does not tell, (1, 1) where besides the boxes are shares
            of the unknown size.
        objects: (R,) of `OBJECT`; None where the file names none.
    """

    where: str
    id: str
    features: np.ndarray
    boxes_xyxy: np.ndarray | None = None
    size: tuple[int, int] | None = None
    objects: np.ndarray | None = None


Found: TypeAlias = Generator[Record | RejectedRow, None, None]


def usable(where: str, parse: Callable[..., Record], *arguments: Any) -> Record | RejectedRow:
    """What `parse(where, *arguments)` gives, or why it gives nothing."""
    try:
        return parse(where, *arguments)
    except EmocapError as error:
        return RejectedRow(where, str(error))


def record_of_fields(where: str, fields: Mapping[str, Any]) -> Record:
    """A record of named fields as a TSV or a pickled dict holds them: numbers plain, arrays in base64 or in bytes.

    Raises:
        EmocapError: a field is missing or damaged, or does not fit the number of boxes.
    """
    number = whole(_one_of(fields, ("num_boxes",)), "num_boxes")
    size = size_of(_one_of(fields, _WIDTH), _one_of(fields, _HEIGHT))
    boxes = _numbers(_one_of(fields, ("boxes", "bbox")), "boxes", "<f4", number, 4)
    features = _numbers(_one_of(fields, ("features",)), "features", "<f4", number, None)
    return Record(where, text(_one_of(fields, _ID), "id"), features, boxes, size, _objects(fields, number))


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height in pixels; None where one is 0, which stands for unknown."""
    size = whole(width, "image width"), whole(height, "image height")
    return size if all(size) else None


def boxes_and_size(record: Record) -> tuple[np.ndarray, tuple[int, int]]:
    """A record's boxes and size with 0 for what is not known."""
    boxes = np.zeros((len(record.features), 4), "<f4") if record.boxes_xyxy is None else record.boxes_xyxy
    return boxes, record.size or (0, 0)


def in_pixels(shares: np.ndarray, size: tuple[int, int] | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Boxes given as shares of the image, in its pixels; in a picture of 1 x 1 where its size is not known.

    Args:
        shares: (R, 4) of x0 y0 x1 y1, 0 to 1.
        size: width and height in pixels.
    """
    size = size or (1, 1)
    return shares.astype("<f4") * np.array([*size, *size], "<f4"), size


def whole(value: Any, name: str) -> int:
    """A number of 0 or more, written as a number or as text, or the only one of an array.

    Raises:
        EmocapError: it is none.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.item() if value.size == 1 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        number = int(value) if isinstance(value, int | str | bytes) and not isinstance(value, bool) else -1
    except ValueError:
        number = -1
    if not 0 <= number <= _MOST:
        raise EmocapError(f"{name} is {_shown(value)}, expected a whole number of 0 or more")
    return number


def text(value: Any, name: str) -> str:
    """Text of UTF-8 bytes, of text or of a number.

    Raises:
        EmocapError: it is none, is empty, or holds what a file name cannot.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="surrogateescape")
    if not is_text(value) or not value or "\0" in value:
        raise EmocapError(f"{name} is {_shown(value)}, expected text")
    return str(value)


def checked(record: Record) -> Record:
    """The record, if a store can hold it.

    Raises:
        EmocapError: shapes do not fit, or a number is not finite or too large.
    """
    features, boxes = record.features, record.boxes_xyxy
    if features.ndim != 2 or features.dtype.kind not in "fiu" or (len(features) and not features.shape[1]):
        raise EmocapError(f"features are {features.shape} {features.dtype}, expected (regions, numbers) of numbers")
    with np.errstate(over="ignore"):
        half = features.astype("<f2")
    if not np.isfinite(half).all():
        raise EmocapError("a feature is not finite or beyond half precision (65,504)")
    if boxes is None:
        return record
    if boxes.shape != (len(features), 4) or boxes.dtype.kind not in "fiu":
        raise EmocapError(f"boxes are {boxes.shape} {boxes.dtype}, expected ({len(features)}, 4) of numbers")
    if not np.isfinite(boxes).all():
        raise EmocapError("a box is not finite")
    return record


def encoded(array: np.ndarray, dtype: str) -> bytes:
    """The array's numbers in base64."""
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
            values = _numbers(fields[key], key, dtype, number, 1)[:, 0]
            if not np.isfinite(values).all() or (dtype == "<i8" and ((values < -1) | (values > _MOST)).any()):
                raise EmocapError(f"{key} holds a number that is out of range")
            objects[column] = values
    return objects


def _numbers(value: Any, key: str, dtype: str, rows: int, columns: int | None) -> np.ndarray:
    """(rows, columns) numbers; as many columns as there are where None."""
    data = _decoded(value, key)
    row_bytes = np.dtype(dtype).itemsize * (columns or 1)
    expected = rows * row_bytes
    if columns is None and rows:
        fits = len(data) > 0 and len(data) % expected == 0
        columns = len(data) // expected
    else:
        fits = len(data) == expected
    if not fits:
        raise EmocapError(
            f"{key} has {len(data):,} bytes, not {expected:,}{' times a whole number' if key == 'features' else ''} "
            f"as num_boxes {rows} would have it; cut short?"
        )
    return np.frombuffer(data, dtype).reshape(rows, columns or 0)


def _decoded(value: Any, key: str) -> bytes:
    """The bytes of base64; bytes that are none are taken to be the numbers themselves."""
    if not isinstance(value, str | bytes):
        raise EmocapError(f"{key} is {_shown(value)}, expected base64")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        if isinstance(value, bytes):
            return value
        raise EmocapError(f"{key} is cut short or no base64 ({error})") from None


def _one_of(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in fields:
            return fields[name]
    raise EmocapError(f"has no {' or '.join(names)}")


def _shown(value: Any) -> str:
    # Only of what is flat: the repr of a hostile nest of lists can be larger than any memory.
    if isinstance(value, str | bytes):
        return repr(value[:40])
    return repr(value) if value is None or isinstance(value, bool | float) else type(value).__name__
