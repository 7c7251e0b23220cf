"""The columns of a file of predictions: those of the input as they were read, then those that emocap adds."""

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emocap.corpora.options import ALIASES
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import is_text
from emocap.corpora.source_table import Column, SourceTable

logger = logging.getLogger("emocap")
SUFFIX = "_emocap"  # of a column of ours whose name the input has taken
TEXT_FORMATS = (".csv", ".jsonl", ".tar")
IDS = ("pair_id", *ALIASES["pair_id"])


@dataclass(frozen=True)
class PairColumns:
    """The columns of N pairs, and the names of the further columns that predictions have beside them.

    Attributes:
        values: name to N values, ids first, then the input's other columns in its order.
        names: a column that emocap adds to its name in the file.
    """

    values: dict[str, Column]
    names: dict[str, str]


def pair_columns(pairs: Pairs, added: Iterable[str], extension: str, where: object = "") -> PairColumns:
    """The columns of a file of predictions besides the predictions themselves.

    Pairs of a table have all its columns; `pair_id`, `image` and `caption` are added where the table has no column of
    this name. Other pairs have these three.

    Args:
        added: names of the columns of predictions; those that are taken get the suffix `_emocap`, with a warning.
        extension: of the file; text has no columns that contain bytes, such as images, with a warning.
        where: the file, for warnings.
    """
    own: dict[str, Column] = {"pair_id": pairs.pair_ids, "image": pairs.images, "caption": pairs.captions}
    values = own
    if pairs.source is not None:
        given = source_columns(pairs.source, pairs.source.rows, extension, where)
        named = [name for name in given if name == pairs.source.id_column]
        ids = named or [name for name in given if name.lower() in IDS][:1]
        first = {name: given[name] for name in ids}
        values = first | {"pair_id": given.get("pair_id", own["pair_id"])} | given | (own | given)
    names = _free_names(added, values)
    renamed = {name: other for name, other in names.items() if name != other}
    if renamed:
        logger.warning(
            "%s: the input has %s named %s; the predictions are in %s",
            where, "a column" if len(renamed) == 1 else "columns", ", ".join(renamed), ", ".join(renamed.values()),
        )  # fmt: skip
    return PairColumns(values, names)


def source_columns(
    source: SourceTable, rows: Sequence[int] | np.ndarray, extension: str, where: object
) -> dict[str, Column]:
    """The input's columns at some rows, in its order; without those of bytes if the file is text."""
    columns = {name: source.values(name, rows) for name in source.columns}
    if extension not in TEXT_FORMATS:
        return columns
    left_out = [name for name, column in columns.items() if not isinstance(column, list) and _has_bytes(column.type)]
    if left_out:
        logger.warning("%s: columns %s contain bytes and are left out; write .parquet", where, ", ".join(left_out))
    return {name: column for name, column in columns.items() if name not in left_out}


def _free_names(wanted: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    used = set(taken)
    for name in wanted:
        free = name
        while free in used:
            free += SUFFIX
        used.add(free)
        names[name] = free
    return names


def arrow_column(name: str, column: Column, where: object) -> pa.Array | pa.ChunkedArray:
    """A column for Parquet; JSON values that one type cannot hold unchanged become JSON text, with a warning."""
    if not isinstance(column, list):
        return column
    try:
        array = pa.array(column)
        if not _is_nested(array.type) or (array.to_pylist() == column and not _has_empty_struct(array.type)):
            return array
    except (pa.ArrowException, OverflowError, UnicodeError):
        pass
    logger.warning("%s: column %r has values of several types and is written as JSON text", where, name)
    return pa.array([None if value is None else json_text(value) for value in column], pa.string())


def text_column(column: Column) -> pa.Array | pa.ChunkedArray:
    """A column for a CSV: lists and objects become JSON text, missing values nothing."""
    if not isinstance(column, list):
        if not _is_nested(column.type):
            return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    elif not any(isinstance(value, list | dict) for value in column):
        try:
            return pa.array(column)
        except (pa.ArrowException, OverflowError, UnicodeError):
            pass
    return pa.array([_csv_cell(value) for value in json_column(column)], pa.string())


def json_column(column: Column) -> list[Any]:
    """A column as values of JSON: numbers that are not finite are null, times and decimal numbers are text."""
    if isinstance(column, list):
        return [_json_value(value) for value in column]
    if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
        return pc.cast(column, pa.string()).to_pylist()
    values = column.to_pylist()
    may_differ = _is_nested(column.type) or pa.types.is_floating(column.type) or pa.types.is_dictionary(column.type)
    return [_json_value(value) for value in values] if may_differ else values


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(one) for one in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def json_text(value: Any) -> str:
    """A value as JSON, with escapes only where UTF-8 has no other way."""
    text = json.dumps(value, ensure_ascii=False)
    return text if is_text(text) else json.dumps(value)


def _csv_cell(value: Any) -> str | None:
    return value if value is None or is_text(value) else json_text(value)


def _is_nested(type_: pa.DataType) -> bool:
    return pa.types.is_nested(type_)


def _children(type_: pa.DataType) -> list[pa.DataType]:
    return [type_.field(i).type for i in range(type_.num_fields)]


def _has_bytes(type_: pa.DataType) -> bool:
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return any(test(type_) for test in binary) or any(map(_has_bytes, _children(type_)))


def _has_empty_struct(type_: pa.DataType) -> bool:
    is_empty = pa.types.is_struct(type_) and not type_.num_fields
    return is_empty or any(map(_has_empty_struct, _children(type_)))
