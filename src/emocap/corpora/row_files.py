"""The rows of a table in any supported file type: CSV, TSV, JSONL, JSON or Parquet, also compressed with gzip."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.class_labels import class_names, with_class_names
from emocap.corpora.options import ReadOptions, may_have_role
from emocap.corpora.pairs_builder import SPLIT_NAMES, PairsBuilder
from emocap.corpora.rows import csv_rows
from emocap.corpora.source_table import KeptTable, RecordedRows
from emocap.errors import EmocapError
from emocap.files import read_json, read_text

Row = tuple[str, int, dict[str, Any]]  # where it is, its number, column to value
BATCH_ROWS = 10_000
LISTS_OF_ROWS = ("data", "rows", "records", "items", "pairs", "examples")  # keys of an object that holds the rows


def table_suffix(path: Path) -> str:
    """The extension that tells a table's file type, without that of gzip.

    >>> table_suffix(Path("a.CSV.gz"))
    '.csv'
    """
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def open_rows(path: Path, builder: PairsBuilder, options: ReadOptions) -> tuple[list[str], Iterator[Row]]:
    """The names of all columns of a table, and its rows.

    If the options say so, `builder.kept` keeps all columns of the rows.

    Raises:
        EmocapError: unknown extension, or a damaged file.
    """
    suffix = table_suffix(path)
    if suffix == ".parquet":
        return _parquet(path, builder, options)
    readers = {".csv": _csv, ".txt": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json}
    if suffix == ".tar":
        raise EmocapError(f"{path}: is a WebDataset shard; read it in Python with Pairs.from_webdataset")
    if suffix not in readers:
        raise EmocapError(f"{path}: extension is {path.suffix!r}, expected .csv, .tsv, .jsonl, .json or .parquet")
    names, rows = readers[suffix](path, builder, options)
    if not options.keep_columns:
        return names, rows
    builder.kept = recorded = RecordedRows(names, is_text=readers[suffix] is _csv)
    return names, recorded.record(rows)


def _csv(path: Path, builder: PairsBuilder, options: ReadOptions) -> tuple[list[str], Iterator[Row]]:
    header, rows = csv_rows(path, builder, with_unnamed=options.keep_columns)
    return [name for name in header if name], ((f"line {line}", line, row) for line, row in rows)


def _jsonl(path: Path, builder: PairsBuilder, options: ReadOptions) -> tuple[list[str], Iterator[Row]]:
    text = read_text(path)
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(text)
            return _json(path, builder, options)  # one array, whatever the extension says
    rows: list[Row] = []
    for line, one in enumerate(text.split("\n"), 1):
        if not one.strip():
            continue
        try:
            row = json.loads(one, object_pairs_hook=_unique_keys)
        except KeyError as error:
            builder.reject(f"line {line}", f"has the key {error.args[0]!r} twice", one)
            continue
        except (ValueError, RecursionError):
            builder.reject(f"line {line}", "is not JSON", one)
            continue
        if isinstance(row, dict):
            rows.append((f"line {line}", line, row))
        else:
            builder.reject(f"line {line}", f"is {type(row).__name__}, expected an object", one)
    return _all_names(rows), iter(rows)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; one with a key twice raises KeyError, since one of its values would be lost."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise KeyError(next(name for name in names if names.count(name) > 1))
    return values


def _json(path: Path, builder: PairsBuilder, options: ReadOptions) -> tuple[list[str], Iterator[Row]]:
    if _is_json_lines(text := read_text(path)):
        return _jsonl(path, builder, options)
    del text
    values = _records(read_json(path))
    if values is None:
        raise EmocapError(
            f"{path}: is not a table, expected a list of objects, one for each pair, an object of such lists by part, "
            "or one of columns"
        )
    rows: list[Row] = []
    for number, value in enumerate(values):
        if isinstance(value, dict):
            rows.append((f"[{number}]", number, value))
        else:
            builder.reject(f"[{number}]", f"is {type(value).__name__}, expected an object")
    return _all_names(rows), iter(rows)


def _is_json_lines(text: str) -> bool:
    """Whether the first line is an object of its own and more lines follow."""
    first, _, rest = text.strip().partition("\n")
    if not rest or not first.startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _records(values: Any) -> list[Any] | None:
    """The rows of a table in one of the layouts that pandas and others write; None for anything else.

    A list of rows; an object with one list of rows, or one for each part (train, test); or an object of columns, which
    are lists or objects with the row's index as key.
    """
    if isinstance(values, list):
        return values
    if not isinstance(values, dict) or not values:
        return None
    columns = list(values.values())
    if {"columns", "data"} <= values.keys() and isinstance(values["data"], list):  # pandas' orient="split"
        return [dict(zip(values["columns"], row, strict=False)) for row in values["data"] if isinstance(row, list)]
    if all(isinstance(column, list) for column in columns):
        if all(name.strip().lower() in SPLIT_NAMES for name in values) and all(map(_is_rows, columns)):
            return [{"split": name} | row for name, rows in values.items() for row in rows]
        if len({len(column) for column in columns}) == 1 and not any(map(_is_rows, columns)):
            return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
    if all(isinstance(column, dict) for column in columns) and len({frozenset(column) for column in columns}) == 1:
        return [{name: column[index] for name, column in values.items()} for index in columns[0]]
    lists = [column for name, column in values.items() if name in LISTS_OF_ROWS and isinstance(column, list)]
    return lists[0] if len(lists) == 1 else None


def _is_rows(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) and len(value) > 1 for value in values)


def _all_names(rows: list[Row]) -> list[str]:
    """The keys of all rows, not of the first alone, in order of first appearance."""
    return list(dict.fromkeys(name for _, _, row in rows for name in row))


def _parquet(path: Path, builder: PairsBuilder, options: ReadOptions) -> tuple[list[str], Iterator[Row]]:
    try:
        schema = pq.read_schema(path)
        _require_distinct(path, schema.names)
        kept = [field.name for field in schema if is_readable(field.type) or may_have_role(field.name, options)]
        whole = pq.read_table(path, columns=None if options.keep_columns else kept)
        whole.validate(full=True)
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise EmocapError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    if options.labels and {b"labels", b"model"} <= (schema.metadata or {}).keys():
        builder.notes.append(
            f"emotions are predictions of the model {schema.metadata[b'model'].decode()}, not annotations"
        )
    table = whole.select(kept)
    builder.kept = KeptTable(whole) if options.keep_columns else None
    return table.column_names, arrow_rows(table)


def _require_distinct(path: Path, names: Sequence[str]) -> None:
    duplicate = next((name for name, count in Counter(names).items() if count > 1), None)
    if duplicate is not None:
        raise EmocapError(f"{path}: has two columns {duplicate!r}; rename one")


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
