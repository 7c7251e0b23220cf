"""Rows of a CSV file with their line numbers; a malformed row is rejected and affects only its own line."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

MAX_FIELD_CHARS = 1_000_000
DELIMITERS = (",", ";", "\t", "|")


def csv_rows(
    path: Path, builder: PairsBuilder, *, with_unnamed: bool = False
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header, and the rows as (number of the row's first line, column to text).

    The delimiter is the one of `DELIMITERS` that divides the header into most columns. Empty lines, comments (`# ...`)
    and Excel's `sep=` before the header are skipped. Columns without a name, such as the index that pandas writes or
    those that spreadsheets export behind the last, are ignored. An unclosed quote, a NUL or an overlong field rejects
    its line; reading continues at the next line.

    Args:
        with_unnamed: give columns without a name the one that pandas gives them, such as `Unnamed: 0`.

    Raises:
        EmocapError: the file is missing, empty, not UTF-8, or has no readable header.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    lines = io.StringIO(read_text(path), newline="").readlines()
    first = next((number for number, line in enumerate(lines) if not _is_preamble(line)), None)
    if first is None:
        raise EmocapError(f"{path}: is empty, expected a header line")
    try:
        delimiter, names, end = _header(lines, first)
    except csv.Error as error:
        raise EmocapError(f"{path}: line {first + 1} is not a CSV header ({error})") from None
    header = [" ".join(name.split()) for name in names]
    duplicate = next((name for name in header if name and header.count(name) > 1), None)
    if duplicate is not None:
        raise EmocapError(f"{path}: column {duplicate!r} occurs twice in the header; rename one")
    n_needed = max((column + 1 for column, name in enumerate(header) if name), default=0)
    if with_unnamed:
        header = [name or _free_name(f"Unnamed: {column}", header) for column, name in enumerate(header)]
    skips_blanks = _has_blanks_between(lines[first], delimiter) or _has_blanks_before_quotes(lines, delimiter)
    return header, _rows(lines, end, header, n_needed, delimiter, builder, skips_blanks=skips_blanks)


def csv_names(start: str) -> list[str] | None:
    """The names in the header of a CSV of which this is the beginning; None if it has no whole, readable header.

    >>> csv_names("sep=;\\nimage;my  caption;\\na.jpg;A dog;")
    ['image', 'my caption']
    """
    lines = io.StringIO(start, newline="").readlines()
    first = next((number for number, line in enumerate(lines) if not _is_preamble(line)), None)
    if first is None or (not lines[-1].endswith(("\n", "\r")) and first == len(lines) - 1):
        return None
    try:
        return [name for name in (" ".join(name.split()) for name in _header(lines, first)[1]) if name]
    except csv.Error:
        return None


def _free_name(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"{name}_"
    return name


def _is_preamble(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("# ") or (text.lower().startswith("sep=") and len(text) < 8)


def _header(lines: list[str], first: int) -> tuple[str, list[str], int]:
    """The delimiter, the names, and the index of the line behind the header, which quoted names may make longer.

    Raises:
        csv.Error: no delimiter gives a header.
    """
    found: tuple[str, list[str], int] | None = None
    fault = csv.Error("no columns")
    for mark in DELIMITERS:
        reader = csv.reader(islice(lines, first, None), delimiter=mark, strict=True, skipinitialspace=True)
        try:
            names = next(reader)
        except csv.Error as error:
            fault = error
            continue
        if found is None or len(names) > len(found[1]):
            found = mark, names, first + reader.line_num
    if found is None:
        raise fault
    return found


def delimiter_of(header: str) -> str:
    """The delimiter that divides a header line into most columns, the comma where none does.

    >>> delimiter_of("image;caption"), delimiter_of('"caption","emotions"')
    (';', ',')

    Raises:
        csv.Error: not a line of a CSV.
    """
    return _header([header], 0)[0]


def _has_blanks_between(header: str, delimiter: str) -> bool:
    """Whether all names but the first have a blank before them, so that blanks there are no part of a cell's text.

    >>> _has_blanks_between("image, caption, emotions", ","), _has_blanks_between("caption", ",")
    (True, False)
    """
    return 0 < header.count(delimiter) == header.count(f"{delimiter} ")


def _has_blanks_before_quotes(lines: Iterable[str], delimiter: str) -> bool:
    """Whether a quoted cell has blanks before it, which are no part of its text then.

    >>> _has_blanks_before_quotes(['a.jpg, "A dog, alone"'], ","), _has_blanks_before_quotes(['"a, ""b"" c, ",d'], ",")
    (True, False)
    """
    mark = re.escape(delimiter)
    opening = re.compile(rf'(?:^|{mark}) +"(?!["\r\n]|{mark}|$)')  # no closing quote, and no quote within a cell
    return any(opening.search(line) for line in lines if '"' in line)


def _rows(
    lines: list[str],
    first: int,
    header: list[str],
    n_needed: int,
    delimiter: str,
    builder: PairsBuilder,
    *,
    skips_blanks: bool,
) -> Iterator[tuple[int, dict[str, str]]]:
    named = [(column, name) for column, name in enumerate(header) if name]
    names, in_order = [name for _, name in named], all(column == i for i, (column, _) in enumerate(named))
    while first < len(lines):
        remaining = (lines[i] for i in range(first, len(lines)))  # islice would go through all before them each time
        reader = csv.reader(remaining, delimiter=delimiter, strict=True, skipinitialspace=skips_blanks)
        base = start = first
        first = len(lines)
        try:
            for row in reader:
                line, start = start + 1, base + reader.line_num
                if not row:
                    continue
                if len(row) < n_needed or (len(row) > len(header) and any(map(str.strip, row[len(header) :]))):
                    reason = f"has {len(row)} fields, expected {len(header)}"
                    builder.reject(f"line {line}", reason, "".join(lines[line - 1 : start]))
                elif in_order:
                    yield line, dict(zip(names, row, strict=False))
                else:
                    yield line, {name: row[column] for column, name in named}
        except csv.Error as error:
            builder.reject(f"line {start + 1}", f"is not CSV ({error})", lines[start])
            first = start + 1


def require_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Check that a table has the needed columns.

    Raises:
        EmocapError: one is missing; the message lists those that exist.
    """
    missing = [name for name in needed if name not in columns]
    if missing:
        raise EmocapError(
            f"{path}: has no column {missing[0]!r}, found {', '.join(columns)}; expected {', '.join(needed)}"
        )
