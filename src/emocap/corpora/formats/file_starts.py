"""What the first bytes of a corpus's file show of its format: the header of a table, or the form of its lines."""

import csv
import gzip
import re
import zlib
from pathlib import Path

from emocap.corpora.rows import delimiter_of
from emocap.errors import EmocapError
from emocap.files import GZIP_MAGIC

FIRST_BYTES = 65_536
LEAST_SHARE = 0.6
GIT_LFS_POINTER = b"version https://git-lfs"
_LINE_END = re.compile(r"\r\n|\r|\n")


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file's content, decompressed, without a byte-order mark and leading white space.

    Raises:
        EmocapError: the file cannot be opened, or is a pointer of Git LFS in place of the file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
        if start.startswith(GZIP_MAGIC):
            with gzip.open(path, "rb") as content:
                start = content.read(FIRST_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise EmocapError(f"{path}: damaged gzip file ({error}); download it again") from None
    except OSError as error:
        raise EmocapError(f"{path}: cannot be opened ({error.strerror or error})") from None
    if start.startswith(GIT_LFS_POINTER):
        raise EmocapError(f"{path}: is a pointer of Git LFS, not the file itself; fetch it with 'git lfs pull'")
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()


def first_lines(start: bytes) -> list[str]:
    """The whole lines of a file's first bytes, without empty ones; any of the usual line ends separates them.

    >>> first_lines(b"a,b\\r1,2\\r\\r")
    ['a,b', '1,2']
    """
    lines = _LINE_END.split(start.decode("utf-8", "replace"))
    if len(start) >= FIRST_BYTES - 100 and len(lines) > 1:  # the last line may be cut short
        lines.pop()
    return [line for line in lines if line.strip()]


def header_of(start: bytes) -> tuple[str, ...]:
    """The column names of a CSV or TSV; of another file, whatever its first line holds.

    >>> header_of(b" image ;caption\\na.jpg;A dog")
    ('image', 'caption')
    """
    lines = first_lines(start[:4096])
    if not lines:
        return ()
    try:
        names = next(csv.reader(lines[:1], delimiter=delimiter_of(lines[0]), strict=True), [])
    except csv.Error:
        return ()
    return tuple(name.strip() for name in names)


def has_columns(start: bytes, *names: str) -> bool:
    """Whether the header of a CSV or TSV has these columns, in any order and among others.

    One that has a caption besides is somebody's own table, whatever published columns it kept.

    >>> has_columns(b"id,headline,emotion", "headline"), has_columns(b"headline,caption", "headline")
    (True, False)
    """
    header = header_of(start)
    return set(names) <= set(header) and ("caption" in names or "caption" not in header)


def most_lines_match(start: bytes, pattern: re.Pattern[str], *, header: bool = False) -> bool:
    """Whether most whole lines match a pattern from their beginning, the first one too.

    Args:
        header: whether the first line may be another, so that a table whose rows look alike is taken for the format.

    >>> most_lines_match(b"a.jpg#0\\tA dog\\na.jpg#1\\tA cat", re.compile(r".+#[0-9]\\t"))
    True
    """
    found = [pattern.match(line) is not None for line in first_lines(start)]
    return bool(found) and sum(found) > LEAST_SHARE * len(found) and (found[0] or header)
