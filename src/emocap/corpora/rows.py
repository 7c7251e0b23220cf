"""Rows of a CSV with their line numbers; a row with too many or too few fields is quarantined."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from emocap.corpora.pairs import PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_text

MAX_FIELD_CHARS = 1_000_000


def csv_rows(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header, and the rows as (line number of the row's end, column to text).

    Raises:
        EmocapError: the file is missing, empty, not UTF-8, or broken as a CSV.
    """
    reader = csv.reader(io.StringIO(read_text(path).replace("\0", ""), newline=""))
    csv.field_size_limit(MAX_FIELD_CHARS)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise EmocapError(f"{path}: is empty, expected a header line")
    return header, _rows(path, reader, header, builder)


def _rows(
    path: Path, reader: Iterator[list[str]], header: list[str], builder: PairsBuilder
) -> Iterator[tuple[int, dict[str, str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise EmocapError(f"{path}: not a CSV after line {reader.line_num}: {error}") from None  # type: ignore[attr-defined]
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not row:
            continue
        if len(row) != len(header):
            builder.refuse(f"line {line}", f"has {len(row)} fields, expected {len(header)}")
            continue
        yield line, dict(zip(header, row, strict=True))


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
