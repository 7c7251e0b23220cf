"""An explanation as a PNG or HTML file: the image and the words are tinted by their effects on the emotion.

Blue raises and orange lowers the emotion; colour-blind readers can tell the two apart, and the page adds signs.
"""

import base64
import io
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emocap.api.explanation import Explanation, RegionEffect
from emocap.errors import EmocapError
from emocap.files import atomic_file, write_text
from emocap.html_templates import templates_of

RAISES, LOWERS = (0, 114, 178), (213, 94, 0)
MAX_SIDE, MIN_SIDE = 640, 480
MAX_ALPHA = 0.65
MAX_REWORDINGS = 12
MARGIN, LINE = 16, 28


def write_explanation(explanation: Explanation, image: Image.Image | None, out: Path) -> None:
    """Write `out` as HTML or PNG, by its ending.

    Args:
        image: the explained image in RGB; None without one.

    Raises:
        EmocapError: the ending is neither .html nor .png, or the file cannot be written.
    """
    check_ending(out)
    tinted_image = None if image is None else tint(image, explanation.regions)
    if out.suffix.lower() == ".html":
        write_text(out, page(explanation, tinted_image))
        return
    drawn = card(explanation, tinted_image)
    with atomic_file(out) as temporary:
        drawn.save(temporary, format="PNG")


def check_ending(out: Path) -> None:
    """Refuse an unknown file format.

    Raises:
        EmocapError: its ending is neither .html nor .png.
    """
    if out.suffix.lower() not in (".html", ".png"):
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected .html or .png")


def tint(image: Image.Image, regions: list[RegionEffect]) -> Image.Image:
    """The image, its longest side 480 to 640 pixels, each pixel tinted by the effects of the regions that contain it.

    A region's effect is spread evenly over its pixels.
    """
    scale = min(MAX_SIDE / max(image.size), max(1.0, MIN_SIDE / max(image.size)))
    small = image.convert("RGB").resize([max(1, round(side * scale)) for side in image.size])
    width, height = small.size
    heat = np.zeros((height, width))
    for region in regions:
        x1, y1, x2, y2 = (value * scale for value in region.box_xyxy)
        left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
        right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
        heat[top:bottom, left:right] += region.effect / ((right - left) * (bottom - top))
    greatest = np.abs(heat).max()
    alpha = (MAX_ALPHA * np.abs(heat) / greatest if greatest > 0 else np.zeros_like(heat))[..., None]
    colour = np.where(heat[..., None] > 0, RAISES, LOWERS)
    return Image.fromarray((np.asarray(small) * (1 - alpha) + colour * alpha).round().astype(np.uint8))


def page(explanation: Explanation, tinted_image: Image.Image | None) -> str:
    """A self-contained HTML page."""
    return _render("explanation.html", explanation, tinted_image, level=2)


def fragment(explanation: Explanation, tinted_image: Image.Image | None) -> str:
    """The page's content below its heading, for another page below a heading of level 2; its CSS is `style()`."""
    return _render("explanation_body.html", explanation, tinted_image, level=3)


def style() -> str:
    """CSS of `fragment`."""
    return (files("emocap.api") / "templates" / "explanation.css").read_text(encoding="utf-8")


def _render(name: str, explanation: Explanation, tinted_image: Image.Image | None, level: int) -> str:
    uri = None
    if tinted_image is not None:
        buffer = io.BytesIO()
        tinted_image.save(buffer, format="PNG")
        uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    greatest = max((abs(word.effect) for word in explanation.words), default=0.0) or 1.0
    return (
        templates_of("emocap.api")
        .get_template(name)
        .render(
            explanation=explanation,
            level=level,
            uri=uri,
            size=None if tinted_image is None else tinted_image.size,
            shades=[round(abs(word.effect) / greatest, 3) for word in explanation.words],
            rewordings=explanation.rewordings[:MAX_REWORDINGS],
            regions_effect=sum(region.effect for region in explanation.regions),
        )
    )


def card(explanation: Explanation, tinted_image: Image.Image | None) -> Image.Image:
    """The image with its tinted caption below and the emotion above."""
    font = ImageFont.load_default(18)
    width = max(360, 0 if tinted_image is None else tinted_image.width) + 2 * MARGIN
    rows: list[list[tuple[str, float]]] = [[]]
    line_width = width - 2 * MARGIN
    left = 0.0
    for word in explanation.words:
        length = font.getlength(word.word) + 14
        if left + length > line_width and rows[-1]:
            rows.append([])
            left = 0.0
        rows[-1].append((word.word, word.effect))
        left += length
    top = MARGIN + LINE
    height = top + (0 if tinted_image is None else tinted_image.height + MARGIN) + len(rows) * (LINE + 4) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 4), f"{explanation.emotion}  {explanation.shown}", "black", font)
    if tinted_image is not None:
        sheet.paste(tinted_image, (MARGIN, top))
        top += tinted_image.height + MARGIN
    greatest = max((abs(word.effect) for word in explanation.words), default=0.0) or 1.0
    for row in rows:
        x = float(MARGIN)
        for text, effect in row:
            length = font.getlength(text) + 8
            share = MAX_ALPHA * abs(effect) / greatest
            colour = RAISES if effect > 0 else LOWERS
            fill = tuple(round(255 * (1 - share) + part * share) for part in colour)
            pen.rectangle((x, top, x + length, top + LINE), fill=fill)
            pen.text((x + 4, top + 3), text, "black", font)
            x += length + 6
        top += LINE + 4
    return sheet
