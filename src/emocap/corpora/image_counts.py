"""The images of a corpus in numbers: named, found, missing and copied ones, and a folder that they may be in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow.compute as pc

from emocap.corpora.pairs import Pairs

TRIED_IMAGES = 20
MAX_FOLDERS = 500


@dataclass(frozen=True)
class Images:
    """The images of a corpus; what is counted on the disk is None where no folder of images is given.

    Attributes:
        named: distinct images.
        pairs_without: pairs without an image.
        folder: the folder that they are looked for in.
        found: how many are files.
        missing: how many are not.
        first_missing: the first of these.
        copies: how many are byte for byte the same as another one, the original.
        first_copy: the first copy, and its original.
        proposed_folder: without a folder: one near the corpus that holds at least half of its first images.
    """

    named: int
    pairs_without: int
    folder: str | None = None
    found: int | None = None
    missing: int | None = None
    first_missing: str | None = None
    copies: int | None = None
    first_copy: tuple[str, str] | None = None
    proposed_folder: str | None = None


def summarise_images(pairs: Pairs, path: Path, same: Mapping[str, str]) -> Images:
    """The images of a corpus.

    Args:
        path: the corpus's file, near which a folder of images is looked for if none is given.
        same: copied images, from `duplicates.same_content`.
    """
    images = pairs.distinct_images()
    without = int(pc.sum(pc.equal(pairs.table["image"], "")).as_py() or 0)
    root = pairs.image_root
    if root is None:
        folder = propose_folder(images[:TRIED_IMAGES], path)
        return Images(len(images), without, proposed_folder=None if folder is None else str(folder))
    missing = [image for image in images if not (root / image).is_file()]
    return Images(
        named=len(images),
        pairs_without=without,
        folder=str(root),
        found=len(images) - len(missing),
        missing=len(missing),
        first_missing=missing[0] if missing else None,
        copies=len(same),
        first_copy=next(iter(same.items()), None),
    )


def propose_folder(images: list[str], path: Path) -> Path | None:
    """The folder near a corpus with the most of these images, the first of several; None if none has half of them."""
    relative = [image for image in images if not image.startswith("/") and "://" not in image]
    best, most = None, max(len(relative) - 1, 0) // 2
    for folder in islice(_folders_near(path), MAX_FOLDERS):
        found = sum((folder / image).is_file() for image in relative)
        if found > most:
            best, most = folder, found
    return best


def _folders_near(path: Path) -> Iterator[Path]:
    """The folder of a corpus and those in it, then the same of the folder above; without hidden ones."""
    own = path.absolute() if path.is_dir() else path.absolute().parent
    for folder in (own, own.parent):
        yield folder
        try:
            yield from sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
        except OSError:
            continue
