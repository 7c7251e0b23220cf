"""Flickr30k (Young et al. 2014) as `results.csv`: `image_name| comment_number| comment`, five captions per image."""

import re
from pathlib import Path

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

HEADER = re.compile(r"image_name\s*([|,])\s*comment_number\s*\1\s*comment\s*$")
ROW = re.compile(r"\s*([^|]+?)\s*\|\s*(\d+)\s*(\|?)\s*(.*)$")
COMMA_ROW = re.compile(r"\s*([^,]+?)\s*,\s*(\d+)\s*(,?)\s*(.*)$")


def is_flickr30k(start: bytes) -> bool:
    """Whether a file's first line is the header of `results.csv`."""
    return HEADER.match(start[:200].decode("utf-8", "replace").split("\n")[0].rstrip()) is not None


def read_flickr30k(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line; the caption is all text after the second separator, since it is not quoted.

    A published copy lacks the second separator in one line (image 2199200615.jpg); such lines are read, and counted in
    a note. Copies with commas in place of bars are read too.

    Raises:
        EmocapError: another header, or no usable line.
    """
    lines = read_text(path).split("\n")
    header = HEADER.match(lines[0].strip())
    if header is None:
        raise EmocapError(f"{path}: line 1 is {lines[0][:60]!r}, expected image_name| comment_number| comment")
    builder = PairsBuilder(path, images)
    row = ROW if header.group(1) == "|" else COMMA_ROW
    repaired = []
    for line, text in enumerate(lines[1:], 2):
        if not text.strip():
            continue
        match = row.match(text)
        if match is None:
            builder.reject(f"line {line}", f"is not an image, a number and a caption between {header.group(1)}")
            continue
        image, number, separator, caption = match.groups()
        if builder.add(f"line {line}", f"{image}#{number}", image, _unquoted(caption)) and not separator:
            repaired.append(line)
    if repaired:
        builder.notes.append(
            f"{len(repaired)} lines lack the second separator and were read, the first line {repaired[0]}"
        )
    return builder.build()


def _unquoted(caption: str) -> str:
    """The text of a quoted CSV field, or the caption itself."""
    inner = caption.strip()[1:-1]
    if len(caption) > 1 and caption.strip()[0] == caption.strip()[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return caption
