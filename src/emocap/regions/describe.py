"""The regions of one image: decode it, then let an extractor describe it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.images import MAX_PIXELS, full_size, open_image, upright_rgb


class Prepared(NamedTuple):
    """A decoded image.

    Attributes:
        value: the input of the extractor's `describe`.
        size: its full width and height in pixels.
        digest: SHA-256 of its file in hexadecimal; "" if unknown.
    """

    value: np.ndarray
    size: tuple[int, int]
    digest: str = ""


def prepare_source(source: Path | bytes | Image.Image, extractor: Extractor, max_pixels: int = MAX_PIXELS) -> Prepared:
    """Decode an image file, its bytes or a Pillow image; files and bytes may have at most `max_pixels`.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: the image cannot be used.
    """
    if isinstance(source, Image.Image):
        image = upright_rgb(source)
    else:
        image = open_image(source, max_pixels, at_least=extractor.at_least)
    return Prepared(extractor.prepare(image), full_size(image))


def describe_source(source: Path | bytes | Image.Image, extractor: Extractor) -> Regions:
    """The regions of one image, the same as a store holds for it.

    Raises:
        ImageMissing: there is no such file.
        ImageFault: the image cannot be used.
    """
    prepared = prepare_source(source, extractor)
    return extractor.describe([prepared.value], [prepared.size])[0]
