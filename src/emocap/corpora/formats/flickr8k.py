"""Flickr8k (Hodosh et al. 2013), five captions per image, and FlickrFace11K (Nezami et al. 2018), its expressions."""

from pathlib import Path

from emocap.corpora.formats.file_starts import header_of
from emocap.corpora.formats.flickr_tokens import PartLists
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns
from emocap.errors import EmocapError
from emocap.files import read_text

CAPTIONS_FILE = "captions.txt"


def is_flickr8k(path: Path, start: bytes) -> bool:
    """Whether a file is `captions.txt` with its header."""
    return path.name.removesuffix(".gz") == CAPTIONS_FILE and header_of(start) == ("image", "caption")


def read_flickr8k(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line, `image,caption`; the caption is all text after the first comma, since quoting is inconsistent.

    The split is that of Flickr8k's part lists, such as `Flickr_8k.trainImages.txt`, if they are in the same folder.

    Raises:
        EmocapError: no header `image,caption`, or no usable line.
    """
    lines = read_text(path).split("\n")
    if not lines[0].strip():
        raise EmocapError(f"{path}: is empty, expected the header image,caption")
    require_columns(path, [name.strip() for name in lines[0].split(",")], ("image", "caption"))
    builder = PairsBuilder(path, images)
    parts = PartLists(path.parent)
    for line, text in enumerate(lines[1:], 2):
        image, comma, caption = text.partition(",")
        if len(caption) > 1 and caption[0] == caption[-1] == '"':
            caption = caption[1:-1].replace('""', '"')
        if comma:
            split = parts.part_of(image.strip())
            builder.add(f"line {line}", f"{path.stem}:{line}", image.strip(), caption, split=split)
        elif text.strip():
            builder.reject(f"line {line}", "has no comma between image and caption")
    builder.notes += parts.notes()
    return builder.build()


def read_flickr8k_expressions(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per caption of an image with an expression, which is its only emotion; other images are skipped.

    Args:
        path: `expressions.csv` with `image,emotion`; the captions are in `captions.txt` in the same folder.
        images: folder of the images, or None for captions alone.

    Raises:
        EmocapError: no captions file, not a CSV with these columns, or no usable pair.
    """
    captions = path.parent / CAPTIONS_FILE
    if not captions.is_file():
        raise EmocapError(f"{captions}: no such file; Flickr8k's captions must be in the same folder as {path.name}")
    captioned = read_flickr8k(captions)
    captions_of: dict[str, list[tuple[str, str, str | None]]] = {}
    rows_of_captions = zip(captioned.pair_ids, captioned.images, captioned.captions, captioned.splits, strict=True)
    for pair_id, image, caption, split in rows_of_captions:
        captions_of.setdefault(image, []).append((pair_id, caption, split))
    builder = PairsBuilder(path, images, list(captioned.rejected), list(captioned.notes))
    header, rows = csv_rows(path, builder)
    require_columns(path, header, ("image", "emotion"))
    with_labels = options is None or options.labels
    seen: set[str] = set()
    for line, row in rows:
        where, image, emotion = f"line {line}", row["image"].strip(), row["emotion"].strip()
        if with_labels and not emotion:
            builder.reject(where, "emotion is empty")
        elif image in seen:
            builder.reject(where, f"image {image!r} occurs twice")
        elif image not in captions_of:
            builder.reject(where, f"image {image!r} has no caption in {CAPTIONS_FILE}")
        else:
            seen.add(image)
            for pair_id, caption, split in captions_of[image]:
                builder.add(where, pair_id, image, caption, [emotion] if with_labels else None, split=split)
    return builder.build()
