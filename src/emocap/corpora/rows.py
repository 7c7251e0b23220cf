"""Rows of a CSV file with their line numbers; a malformed row is rejected and affects only its own line."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from emocap.corpora.pairs import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

MAX_FIELD_CHARS = 1_000_000


def csv_rows(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header, and the rows as (number of the row's first line, column to text).

    An unclosed quote, a NUL or an overlong field rejects its line; reading continues at the next line.

    Raises:
        EmocapError: the file is missing, empty, not UTF-8, or has no readable header.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    lines = io.StringIO(read_text(path), newline="").readlines()
    try:
        header = [name.strip() for name in next(csv.reader(lines[:1], strict=True), [])]
    except csv.Error as error:
        raise EmocapError(f"{path}: line 1 is not a CSV header ({error})") from None
    if not header:
        raise EmocapError(f"{path}: is empty, expected a header line")
    duplicate = next((name for name in header if header.count(name) > 1), None)
    if duplicate is not None:
        raise EmocapError(f"{path}: column {duplicate!r} occurs twice in the header; rename one")
    return header, _rows(lines, header, builder)


def _rows(lines: list[str], header: list[str], builder: PairsBuilder) -> Iterator[tuple[int, dict[str, str]]]:
    start = 1
    while start < len(lines):
        end = start

        def following() -> Iterator[str]:
            nonlocal end
            while end < len(lines):
                end += 1
                yield lines[end - 1]

        try:
            row = next(csv.reader(following(), strict=True))
        except csv.Error as error:
            builder.reject(f"line {start + 1}", f"is not CSV ({error})")
            start += 1
            continue
        if row and len(row) != len(header):
            builder.reject(f"line {start + 1}", f"has {len(row)} fields, expected {len(header)}")
        elif row:
            yield start + 1, dict(zip(header, row, strict=True))
        start = end


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
