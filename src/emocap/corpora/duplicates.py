"""What a corpus holds twice: images of the same bytes under several names, and captions in more than one part.

Left out: pictures that are alike but differ in a byte, as after another compression.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import sha256_of

N_EXAMPLES = 3


def same_content(pairs: Pairs) -> dict[str, str]:
    """Every image that is a copy, to the first image (in sorted order) of the same bytes, which is itself not a key.

    Files are compared by size, then by SHA-256. Missing and empty files are left out.

    Raises:
        EmocapError: a file cannot be read.
    """
    first: dict[str, str] = {}
    copies = {}
    for images in _by_size(pairs).values():
        for image in images if len(images) > 1 else []:
            if first.setdefault(digest := _digest(pairs, image), image) != image:
                copies[image] = first[digest]
    return copies


def shared_content(pairs: Pairs, others: Pairs) -> dict[str, list[str]]:
    """Every image of `pairs` whose bytes images of `others` have too, to those images, whatever their names.

    Files are compared by size, then by SHA-256. Missing and empty files are left out.

    Raises:
        EmocapError: a file cannot be read.
    """
    theirs = _by_size(others)
    found: dict[str, list[str]] = {}
    for size, images in _by_size(pairs).items():
        if size in theirs:
            digests: dict[str, list[str]] = {}
            for image in theirs[size]:
                digests.setdefault(_digest(others, image), []).append(image)
            found |= {image: digests[digest] for image in images if (digest := _digest(pairs, image)) in digests}
    return found


def _by_size(pairs: Pairs) -> dict[int, list[str]]:
    """The images that are files with something in them, sorted, by their number of bytes."""
    found: dict[int, list[str]] = {}
    if pairs.image_root is not None:
        for image in sorted(pairs.distinct_images()):
            path = pairs.image_root / image
            if path.is_file() and (size := path.stat().st_size):
                found.setdefault(size, []).append(image)
    return found


def _digest(pairs: Pairs, image: str) -> str:
    assert pairs.image_root is not None, "the image is a file"
    path = pairs.image_root / image
    try:
        return sha256_of(path)
    except OSError as error:
        raise EmocapError(f"{path}: cannot be read ({error.strerror or error}); make it readable") from error


def repeated_captions(pairs: Pairs, rows_by_part: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How many captions occur in more than one part, equal in case and spacing, and the first three of them.

    Args:
        pairs: N pairs.
        rows_by_part: part to its row numbers.

    Returns:
        {"count": captions, "examples": [caption, ...]} in the order of the pairs.
    """
    captions = pairs.captions
    parts: dict[str, set[str]] = {}
    row_of: dict[str, int] = {}
    for part, rows in rows_by_part.items():
        for row in rows:
            plain = " ".join(captions[row].lower().split())
            parts.setdefault(plain, set()).add(part)
            row_of[plain] = min(int(row), row_of.get(plain, int(row)))
    found = sorted(row_of[plain] for plain, where in parts.items() if len(where) > 1)
    return {"count": len(found), "examples": [captions[row] for row in found[:N_EXAMPLES]]}
