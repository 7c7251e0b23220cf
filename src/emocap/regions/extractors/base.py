"""What an extractor is: it finds regions in images and describes each by numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from emocap.errors import EmocapError

# What a detector takes a region for: numbers of its object class and attribute, -1 where there is none, and how sure.
OBJECT = np.dtype(
    [("object", "<i4"), ("object_probability", "<f4"), ("attribute", "<i4"), ("attribute_probability", "<f4")]
)


class Names(NamedTuple):
    """Names of a detector's classes in order; empty where they are not known."""

    objects: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    def of(self, found: np.void) -> str:
        """One region's `OBJECT` in words, such as "brown dog" or "object 17".

        >>> Names(("dog", "cat"), ("brown",)).of(np.array((1, 0.9, 0, 0.5), OBJECT)[()])
        'brown cat'
        """
        words = []
        for key, names in (("attribute", self.attributes), ("object", self.objects)):
            number = int(found[key])
            if 0 <= number < len(names):
                words.append(names[number])
            elif number >= 0 and key == "object":
                words.append(f"object {number}")
        return " ".join(words)


class Regions(NamedTuple):
    """The regions of one image.

    Attributes:
        features: (R, dim) float32.
        boxes_xyxy: (R, 4) float32, in pixels of the upright image at full size.
        size: width and height of that image in pixels.
        objects: (R,) of `OBJECT`, or None where the extractor names nothing.
    """

    features: np.ndarray
    boxes_xyxy: np.ndarray
    size: tuple[int, int]
    objects: np.ndarray | None = None

    @property
    def normalized_boxes(self) -> np.ndarray:
        """(R, 4) float32: the boxes as shares of the image's width and height."""
        return self.boxes_xyxy / np.array(self.size * 2, dtype=np.float32)


class Extractor(Protocol):
    """Finds regions in images and describes each by `dim` numbers, in two steps: `prepare` one by one, `describe` many.

    Attributes:
        name: its key in `EXTRACTORS`.
        settings: JSON-able; `build_extractor(name, settings)` makes the same extractor again.
        dim: numbers per region.
        weights_hash: of its weights; "" where it has none.
        at_least: shortest side in pixels that it needs to see; None where it wants every pixel.
        batch_size: images that `describe` is best given at once.
        in_processes: whether `prepare` is the costly step, and best spread over processes; the extractor then crosses
            to them by pickle.
        names: of its classes; None where it does not name objects.
        computed_in: number type that it computes in here, such as "float16"; a record, not a setting.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def dim(self) -> int: ...
    @property
    def weights_hash(self) -> str: ...
    @property
    def at_least(self) -> int | None: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def in_processes(self) -> bool: ...
    @property
    def names(self) -> Names | None: ...
    @property
    def computed_in(self) -> str: ...

    def prepare(self, image: Image.Image) -> np.ndarray:
        """What `describe` needs of an upright RGB image; may be called from several threads at once."""
        ...

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The regions of several images.

        Args:
            prepared: of each image.
            sizes: width and height in pixels of each upright image at full size.
        """
        ...


def whole_setting(extractor: str, name: str, value: Any, low: int, high: int) -> int:
    """The value.

    Raises:
        EmocapError: it is not a whole number from `low` to `high`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        expected = f"{low:,}" if low == high else f"a whole number from {low:,} to {high:,}"
        raise EmocapError(f"extractor {extractor}: {name} is {value!r}, expected {expected}")
    return value


def cell_boxes(rows: int, columns: int, size: tuple[int, int]) -> np.ndarray:
    """boxes_xyxy (rows * columns, 4) float32 of a grid over an image of this width and height, row by row.

    >>> cell_boxes(1, 2, (6, 4)).tolist()
    [[0.0, 0.0, 3.0, 4.0], [3.0, 0.0, 6.0, 4.0]]
    """
    x = np.arange(columns + 1) * (size[0] / columns)
    y = np.arange(rows + 1) * (size[1] / rows)
    left, top = np.meshgrid(x[:-1], y[:-1])
    right, bottom = np.meshgrid(x[1:], y[1:])
    return np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4).astype(np.float32)
