"""Which pairs of one corpus share an image or a caption with held-out pairs of another."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError

_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


def without_held_out(
    source: Pairs, held_out: Pairs, domain: str, shared: Mapping[str, Sequence[str]] | None = None
) -> np.ndarray:
    """Row numbers of the source's pairs that share neither image nor caption with held-out pairs of the target.

    Images are the same if their file names, the twelve-digit COCO id in these, or their bytes are; captions if they
    differ in case and spaces only.

    Args:
        shared: images of the source to those of the target with the same bytes.
    """
    images = {image for image in held_out.images if image}
    image_keys = {key for image in images for key in _keys_of(image)}
    copies = {image for image, same in (shared or {}).items() if images.intersection(same)}
    captions = {_plain(caption) for caption in held_out.captions}
    rows = [
        row
        for row, (image, caption) in enumerate(zip(source.images, source.captions, strict=True))
        if _plain(caption) not in captions and image not in copies and not image_keys.intersection(_keys_of(image))
    ]
    if not rows:
        raise EmocapError(
            f"{domain}: every pair shares an image or caption with held-out pairs of the target; use another source"
        )
    return np.array(rows, dtype=np.int64)


def _keys_of(image: str) -> set[str]:
    name = Path(image).name.lower()
    return {name, *_COCO_ID.findall(name)} if name else set()


def _plain(caption: str) -> str:
    return " ".join(caption.lower().split())
