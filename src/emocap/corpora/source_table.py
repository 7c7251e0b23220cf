"""The columns of a table as its file has them, kept beside the pairs that were read of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emocap.corpora.options import is_unnamed

CHUNK_ROWS = 10_000
Row = tuple[str, int, dict[str, Any]]  # as `row_files.Row`
Column: TypeAlias = "pa.ChunkedArray | list[Any]"


@dataclass(frozen=True)
class SourceTable:
    """All columns of a table of M rows, of which N became pairs.

    Attributes:
        columns: name to its M values: an Arrow column of a Parquet file, text of a CSV, or values of JSON.
        rows: (N,) int64; the row of each pair.
        places: M texts, where each row is, as `RejectedRow.where` names it.
        id_column: name of the column that the pairs' ids were read of; None if the table has none.
    """

    columns: Mapping[str, Column]
    rows: np.ndarray
    places: pa.StringArray
    id_column: str | None = None

    def select(self, pairs: Sequence[int] | np.ndarray) -> "SourceTable":
        """The same table for a part of the pairs."""
        return replace(self, rows=self.rows[np.asarray(pairs, dtype=np.int64)])

    def values(self, name: str, rows: Sequence[int] | np.ndarray) -> Column:
        """A column's values at these rows."""
        column = self.columns[name]
        if isinstance(column, list):
            return [column[row] for row in rows]
        return column.take(pa.array(rows, pa.int64()))


class KeptRows(Protocol):
    """Rows of a table that are kept while they are read."""

    def columns(self) -> dict[str, Column]:
        """Name to the values of all rows that were read."""


@dataclass(frozen=True)
class KeptTable:
    """A table in memory, such as that of a Parquet file."""

    table: pa.Table

    def columns(self) -> dict[str, Column]:
        """Its columns."""
        return dict(zip(self.table.column_names, self.table.columns, strict=True))


class RecordedRows:
    """Keeps rows that are read one after the other.

    Args:
        names: of the columns.
        is_text: whether all values are text, which is kept more compactly.
    """

    def __init__(self, names: Iterable[str], *, is_text: bool) -> None:
        self._is_text = is_text
        self._columns: dict[str, list[Any]] = {name: [] for name in names}
        self._chunks: dict[str, list[pa.Array]] = {name: [] for name in self._columns}

    def record(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows."""
        columns = list(self._columns.items())
        for number, row in enumerate(rows, 1):
            for name, values in columns:
                values.append(row[2].get(name))
            if self._is_text and number % CHUNK_ROWS == 0:
                self._compact()
            yield row

    def columns(self) -> dict[str, Column]:
        """The columns of all rows so far; without those of a text that have neither a name nor a value."""
        if not self._is_text:
            return dict(self._columns)
        self._compact()
        columns = {name: pa.chunked_array(chunks, pa.string()) for name, chunks in self._chunks.items()}
        return {name: column for name, column in columns.items() if not (is_unnamed(name) and _is_empty(column))}

    def _compact(self) -> None:
        for name, values in self._columns.items():
            self._chunks[name].append(pa.array(values, pa.string()))
            values.clear()


def _is_empty(column: pa.ChunkedArray) -> bool:
    return not pc.any(pc.not_equal(pc.fill_null(column, ""), "")).as_py()
