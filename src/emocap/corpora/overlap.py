"""Which pairs of one corpus share an image or a caption with held-out pairs of another."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emocap.corpora.duplicates import normalised_caption
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError

_COCO_ID = re.compile(r"(?<!\d)\d{12}(?!\d)")


def without_held_out(
    source: Pairs, held_out: Pairs, domain: str, shared: Mapping[str, Sequence[str]] | None = None
) -> np.ndarray:
    """Row numbers of the source's pairs that share neither image nor caption with held-out pairs of the target.

    Two images are the same if their file names, the twelve-digit COCO ids in them, or their bytes are equal; two
    captions are the same if their `normalised_caption` is.

    Args:
        shared: images of the source to those of the target with the same bytes.
    """
    images = {image for image in held_out.images if image}
    image_keys = {key for image in images for key in _keys_of(image)}
    copies = {image for image, same in (shared or {}).items() if images.intersection(same)}
    captions = {normalised_caption(caption) for caption in held_out.captions if caption}
    held_out_images = {
        image for image in source.distinct_images() if image in copies or not image_keys.isdisjoint(_keys_of(image))
    }
    rows = [
        row
        for row, (image, caption) in enumerate(zip(source.images, source.captions, strict=True))
        if image not in held_out_images and normalised_caption(caption) not in captions
    ]
    if not rows:
        raise EmocapError(
            f"{domain}: every pair shares an image or caption with held-out pairs of the target; use another source"
        )
    return np.array(rows, dtype=np.int64)


def _keys_of(image: str) -> set[str]:
    name = Path(image).name.lower()
    return {name, *_COCO_ID.findall(name)} if name else set()
