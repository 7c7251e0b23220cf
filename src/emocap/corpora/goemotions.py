"""GoEmotions (Demszky et al. 2020, arXiv 2005.00547): Reddit comments with 27 emotions or neutral; no images."""

from pathlib import Path

from emocap.corpora.pairs import Pairs, PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

NAMES_FILE = "emotions.txt"


def read_goemotions(path: Path, images: Path | None = None) -> Pairs:
    """One pair a line of `train.tsv`, `dev.tsv` or `test.tsv`, without a header: text, label numbers, comment id.

    Labels are separated by commas and number the lines of `emotions.txt` beside the file, from 0. A text in quotes is
    read as a CSV field; a text that merely holds quotes is kept as it is.

    Raises:
        EmocapError: images are given, no names beside the file or faulty ones, or no usable line.
    """
    if images is not None:
        raise EmocapError(f"{images}: GoEmotions has no images; leave them out")
    names = _names(path.parent / NAMES_FILE)
    builder = PairsBuilder(path)
    for line, row in enumerate(read_text(path).split("\n"), 1):
        if not row.strip():
            continue
        fields = row.split("\t")
        if len(fields) != 3:
            builder.refuse(f"line {line}", f"has {len(fields)} fields, expected text, label numbers and comment id")
            continue
        text, numbers, comment = fields
        emotions = _emotions(numbers, names)
        if isinstance(emotions, str):
            builder.refuse(f"line {line}", emotions)
        else:
            builder.add(f"line {line}", comment.strip(), None, _unquoted(text), emotions)
    return builder.build()


def _names(path: Path) -> list[str]:
    if not path.is_file():
        raise EmocapError(f"{path}: no such file; GoEmotions' label names, one a line, must lie beside its texts")
    names = [name.strip() for name in read_text(path).rstrip().split("\n")]
    if not all(names) or len(set(names)) < len(names):
        raise EmocapError(f"{path}: a name is empty or occurs twice, expected one label name a line")
    return names


def _emotions(numbers: str, names: list[str]) -> list[str] | str:
    """The labels of one line; or what is wrong with them, as one text.

    >>> _emotions("0,1", ["joy", "fear"]), _emotions("2", ["joy", "fear"])
    (['joy', 'fear'], "label '2', expected numbers 0 to 1 with commas between")
    """
    found = []
    for number in numbers.strip().split(","):
        plain = number.strip()
        if not (plain.isascii() and plain.isdigit() and len(plain) < 6 and int(plain) < len(names)):
            return f"label {plain[:20]!r}, expected numbers 0 to {len(names) - 1} with commas between"
        found.append(names[int(plain)])
    return found


def _unquoted(text: str) -> str:
    """The text of a CSV field, or the text itself where it is none.

    >>> _unquoted('"He said ""no""."'), _unquoted('"No" is "no"')
    ('He said "no".', '"No" is "no"')
    """
    inner = text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return text
