"""Conceptual Captions (Sharma et al. 2018) and 12M (Changpinyo et al. 2021): TSVs of captions and web addresses."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from emocap.corpora.formats.file_starts import first_lines, most_lines_match
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.files import read_text

LINE = re.compile(r"https?://\S+\t[^\t]+$|[^\t]+\thttps?://\S+\s*$")
HEADERS = ("caption\turl", "url\tcaption")
HEADER_LINES = [[header] for header in HEADERS]


def is_conceptual_captions(start: bytes) -> bool:
    """Whether a file's first bytes are captions and web addresses, or a header of both."""
    return first_lines(start[:1000])[:1] in HEADER_LINES or most_lines_match(start, LINE)


def read_conceptual_captions(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line: a caption and the web address of its image, in either order, with or without a header.

    Args:
        path: such as `Train_GCC-training.tsv`.
        images: folder of images that were downloaded under the last part of their addresses; None for captions alone.
            An image that it does not contain leaves its caption without one, which is counted in a note.

    Raises:
        EmocapError: no usable line.
    """
    builder = PairsBuilder(path, images)
    stem = path.name.split(".")[0]
    present = set() if images is None else {file.name for file in images.iterdir()}
    absent = 0
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip() or (line == 1 and text.strip() in HEADERS):
            continue
        fields = [field.strip() for field in text.split("\t")]
        addresses = [field for field in fields if re.match("https?://", field)]
        if len(fields) != 2 or not addresses:
            builder.reject(f"line {line}", "is not a caption, a tab and the web address of its image")
            continue
        caption = fields[0] if fields[1] == addresses[-1] else fields[1]
        name = _file_name(addresses[-1])
        image = name if name in present else ""
        absent += not image
        builder.add(f"line {line}", f"{stem}:{line}", image, caption)
    if images is None:
        builder.notes.append("images are web addresses, of which emocap fetches none; captions alone are read")
    elif absent:
        builder.notes.append(f"{absent} captions are without an image: {images} has no file named by their addresses")
    return builder.build()


def _file_name(address: str) -> str:
    """The last part of an address's path.

    >>> _file_name("https://host/a/b%20c.jpg?w=100")
    'b c.jpg'
    """
    return unquote(PurePosixPath(urlsplit(address).path).name)
