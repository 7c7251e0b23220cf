"""Images whose files have changed since their regions were described."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emocap.files import sha256_of
from emocap.regions.store.journal import Entry
from emocap.regions.store.reader import FeatureStore

THREADS = 4


def changed_images(store: FeatureStore, image_root: Path) -> list[str]:
    """The images of a store whose files below a folder have other bytes now; those without a file are left out.

    Empty for a store that was not extracted from files, or by a version that recorded no SHA-256.
    """
    images = [image for image in store.images if store.digest(image) is not None]
    with ThreadPoolExecutor(THREADS) as threads:
        digests = list(threads.map(digest_of, (image_root / image for image in images)))
    return [image for image, digest in zip(images, digests, strict=True) if digest not in (None, store.digest(image))]


def unchanged_entries(entries: Sequence[Entry], image_root: Path) -> int:
    """How many entries of a journal, from its start, are of images whose files are as they were."""
    with ThreadPoolExecutor(THREADS) as threads:
        digests = list(threads.map(digest_of, (image_root / entry.image for entry in entries)))
    same = (entry.digest == digest for entry, digest in zip(entries, digests, strict=True))
    return next((number for number, is_same in enumerate(same) if not is_same), len(entries))


def digest_of(path: Path) -> str | None:
    """The SHA-256 of an image's file; None if there is no readable one."""
    try:
        return sha256_of(path)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
