"""An image with its regions drawn on it and named."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.regions.extract import describe_source
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.images import open_image

LEAST_SIDE = 640
# Okabe and Ito's colours, told apart with every kind of colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def show_regions(image: Path, extractor: Extractor, out: Path) -> Regions:
    """Draw the regions that an extractor finds and write the picture, in the format that the ending of `out` names.

    Raises:
        EmocapError: the image cannot be used, or `out` not written.
    """
    Image.init()
    form = Image.EXTENSION.get(out.suffix.lower())
    if form not in ("PNG", "JPEG", "WEBP"):
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected .png, .jpg or .webp")
    regions = describe_source(image, extractor)
    labels = (
        [extractor.names.of(found) for found in regions.objects]
        if extractor.names and regions.objects is not None
        else []
    )
    picture = drawn(open_image(image), regions.boxes_xyxy, labels)
    with atomic_file(out) as temporary:
        picture.save(temporary, format=form)
    return regions


def drawn(image: Image.Image, boxes_xyxy: np.ndarray, labels: list[str]) -> Image.Image:
    """A copy of an RGB image with boxes (R, 4) in its pixels, the first on top, and their labels where there are any.

    A small image is enlarged, so that names can be read.
    """
    scale = max(1.0, LEAST_SIDE / max(image.size))
    picture = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(12, max(picture.size) // 60))
    line = max(1, max(picture.size) // 320)
    order = range(len(boxes_xyxy) - 1, -1, -1)
    for i in order:
        pen.rectangle(_corners(boxes_xyxy[i] * scale, picture.size), outline=COLOURS[i % len(COLOURS)], width=line)
    for i in order if labels else ():
        left, top, _, _ = _corners(boxes_xyxy[i] * scale, picture.size)
        right, bottom = pen.textbbox((0, 0), labels[i], font)[2:]
        left, top = max(0.0, min(left, picture.width - right - 4)), max(0.0, min(top, picture.height - bottom - 4))
        pen.rectangle((left, top, left + right + 4, top + bottom + 4), fill=COLOURS[i % len(COLOURS)])
        pen.text((left + 2, top + 2), labels[i], "white", font)
    return picture


def _corners(box: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, max(left, min(right, size[0] - 1)), max(top, min(bottom, size[1] - 1))
