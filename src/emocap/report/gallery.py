"""Test pairs of the gallery with their images as data URIs, and which true emotions the model ranked first.

An emotion counts as ranked first if it is among the k likeliest of a pair with k true emotions. A threshold would tick
emotions of the worst rankings too, since on few pairs the threshold of highest F1 may accept every emotion.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from emocap.report.files.run import Card

MAX_CARDS = 24
MAX_SIDE = 320
MAX_BYTES = 40_000


@dataclass(frozen=True)
class InlineImage:
    """An image inside the page."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Prediction:
    """One emotion with its probability, and whether it is true and ranked first."""

    emotion: str
    probability: float
    correct: bool


@dataclass(frozen=True)
class GalleryCard:
    """A test pair with the emotions that annotators named, each with whether it is ranked first, and the likeliest."""

    image: InlineImage | None
    caption: str
    true: list[tuple[str, bool]]
    predicted: list[Prediction]
    average_precision: float | None


def gallery_cards(folder: Path, cards: list[Card]) -> list[GalleryCard]:
    """Up to 24 cards; a card whose image is missing or damaged is shown without it."""
    return [_gallery_card(folder, card) for card in cards[:MAX_CARDS]]


def _gallery_card(folder: Path, card: Card) -> GalleryCard:
    first = {emotion for emotion, _ in card.predicted[: len(card.true)]}
    correct = first & set(card.true)
    return GalleryCard(
        image=inline_image(folder, card.image),
        caption=card.caption,
        true=[(emotion, emotion in correct) for emotion in card.true],
        predicted=[
            Prediction(emotion, min(max(value, 0.0), 1.0), emotion in correct) for emotion, value in card.predicted
        ],
        average_precision=card.average_precision,
    )


def inline_image(folder: Path, name: str | None) -> InlineImage | None:
    """A JPEG inside the run directory, scaled down; None where it is missing, damaged or outside."""
    if not name:
        return None
    path = (folder / name).resolve()
    # A report is shared with others: it must not contain files from outside the run.
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.load()
            if max(image.size) > MAX_SIDE or len(data) > MAX_BYTES:
                smaller = ImageOps.exif_transpose(image).convert("RGB")
                smaller.thumbnail((MAX_SIDE, MAX_SIDE))
                buffer = io.BytesIO()
                smaller.save(buffer, "JPEG", quality=80, optimize=True)
                data, size = buffer.getvalue(), smaller.size
            else:
                size = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return InlineImage(f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", *size)
