"""A plain table in CSV, JSONL or Parquet with `image`, `caption` and, if labelled, `emotions`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.pairs import Pairs, PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns
from emocap.corpora.socratis import python_list
from emocap.errors import EmocapError
from emocap.files import read_text

COLUMNS = ("pair_id", "image", "caption", "emotions")


def read_table(path: Path, images: Path | None = None) -> Pairs:
    """One pair per row; labels may be any words and are only stripped.

    `emotions` is a list, the text of a JSON or Python list, or labels joined by `|`; `pair_id` is optional. The column
    `image` may be omitted for captions alone.

    Raises:
        EmocapError: unknown file extension, damaged file, missing column, or no usable row.
    """
    builder = PairsBuilder(path)
    readers = {".csv": _csv, ".txt": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise EmocapError(f"{path}: extension is {path.suffix!r}, expected .csv, .jsonl or .parquet")
    for where, number, row in readers[path.suffix.lower()](path, builder):
        emotions: list[str] | str | None = None
        if "emotions" in row:
            emotions = parse_emotions(row["emotions"])
        if isinstance(emotions, str):
            builder.reject(where, emotions)
            continue
        pair_id = row.get("pair_id") or f"{path.stem}:{number}"
        builder.add(where, str(pair_id), row.get("image"), row.get("caption"), emotions)
    return builder.build(images)


def parse_emotions(value: Any) -> list[str] | str:
    """The stripped labels of one row; or, as one string, what is wrong with them.

    >>> parse_emotions("joy|calm"), parse_emotions('["joy"]'), parse_emotions("['joy', 'calm']")
    (['joy', 'calm'], ['joy'], ['joy', 'calm'])
    >>> parse_emotions(3)
    'emotions are int, expected a list of words'
    """
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return python_list(value)
    elif isinstance(value, str):
        value = value.split("|") if value.strip() else []
    if value is None:
        return "emotions are empty, expected a list of words"
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return f"emotions are {type(value).__name__}, expected a list of words"
    if not all(word.strip() for word in value):
        return "emotions contain an empty word"
    return [word.strip() for word in value]


Rows = Iterator[tuple[str, int, dict[str, Any]]]


def _csv(path: Path, builder: PairsBuilder) -> Rows:
    header, rows = csv_rows(path, builder)
    require_columns(path, header, ("caption",))
    for line, row in rows:
        yield f"line {line}", line, row


def _jsonl(path: Path, builder: PairsBuilder) -> Rows:
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            builder.reject(f"line {line}", "is not JSON")
            continue
        if isinstance(row, dict):
            yield f"line {line}", line, row
        else:
            builder.reject(f"line {line}", f"is {type(row).__name__}, expected an object")


def _parquet(path: Path, builder: PairsBuilder) -> Rows:
    try:
        names = pq.read_schema(path).names
        require_columns(path, names, ("caption",))
        table = pq.read_table(path, columns=[name for name in COLUMNS if name in names])
        table.validate(full=True)
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise EmocapError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    number = 0
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            number += 1
            yield f"row {number}", number, row
