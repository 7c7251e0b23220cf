"""`training_pairs.npy` in a model folder: hashes of the pairs that a model learned from, 8 bytes each.

They tell which pairs of other data are copies of these, although the pairs themselves are not in the folder. Left out:
pairs of a source, whose labels no model of the target learned.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emocap.corpora.duplicates import normalised_caption
from emocap.errors import EmocapError
from emocap.files import read_array, write_array

FILE = "training_pairs.npy"
HASH_BYTES = 8


def pair_hashes(images: Sequence[str], captions: Sequence[str]) -> np.ndarray:
    """(N,) uint64 hashes of N pairs, by the names of their images without folders and their `normalised_caption`.

    >>> hashes = pair_hashes(["a/1.jpg", "1.JPG", ""], ["A dog.", "a  dog.", "A dog."])
    >>> (hashes == hashes[0]).tolist()
    [True, True, False]
    """
    keys = (
        f"{Path(image).name.lower()}\0{normalised_caption(caption)}".encode("utf-8", "surrogatepass")
        for image, caption in zip(images, captions, strict=True)
    )
    digests = b"".join(hashlib.sha256(key).digest()[:HASH_BYTES] for key in keys)
    return np.frombuffer(digests, np.dtype("<u8")).astype(np.uint64)


def write_training_pairs(folder: Path, hashes: np.ndarray) -> None:
    """Write the distinct hashes of `pair_hashes` into a model folder."""
    write_array(folder / FILE, np.unique(hashes))


def count_training_pairs(folder: Path, images: Sequence[str], captions: Sequence[str]) -> int | None:
    """How many of N pairs the model of a folder learned from; None if that is unknown.

    Raises:
        EmocapError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    known = read_array(path)
    if known.dtype != np.uint64 or known.ndim != 1:
        raise EmocapError(f"{path}: is not the hashes of pairs; delete it, or run the study again")
    return int(np.isin(pair_hashes(images, captions), known).sum())
