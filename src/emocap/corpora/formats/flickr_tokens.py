"""The captions of Flickr8k and Flickr30k as first released, and Flickr8k's lists of parts (Hodosh et al. 2013).

`Flickr8k.token.txt` and Flickr30k's `results_20130124.token` have lines of `IMAGE.jpg#N<TAB>caption`.
"""

import re
from pathlib import Path

from emocap.corpora.formats.file_starts import header_of, most_lines_match
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.files import read_text

PART_LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
TOKEN_LINE = re.compile(r"([^\t]+)#(\d+)\t\s*([^\t]*)$")


def is_flickr_tokens(start: bytes) -> bool:
    """Whether most lines of a file's first bytes are tokens; the first may be a header, but none with a caption."""
    return most_lines_match(start, TOKEN_LINE, header=True) and "caption" not in map(str.lower, header_of(start))


def read_flickr_tokens(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line; the split is that of Flickr8k's part lists, if they are in the same folder.

    Raises:
        EmocapError: no usable line.
    """
    builder = PairsBuilder(path, images)
    parts = PartLists(path.parent)
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        match = TOKEN_LINE.match(text)
        if match is None:
            builder.reject(f"line {line}", "is not IMAGE#NUMBER, a tab and a caption")
            continue
        image, number, caption = match.groups()
        builder.add(f"line {line}", f"{image}#{number}", image, caption, split=parts.part_of(image.strip()))
    builder.notes += parts.notes()
    return builder.build()


class PartLists:
    """Flickr8k's lists of the images of each part, as far as a folder has them."""

    def __init__(self, folder: Path) -> None:
        self._parts: dict[str, str] = {}
        self._unlisted: set[str] = set()
        for part, name in PART_LISTS.items():
            if (folder / name).is_file():
                listed = filter(None, map(str.strip, read_text(folder / name).split("\n")))
                self._parts |= dict.fromkeys(listed, part)

    def part_of(self, image: str) -> str | None:
        """The part whose list names an image; None if none does."""
        if self._parts and image not in self._parts:
            self._unlisted.add(image)
        return self._parts.get(image)

    def notes(self) -> list[str]:
        """A note on the images that are in no list."""
        return [f"{len(self._unlisted)} images are in none of the part lists"] if self._unlisted else []
