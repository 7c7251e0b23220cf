"""Rows of a CSV file with their line numbers; a malformed row is rejected and affects only its own line."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from emocap.corpora.pairs import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

MAX_FIELD_CHARS = 1_000_000
DELIMITERS = (",", ";", "\t")


def csv_rows(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header, and the rows as (number of the row's first line, column to text).

    The delimiter is the one of comma, semicolon and tab that divides the header into most columns. Columns without a
    name, such as the index that pandas writes or those that spreadsheets export behind the last, are ignored. An
    unclosed quote, a NUL or an overlong field rejects its line; reading continues at the next line.

    Raises:
        EmocapError: the file is missing, empty, not UTF-8, or has no readable header.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    lines = io.StringIO(read_text(path), newline="").readlines()
    if not lines or not lines[0].strip():
        raise EmocapError(f"{path}: is empty, expected a header line")
    try:
        delimiter = delimiter_of(lines[0])
        header = [name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise EmocapError(f"{path}: line 1 is not a CSV header ({error})") from None
    duplicate = next((name for name in header if name and header.count(name) > 1), None)
    if duplicate is not None:
        raise EmocapError(f"{path}: column {duplicate!r} occurs twice in the header; rename one")
    return header, _rows(lines, header, delimiter, builder)


def delimiter_of(header: str) -> str:
    """The delimiter that divides a header line into most columns, the comma where none does.

    >>> delimiter_of("image;caption"), delimiter_of("caption")
    (';', ',')

    Raises:
        csv.Error: not a line of a CSV.
    """
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark, strict=True), [])))


def _rows(
    lines: list[str], header: list[str], delimiter: str, builder: PairsBuilder
) -> Iterator[tuple[int, dict[str, str]]]:
    named = [(column, name) for column, name in enumerate(header) if name]
    n_needed = named[-1][0] + 1 if named else 0
    names, in_order = [name for _, name in named], all(column == i for i, (column, _) in enumerate(named))
    first = 1
    while first < len(lines):
        reader = csv.reader((lines[i] for i in range(first, len(lines))), delimiter=delimiter, strict=True)
        base = start = first
        first = len(lines)
        try:
            for row in reader:
                line, start = start + 1, base + reader.line_num
                if not row:
                    continue
                if len(row) < n_needed or (len(row) > len(header) and any(map(str.strip, row[len(header) :]))):
                    builder.reject(f"line {line}", f"has {len(row)} fields, expected {len(header)}")
                elif in_order:
                    yield line, dict(zip(names, row, strict=False))
                else:
                    yield line, {name: row[column] for column, name in named}
        except csv.Error as error:
            builder.reject(f"line {start + 1}", f"is not CSV ({error})")
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
