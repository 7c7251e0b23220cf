"""The interface of an extractor, which finds regions in images and describes each by a feature vector."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from emocap.errors import EmocapError

# A detector's prediction for a region: ids of its object class and attribute, -1 for none, and their probabilities.
OBJECT = np.dtype(
    [("object", "<i4"), ("object_probability", "<f4"), ("attribute", "<i4"), ("attribute_probability", "<f4")]
)


class Names(NamedTuple):
    """A detector's class names by id; empty if unknown."""

    objects: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    def of(self, prediction: np.void) -> str:
        """One region's `OBJECT` as text, such as "brown dog" or "object 17".

        >>> Names(("dog", "cat"), ("brown",)).of(np.array((1, 0.9, 0, 0.5), OBJECT)[()])
        'brown cat'
        """
        words = []
        for key, names in (("attribute", self.attributes), ("object", self.objects)):
            class_id = int(prediction[key])
            if 0 <= class_id < len(names):
                words.append(names[class_id])
            elif class_id >= 0 and key == "object":
                words.append(f"object {class_id}")
        return " ".join(words)


class Regions(NamedTuple):
    """The regions of one image.

    Attributes:
        features: (R, dim) float32.
        boxes_xyxy: (R, 4) float32, in pixels of the upright image at full size.
        size: width and height of that image in pixels.
        objects: (R,) of `OBJECT`, or None if the extractor predicts no classes.
    """

    features: np.ndarray
    boxes_xyxy: np.ndarray
    size: tuple[int, int]
    objects: np.ndarray | None = None

    @property
    def normalized_boxes(self) -> np.ndarray:
        """(R, 4) float32: the boxes as fractions of the image's width and height."""
        return self.boxes_xyxy / np.array(self.size * 2, dtype=np.float32)


class Extractor(Protocol):
    """Finds regions in images and describes each by `dim` numbers: `prepare` for one image, `describe` for a batch.

    Attributes:
        name: its key in `EXTRACTORS`.
        settings: JSON-able; `build_extractor(name, settings)` makes the same extractor again.
        dim: features per region.
        weights_hash: hash of its weights; "" if it has none.
        at_least: shortest side in pixels that it needs; None if it needs every pixel.
        batch_size: recommended number of images for `describe`.
        in_processes: whether `prepare` is the expensive step and is best distributed over processes; the extractor is
            then pickled.
        names: its class names; None if it predicts no classes.
        computed_in: dtype that it computes in on this machine, such as "float16"; recorded, not a setting.
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
        """The input of `describe` for an upright RGB image; may be called from several threads at once."""
        ...

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The regions of several images.

        Args:
            prepared: result of `prepare` for each image.
            sizes: width and height in pixels of each upright image at full size.
        """
        ...


def integer_setting(extractor: str, name: str, value: Any, low: int, high: int) -> int:
    """Validate an integer setting and return it.

    Raises:
        EmocapError: it is not an integer from `low` to `high`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        expected = f"{low:,}" if low == high else f"an integer from {low:,} to {high:,}"
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
