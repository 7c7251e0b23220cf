"""Boxes as files have them, converted to four columns x0 y0 x1 y1 in pixels.

Besides pixels there are fractions of the image, and further columns: RoI layers put the index in the batch first,
detectors a score last, ViLBERT (Lu et al. 2019) the area last, UNITER and VinVL width, height and area.
"""

import numpy as np

from emocap.errors import EmocapError

_FOUR = "save four columns: x0 y0 x1 y1"
_TOLERANCE = 0.01  # float16 fractions of the image


def four_columns(boxes: np.ndarray) -> np.ndarray:
    """(R, 4) of x0 y0 x1 y1 from boxes with further columns.

    Args:
        boxes: (R, 4 to 7); anything else is returned as it is.

    Raises:
        EmocapError: the further columns leave open which four are the box.

    >>> four_columns(np.array([[0, 10, 20, 30, 40], [0, 15, 25, 35, 45]])).tolist()
    [[10, 20, 30, 40], [15, 25, 35, 45]]
    """
    if boxes.ndim != 2 or boxes.dtype.kind not in "fiu":
        return boxes
    if boxes.shape[1] == 5:
        return _without_index_or_score(boxes)
    if boxes.shape[1] in (6, 7):
        return _without_sides(boxes)
    return boxes


def boxes_in_pixels(boxes: np.ndarray, size: tuple[int, int] | None) -> tuple[np.ndarray, tuple[int, int] | None]:
    """Boxes of four columns in pixels, and the size, from `four_columns` in pixels or fractions of the image.

    Boxes with no edge beyond 1 are fractions: in pixels, all would lie in the first pixel. If the size is unknown they
    remain fractions, and the size is 1 x 1.

    Raises:
        EmocapError: as `four_columns`.
    """
    boxes = four_columns(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "fiu":
        return boxes, size
    return fractions_to_pixels(boxes, size) if _are_fractions(boxes) and boxes.any() else (boxes, size)


def fractions_to_pixels(fractions: np.ndarray, size: tuple[int, int] | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Convert boxes from fractions of the image to pixels; an unknown size is taken as 1 x 1.

    Args:
        fractions: (R, 4) of x0 y0 x1 y1, 0 to 1, or with further columns as in `four_columns`.
        size: width and height in pixels.

    Raises:
        EmocapError: the boxes are not (R, 4 to 7), or not fractions.
    """
    fractions = four_columns(fractions)
    if fractions.ndim != 2 or fractions.shape[1] != 4 or fractions.dtype.kind not in "fiu":
        raise EmocapError(f"boxes as fractions are {fractions.shape} {fractions.dtype}, expected (regions, 4 to 7)")
    if np.isfinite(fractions).all() and not _are_fractions(fractions):
        raise EmocapError(f"boxes as fractions reach from {fractions.min():g} to {fractions.max():g}, expected 0 to 1")
    size = size or (1, 1)
    return fractions.astype("<f4") * np.array([*size, *size], "<f4"), size


def are_misplaced(boxes: np.ndarray, size: tuple[int, int] | None) -> bool:
    """Whether a box ends before it begins, as x y width height do, or ends more than a pixel beyond the image."""
    if not len(boxes):
        return False
    inverted = (boxes[:, 2:] < boxes[:, :2]).any()
    return bool(inverted or (size is not None and (boxes[:, 2:] > np.array(size) * (1 + _TOLERANCE) + 1).any()))


def _without_index_or_score(boxes: np.ndarray) -> np.ndarray:
    first, last = boxes[:, 0], boxes[:, 4]
    first_is_index = bool((first == first[:1]).all() and (first % 1 == 0).all() and (first >= 0).all())
    last_is_score = bool(((last >= 0) & (last <= 1 + _TOLERANCE)).all())
    first_is_index &= _are_boxes(boxes[:, 1:])
    last_is_score &= _are_boxes(boxes[:, :4])
    if first_is_index == last_is_score and boxes.any():
        found = "both a batch index first and a score last" if first_is_index else "neither index first nor score last"
        raise EmocapError(f"boxes have 5 columns, which could be {found}; {_FOUR}")
    return boxes[:, 1:] if first_is_index else boxes[:, :4]


def _without_sides(boxes: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:4] - boxes[:, :2]
    tolerance = _TOLERANCE * max(1.0, float(np.abs(boxes[:, :4]).max(initial=0)))
    if not (np.abs(boxes[:, 4:6] - sides) <= tolerance).all():
        raise EmocapError(
            f"boxes have {boxes.shape[1]} columns, of which the fifth and sixth are not width and height; {_FOUR}"
        )
    return boxes[:, :4]


def _are_boxes(boxes: np.ndarray) -> bool:
    """Whether all have an area, except rows of zeros, which are padding."""
    return bool((boxes[boxes.any(axis=1)][:, 2:] > boxes[boxes.any(axis=1)][:, :2]).all())


def _are_fractions(boxes: np.ndarray) -> bool:
    return bool(((boxes >= -_TOLERANCE) & (boxes <= 1 + _TOLERANCE)).all())
