"""Captions for corpora of images that have labels but no text: a table in the same folder."""

from pathlib import Path, PurePosixPath

from emocap.corpora.options import ReadOptions
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

CAPTIONS_TABLE = "captions.csv"


def captions_beside(path: Path, corpus: str) -> dict[str, list[str]]:
    """Image to its captions, from `captions.csv` (`image,caption`) in the folder of a corpus.

    Args:
        path: the corpus's file, or the folder itself.
        corpus: its name, for the error.

    Returns:
        The captions by the image's name as written, and by its last part where no other image has the same.

    Raises:
        EmocapError: there is no such table, or it is not a table of captions.
    """
    table = (path if path.is_dir() else path.parent) / CAPTIONS_TABLE
    if not table.is_file():
        raise EmocapError(
            f"{table}: no such file; {corpus} has no captions, and emocap predicts from an image with its caption: "
            "write at least one for each image into this table with the columns image,caption"
        )
    pairs = read_table(table, None, ReadOptions(labels=False))
    captions: dict[str, list[str]] = {}
    for image, caption in zip(pairs.images, pairs.captions, strict=True):
        captions.setdefault(image, []).append(caption)
    by_file: dict[str, set[str]] = {}
    for image in captions:
        by_file.setdefault(PurePosixPath(image).name, set()).add(image)
    unique = {file: captions[next(iter(images))] for file, images in by_file.items() if len(images) == 1}
    return unique | captions


def captions_of(image: str, captions: dict[str, list[str]]) -> list[str]:
    """The captions of an image by its name, or by the last part of its name; [] if there are none."""
    return captions.get(image) or captions.get(PurePosixPath(image).name) or []
