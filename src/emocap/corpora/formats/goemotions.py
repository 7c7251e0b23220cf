"""GoEmotions (Demszky et al. 2020, arXiv 2005.00547): Reddit comments with 27 emotions or neutral; no images."""

import re
from pathlib import Path

from emocap.corpora.formats.parts import part_files, part_of
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

NAMES_FILE = "emotions.txt"
FILES = ("train.tsv", "dev.tsv", "test.tsv")
# fmt: off
OFFICIAL_NAMES = [
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]
# fmt: on
LINE = re.compile(r"[^\t]*\t\d+(,\d+)*\t\w+\s*$")


def read_goemotions(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line of `train.tsv`, `dev.tsv` or `test.tsv`, without a header: text, label ids, comment id.

    Label ids are separated by commas and count the lines of `emotions.txt` in the same folder from 0, or the official
    28 names where it is absent, which a note says. A quoted text is read as a CSV field; a text that merely contains
    quotes is kept as it is.

    Args:
        path: one of the three files, or the folder of them: the corpus with its own split.

    Raises:
        EmocapError: images are given, invalid label names, or no usable line.
    """
    if images is not None:
        raise EmocapError(f"{images}: GoEmotions has no images; leave them out")
    builder = PairsBuilder(path)
    labelled = options is None or options.labels
    names = _names((path if path.is_dir() else path.parent) / NAMES_FILE, builder) if labelled else []
    for file in part_files(path, FILES):
        split = part_of(file, path)
        for line, row in enumerate(read_text(file).split("\n"), 1):
            where = f"line {line}" if split is None else f"{file.name}: line {line}"
            if not row.strip():
                continue
            fields = row.split("\t")
            if len(fields) != 3:
                builder.reject(where, f"has {len(fields)} fields, expected text, label ids and comment id")
                continue
            text, label_ids, comment = fields
            emotions = _emotions(label_ids, names) if labelled else None
            if isinstance(emotions, str):
                builder.reject(where, emotions)
            else:
                builder.add(where, comment.strip(), None, _unquoted(text), emotions, split=split)
    return builder.build()


def _names(path: Path, builder: PairsBuilder) -> list[str]:
    if not path.is_file():
        builder.notes.append(f"{NAMES_FILE} is not in the folder; label ids are those of the official 28 names")
        return OFFICIAL_NAMES
    names = [name.strip() for name in read_text(path).rstrip().split("\n")]
    if not all(names) or len(set(names)) < len(names):
        raise EmocapError(f"{path}: a name is empty or occurs twice, expected one label name per line")
    return names


def _emotions(label_ids: str, names: list[str]) -> list[str] | str:
    """The labels of one line; or, as one string, what is wrong with them.

    >>> _emotions("0,1", ["joy", "fear"]), _emotions("2", ["joy", "fear"])
    (['joy', 'fear'], "label '2', expected ids 0 to 1 separated by commas")
    """
    labels = []
    for number in label_ids.strip().split(","):
        plain = number.strip()
        if not (plain.isascii() and plain.isdigit() and len(plain) < 6 and int(plain) < len(names)):
            return f"label {plain[:20]!r}, expected ids 0 to {len(names) - 1} separated by commas"
        labels.append(names[int(plain)])
    return labels


def _unquoted(text: str) -> str:
    """The text of a quoted CSV field, or the text itself if it is not one.

    >>> _unquoted('"He said ""no""."'), _unquoted('"No" is "no"')
    ('He said "no".', '"No" is "no"')
    """
    inner = text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return text
