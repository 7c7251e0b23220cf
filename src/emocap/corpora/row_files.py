"""The rows of a table in any supported file type: CSV, TSV, JSONL, JSON or Parquet, also compressed with gzip."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.class_labels import class_names, with_class_names
from emocap.corpora.pairs import PairsBuilder
from emocap.corpora.rows import csv_rows
from emocap.errors import EmocapError
from emocap.files import read_json, read_text

Row = tuple[str, int, dict[str, Any]]  # where it is, its number, column to value
BATCH_ROWS = 10_000


def table_suffix(path: Path) -> str:
    """The extension that tells a table's file type, without that of gzip.

    >>> table_suffix(Path("a.CSV.gz"))
    '.csv'
    """
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def open_rows(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[Row]]:
    """The names of all columns of a table, and its rows.

    Raises:
        EmocapError: unknown extension, or a damaged file.
    """
    readers = {".csv": _csv, ".txt": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json}
    readers[".parquet"] = _parquet
    reader = readers.get(table_suffix(path))
    if reader is None:
        raise EmocapError(f"{path}: extension is {path.suffix!r}, expected .csv, .tsv, .jsonl, .json or .parquet")
    return reader(path, builder)


def _csv(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[Row]]:
    header, rows = csv_rows(path, builder)
    return [name for name in header if name], ((f"line {line}", line, row) for line, row in rows)


def _jsonl(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[Row]]:
    rows: list[Row] = []
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            builder.reject(f"line {line}", "is not JSON")
            continue
        if isinstance(row, dict):
            rows.append((f"line {line}", line, row))
        else:
            builder.reject(f"line {line}", f"is {type(row).__name__}, expected an object")
    return _all_names(rows), iter(rows)


def _json(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[Row]]:
    values = read_json(path)
    if isinstance(values, dict) and len(lists := [value for value in values.values() if isinstance(value, list)]) == 1:
        values = lists[0]
    if not isinstance(values, list):
        raise EmocapError(f"{path}: contains {type(values).__name__}, expected a list of objects, one for each pair")
    rows: list[Row] = []
    for number, value in enumerate(values):
        if isinstance(value, dict):
            rows.append((f"[{number}]", number, value))
        else:
            builder.reject(f"[{number}]", f"is {type(value).__name__}, expected an object")
    return _all_names(rows), iter(rows)


def _all_names(rows: list[Row]) -> list[str]:
    """The keys of all rows, not of the first alone, in order of first appearance."""
    return list(dict.fromkeys(name for _, _, row in rows for name in row))


def _parquet(path: Path, builder: PairsBuilder) -> tuple[list[str], Iterator[Row]]:
    try:
        schema = pq.read_schema(path)
        table = pq.read_table(path, columns=[field.name for field in schema if is_readable(field.type)])
        table.validate(full=True)
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise EmocapError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    return table.column_names, arrow_rows(table)


def arrow_rows(table: pa.Table) -> Iterator[Row]:
    """The rows of a table in memory; class indices become the names that its `datasets` features give them."""
    names = class_names(table.schema)
    number = 0
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for row in batch.to_pylist():
            number += 1
            yield f"row {number}", number, with_class_names(row, names)


def is_readable(type_: pa.DataType) -> bool:
    """Whether a column may have a role; vectors of numbers, such as embeddings, are not read into memory."""
    is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    return not (is_list and pa.types.is_floating(type_.value_type))
