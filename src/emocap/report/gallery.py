"""Test pairs with their pictures, ready for the page: data URIs, and which emotions were hit."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from emocap.report.files.run import Card

MOST_CARDS = 24
LONGEST_SIDE = 320
MOST_BYTES = 40_000


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Prediction:
    """One predicted emotion."""

    emotion: str
    probability: float
    hit: bool


@dataclass(frozen=True)
class Shown:
    """One card: a pair, what people felt, what the model expected."""

    picture: Picture | None
    caption: str
    true: list[tuple[str, bool]]
    predicted: list[Prediction]
    average_precision: float | None


def shown(folder: Path, cards: list[Card]) -> list[Shown]:
    """Up to 24 cards; one whose picture is absent or broken comes without."""
    return [_shown(folder, card) for card in cards[:MOST_CARDS]]


def _shown(folder: Path, card: Card) -> Shown:
    true, guessed = set(card.true), {emotion for emotion, _ in card.predicted}
    return Shown(
        picture=picture(folder, card.image),
        caption=card.caption,
        true=[(emotion, emotion in guessed) for emotion in card.true],
        predicted=[
            Prediction(emotion, min(max(value, 0.0), 1.0), emotion in true) for emotion, value in card.predicted
        ],
        average_precision=card.average_precision,
    )


def picture(folder: Path, name: str | None) -> Picture | None:
    """A JPEG inside the run directory, made small; None where it is absent, broken or outside."""
    if not name:
        return None
    path = (folder / name).resolve()
    # A report is shown to others: it must not carry files from outside the run.
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.load()
            if max(image.size) > LONGEST_SIDE or len(data) > MOST_BYTES:
                smaller = ImageOps.exif_transpose(image).convert("RGB")
                smaller.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
                buffer = io.BytesIO()
                smaller.save(buffer, "JPEG", quality=80, optimize=True)
                data, size = buffer.getvalue(), smaller.size
            else:
                size = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", *size)
