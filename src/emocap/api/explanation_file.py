"""An explanation to look at, as PNG or HTML: picture and words tinted by how they move the emotion.

Blue raises, orange lowers, two colours that every kind of colour vision tells apart; on the page signs say it too.
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
LONGEST_SIDE, LEAST_SIDE = 640, 480
STRONGEST = 0.65
MOST_CHANGES = 12
MARGIN, LINE = 16, 28


def write_explanation(explanation: Explanation, image: Image.Image | None, out: Path) -> None:
    """Write `out` as its ending says.

    Args:
        image: RGB, as it was explained; None for a caption alone.

    Raises:
        EmocapError: the ending is neither .html nor .png, or the file cannot be written.
    """
    check_ending(out)
    picture = None if image is None else tinted(image, explanation.regions)
    if out.suffix.lower() == ".html":
        write_text(out, page(explanation, picture))
        return
    drawn = card(explanation, picture)
    with atomic_file(out) as temporary:
        drawn.save(temporary, format="PNG")


def check_ending(out: Path) -> None:
    """Refuse a file of another kind.

    Raises:
        EmocapError: its ending is neither .html nor .png.
    """
    if out.suffix.lower() not in (".html", ".png"):
        raise EmocapError(f"{out}: ending is {out.suffix!r}, expected .html or .png")


def tinted(image: Image.Image, regions: list[RegionEffect]) -> Image.Image:
    """The picture, its longest side at 480 to 640 pixels, tinted by the effects of the regions that a pixel lies in.

    A region's effect is spread evenly over its pixels.
    """
    scale = min(LONGEST_SIDE / max(image.size), max(1.0, LEAST_SIDE / max(image.size)))
    small = image.convert("RGB").resize([max(1, round(side * scale)) for side in image.size])
    width, height = small.size
    heat = np.zeros((height, width))
    for region in regions:
        x1, y1, x2, y2 = (value * scale for value in region.box_xyxy)
        left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
        right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
        heat[top:bottom, left:right] += region.effect / ((right - left) * (bottom - top))
    greatest = np.abs(heat).max()
    alpha = (STRONGEST * np.abs(heat) / greatest if greatest > 0 else np.zeros_like(heat))[..., None]
    colour = np.where(heat[..., None] > 0, RAISES, LOWERS)
    return Image.fromarray((np.asarray(small) * (1 - alpha) + colour * alpha).round().astype(np.uint8))


def page(explanation: Explanation, picture: Image.Image | None) -> str:
    """One HTML page that fetches nothing."""
    return _render("explanation.html", explanation, picture, level=2)


def fragment(explanation: Explanation, picture: Image.Image | None) -> str:
    """What the page shows below its heading, to stand in another page below a heading of the second level.

    `style` is what it looks like.
    """
    return _render("explanation_body.html", explanation, picture, level=3)


def style() -> str:
    """CSS of `fragment`."""
    return (files("emocap.api") / "templates" / "explanation.css").read_text(encoding="utf-8")


def _render(name: str, explanation: Explanation, picture: Image.Image | None, level: int) -> str:
    uri = None
    if picture is not None:
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    greatest = max((abs(one.effect) for one in explanation.words), default=0.0) or 1.0
    return (
        templates_of("emocap.api")
        .get_template(name)
        .render(
            found=explanation,
            level=level,
            uri=uri,
            size=None if picture is None else picture.size,
            shades=[round(abs(one.effect) / greatest, 3) for one in explanation.words],
            changes=explanation.changes[:MOST_CHANGES],
            regions_effect=sum(one.effect for one in explanation.regions),
        )
    )


def card(explanation: Explanation, picture: Image.Image | None) -> Image.Image:
    """The picture with its caption below, its words tinted, and the emotion above."""
    font = ImageFont.load_default(18)
    width = max(360, 0 if picture is None else picture.width) + 2 * MARGIN
    rows: list[list[tuple[str, float]]] = [[]]
    room = width - 2 * MARGIN
    left = 0.0
    for one in explanation.words:
        length = font.getlength(one.word) + 14
        if left + length > room and rows[-1]:
            rows.append([])
            left = 0.0
        rows[-1].append((one.word, one.effect))
        left += length
    top = MARGIN + LINE
    height = top + (0 if picture is None else picture.height + MARGIN) + len(rows) * (LINE + 4) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 4), f"{explanation.emotion}  {explanation.probability:.0%}", "black", font)
    if picture is not None:
        sheet.paste(picture, (MARGIN, top))
        top += picture.height + MARGIN
    greatest = max((abs(one.effect) for one in explanation.words), default=0.0) or 1.0
    for row in rows:
        x = float(MARGIN)
        for word, effect in row:
            length = font.getlength(word) + 8
            share = STRONGEST * abs(effect) / greatest
            colour = RAISES if effect > 0 else LOWERS
            fill = tuple(round(255 * (1 - share) + part * share) for part in colour)
            pen.rectangle((x, top, x + length, top + LINE), fill=fill)
            pen.text((x + 4, top + 3), word, "black", font)
            x += length + 6
        top += LINE + 4
    return sheet
