"""Rows of a CSV with their line numbers; what cannot be read as a row is rejected, and costs its own line only."""

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

    A quote that never closes, a NUL or an endless field costs its line; reading goes on at the next one.

    Raises:
        EmocapError: the file is missing, empty, not UTF-8, or has no readable header.
    """
    csv.field_size_limit(MAX_FIELD_CHARS)
    lines = io.StringIO(read_text(path), newline="").readlines()
    try:
        header = [name.strip() for name in next(csv.reader(lines[:1], strict=True), [])]
    except csv.Error as error:
        raise EmocapError(f"{path}: line 1 is no CSV header ({error})") from None
    if not header:
        raise EmocapError(f"{path}: is empty, expected a header line")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise EmocapError(f"{path}: column {twice!r} occurs twice in the header; rename one")
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
            builder.refuse(f"line {start + 1}", f"is not CSV ({error})")
            start += 1
            continue
        if row and len(row) != len(header):
            builder.refuse(f"line {start + 1}", f"has {len(row)} fields, expected {len(header)}")
        elif row:
            yield start + 1, dict(zip(header, row, strict=True))
        start = end


def require_columns(path: Path, found: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        EmocapError: naming it and those there are.
    """
    missing = [name for name in needed if name not in found]
    if missing:
        raise EmocapError(
            f"{path}: has no column {missing[0]!r}, found {', '.join(found)}; expected {', '.join(needed)}"
        )
