"""Drawing an image with its regions and their class names."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.regions.describe import describe_source
from emocap.regions.extractors.base import Extractor, Regions
from emocap.regions.images import open_image

MIN_LONG_SIDE = 640
# The palette of Okabe and Ito, distinguishable with every type of colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def show_regions(image: Path, extractor: Extractor, out: Path) -> Regions:
    """Draw an image's regions and write the drawing, in the format given by the suffix of `out`.

    Raises:
        EmocapError: the image cannot be used, or `out` cannot be written.
    """
    Image.init()
    format_ = Image.EXTENSION.get(out.suffix.lower())
    if format_ not in ("PNG", "JPEG", "WEBP"):
        raise EmocapError(f"{out}: suffix is {out.suffix!r}, expected .png, .jpg or .webp")
    regions = describe_source(image, extractor)
    labels = (
        [extractor.names.of(region) for region in regions.objects]
        if extractor.names and regions.objects is not None
        else []
    )
    drawing = draw_regions(open_image(image), regions.boxes_xyxy, labels)
    with atomic_file(out) as temporary:
        drawing.save(temporary, format=format_)
    return regions


def draw_regions(image: Image.Image, boxes_xyxy: np.ndarray, labels: list[str]) -> Image.Image:
    """A copy of an RGB image with boxes (R, 4) in its pixels, the first on top, and a label for each unless empty.

    A small image is enlarged so that the labels are readable.
    """
    scale = max(1.0, MIN_LONG_SIDE / max(image.size))
    drawing = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pen = ImageDraw.Draw(drawing)
    font = ImageFont.load_default(max(12, max(drawing.size) // 60))
    line = max(1, max(drawing.size) // 320)
    order = range(len(boxes_xyxy) - 1, -1, -1)
    for i in order:
        pen.rectangle(_corners(boxes_xyxy[i] * scale, drawing.size), outline=COLOURS[i % len(COLOURS)], width=line)
    for i in order if labels else ():
        left, top, _, _ = _corners(boxes_xyxy[i] * scale, drawing.size)
        right, bottom = pen.textbbox((0, 0), labels[i], font)[2:]
        left, top = max(0.0, min(left, drawing.width - right - 4)), max(0.0, min(top, drawing.height - bottom - 4))
        pen.rectangle((left, top, left + right + 4, top + bottom + 4), fill=COLOURS[i % len(COLOURS)])
        pen.text((left + 2, top + 2), labels[i], "white", font)
    return drawing


def _corners(box: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, max(left, min(right, size[0] - 1)), max(top, min(bottom, size[1] - 1))
