"""Flickr8k (Hodosh et al. 2013): `captions.txt`, five captions an image; no emotions."""

from pathlib import Path

from emocap.corpora.pairs import Pairs, PairsBuilder
from emocap.corpora.rows import require_columns
from emocap.errors import EmocapError
from emocap.files import read_text


def read_flickr8k(path: Path, images: Path | None = None) -> Pairs:
    """One pair a line, `image,caption`; the caption is all after the first comma, as the file's quoting is loose.

    Raises:
        EmocapError: no header `image,caption`, or no usable line.
    """
    lines = read_text(path).split("\n")
    if not lines[0].strip():
        raise EmocapError(f"{path}: is empty, expected the header image,caption")
    require_columns(path, [name.strip() for name in lines[0].split(",")], ("image", "caption"))
    builder = PairsBuilder(path)
    for line, text in enumerate(lines[1:], 2):
        image, comma, caption = text.partition(",")
        if len(caption) > 1 and caption[0] == caption[-1] == '"':
            caption = caption[1:-1].replace('""', '"')
        if comma:
            builder.add(f"line {line}", f"{path.stem}:{line}", image.strip(), caption)
        elif text.strip():
            builder.refuse(f"line {line}", "has no comma between image and caption")
    return builder.build(images)
