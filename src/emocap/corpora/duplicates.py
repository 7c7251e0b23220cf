"""Duplicates in a corpus: images with identical bytes under several names, and captions that occur in several parts.

Left out: near-duplicate images, such as the same photograph after another compression.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import sha256_of

N_EXAMPLES = 3
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))  # soft hyphens, zero-width spaces and the like
TAIL_BYTES = 4096
TAIL_FROM_BYTES = 16 * TAIL_BYTES  # below, hashing a file costs no more than reading its end


def same_content(pairs: Pairs) -> dict[str, str]:
    """Every image that is a copy, to the first image (in sorted order) of the same bytes, which is itself not a key.

    Files are compared by size, then by their last bytes, then by SHA-256. Missing and empty files are ignored.

    Raises:
        EmocapError: a file cannot be read.
    """
    first: dict[str, str] = {}
    copies = {}
    for size, images in _by_size(pairs).items():
        if len(images) < 2:
            continue
        tails = _tails(pairs, images, size)
        count = Counter(tails.values())
        for image in (image for image in images if count[tails[image]] > 1):
            if first.setdefault(digest := _digest(pairs, image), image) != image:
                copies[image] = first[digest]
    return copies


def shared_content(pairs: Pairs, others: Pairs) -> dict[str, list[str]]:
    """Every image of `pairs` with the same bytes as images of `others`, to those images, whatever their names.

    Files are compared as by `same_content`.

    Raises:
        EmocapError: a file cannot be read.
    """
    by_size = _by_size(others)
    shared: dict[str, list[str]] = {}
    for size, images in _by_size(pairs).items():
        if size not in by_size:
            continue
        tails, other_tails = _tails(pairs, images, size), _tails(others, by_size[size], size)
        common = set(tails.values()).intersection(other_tails.values())
        digests: dict[str, list[str]] = {}
        for image in (image for image in by_size[size] if other_tails[image] in common):
            digests.setdefault(_digest(others, image), []).append(image)
        for image in (image for image in images if tails[image] in common):
            if (digest := _digest(pairs, image)) in digests:
                shared[image] = digests[digest]
    return shared


def _by_size(pairs: Pairs) -> dict[int, list[str]]:
    """The images that are non-empty files, sorted, by their number of bytes."""
    by_size: dict[int, list[str]] = {}
    if pairs.image_root is not None:
        for image in sorted(pairs.distinct_images()):
            path = pairs.image_root / image
            if path.is_file() and (size := path.stat().st_size):
                by_size.setdefault(size, []).append(image)
    return by_size


def _tails(pairs: Pairs, images: Iterable[str], size: int) -> dict[str, bytes]:
    """The last bytes of large files, which tell nearly all of equal size apart; b"" for small files."""
    if size < TAIL_FROM_BYTES:
        return dict.fromkeys(images, b"")
    assert pairs.image_root is not None, "the image is a file"
    tails = {}
    for image in images:
        path = pairs.image_root / image
        try:
            with path.open("rb") as file:
                file.seek(-TAIL_BYTES, os.SEEK_END)
                tails[image] = file.read()
        except OSError as error:
            raise _unreadable(path, error) from error
    return tails


def _digest(pairs: Pairs, image: str) -> str:
    assert pairs.image_root is not None, "the image is a file"
    path = pairs.image_root / image
    try:
        return sha256_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> EmocapError:
    return EmocapError(f"{path}: cannot be read ({error.strerror or error}); make it readable")


def repeated_captions(pairs: Pairs, rows_by_part: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How many captions occur in more than one part, compared by `normalised_caption`, and the first three of them.

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
        for row in (row for row in rows if captions[row]):
            plain = normalised_caption(captions[row])
            parts.setdefault(plain, set()).add(part)
            row_of[plain] = min(int(row), row_of.get(plain, int(row)))
    repeated = sorted(row_of[plain] for plain, where in parts.items() if len(where) > 1)
    return {"count": len(repeated), "examples": [captions[row] for row in repeated[:N_EXAMPLES]]}


def normalised_caption(caption: str) -> str:
    """A caption without differences of case, spacing and Unicode form, by which two captions are the same text.

    >>> normalised_caption(" A  Dog")
    'a dog'
    """
    if not caption.isascii():
        caption = unicodedata.normalize("NFKC", caption).casefold().translate(_INVISIBLE)
    return " ".join(caption.lower().split())
