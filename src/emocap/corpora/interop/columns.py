"""Columns of another library's table as the one table reader takes them: plain Python values and exact ids."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.labels import is_absent
from emocap.corpora.options import ReadOptions, column_of, is_unnamed
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder, plain_id
from emocap.corpora.row_files import Row
from emocap.corpora.table import pairs_of_rows
from emocap.errors import EmocapError

STEM = "row"  # a pair without an id is row:NUMBER
# Whole numbers up to 2**digits are exact in a type of this name; in all others 2**53.
FLOAT_DIGITS = {"float16": 11, "float32": 24, "halffloat[pyarrow]": 11, "float[pyarrow]": 24}


def library(name: str) -> Any:
    """An optional library.

    Raises:
        EmocapError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise EmocapError(f"{name} is not installed; install it with: pip install {name}") from None


def new_builder(source: str | Path, images: str | Path | None) -> PairsBuilder:
    """A builder for pairs whose images are in a folder; None for captions alone.

    Raises:
        EmocapError: there is no such folder.
    """
    if images is not None and not Path(images).is_dir():
        raise EmocapError(f"{images}: no such folder of images; check the path, or leave images out for captions alone")
    return PairsBuilder(source, None if images is None else Path(images))


def named_columns(builder: PairsBuilder, columns: Iterable[tuple[Hashable, Any]]) -> dict[str, Any]:
    """Columns by their stripped names.

    Columns without a name, and those that pandas adds for an index, are left out with a note: they are no labels.

    Raises:
        EmocapError: a name occurs twice.
    """
    named = [(str(name).strip(), column) for name, column in columns]
    if unnamed := [name for name, _ in named if is_unnamed(name)]:
        builder.notes.append(f"columns without a name are not read: {', '.join(map(repr, unnamed))}")
        named = [(name, column) for name, column in named if name not in unnamed]
    for name, count in Counter(name for name, _ in named).most_common(1):
        if count > 1:
            raise EmocapError(f"{builder.source}: column {name!r} occurs {count} times; rename or remove all but one")
    return dict(named)


def require_exact_ids(
    source: object, columns: Mapping[str, Sequence[Any]], dtypes: Mapping[str, str], options: ReadOptions
) -> None:
    """Check that ids which became floats, as a missing value beside them causes, are still the same numbers.

    Args:
        columns: name to values.
        dtypes: name to the name of its type, in lower case.

    Raises:
        EmocapError: an id is at least 2**53 (float64), so that its last digits may be lost.
    """
    for role in ("pair_id", "group", "annotator"):
        name = column_of(role, columns, options)
        digits = FLOAT_DIGITS.get(dtypes.get(name or "", ""), 53)
        for value in columns[name] if name is not None else ():
            if isinstance(value, float) and value.is_integer() and abs(value) >= 2**digits:
                raise EmocapError(
                    f"{source}: column {name!r} contains {value:.0f} as float, which is exact below 2**{digits} only; "
                    "read the ids as text or integers, so that none loses digits"
                )


def pairs_of_columns(
    builder: PairsBuilder,
    columns: Mapping[str, Sequence[Any]],
    options: ReadOptions,
    places: Sequence[tuple[str, int]] | None = None,
) -> Pairs:
    """The pairs of a table with these columns of plain values.

    Args:
        places: what messages call each row, and its number; None for "row 1" and so on.

    Raises:
        EmocapError: as `read_table`.
    """
    image = column_of("image", columns, options)
    if image is not None and builder.image_root is not None:
        columns = {**columns, image: [_named_image(cell) for cell in columns[image]]}
    n_rows = len(next(iter(columns.values()), ()))
    places = places or [(f"row {number}", number) for number in range(1, n_rows + 1)]
    return pairs_of_rows(builder, list(columns), _rows(columns, places), options, STEM)


def _rows(columns: Mapping[str, Sequence[Any]], places: Sequence[tuple[str, int]]) -> Iterator[Row]:
    names = list(columns)
    for (where, number), values in zip(places, zip(*columns.values(), strict=True), strict=True):
        yield where, number, dict(zip(names, values, strict=True))


def _named_image(cell: Any) -> Any:
    """The path of a cell that is an object with the path of an image but without its bytes."""
    is_path = isinstance(cell, Mapping) and cell.get("bytes") is None and "path" in cell
    return cell["path"] if is_path else cell


def union_of_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The columns of all keys that occur in any row, not in the first ones alone; None where a row has no such key."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def ids_of_parts(
    builder: PairsBuilder, columns: Mapping[str, Sequence[Any]], part_names: Sequence[str], options: ReadOptions
) -> dict[str, Sequence[Any]]:
    """Columns whose pair ids have the name of their part before them, where parts number their rows separately.

    That is where an id occurs in several parts; otherwise the columns are as they were.

    Args:
        part_names: of each row.
    """
    name = column_of("pair_id", columns, options)
    if name is None:
        return dict(columns)
    ids = [None if is_absent(value) else plain_id(value) for value in columns[name]]
    n_parts = Counter(one for one, _ in dict.fromkeys(zip(ids, part_names, strict=True)) if one is not None)
    if not n_parts or max(n_parts.values()) == 1:
        return dict(columns)
    builder.notes.append("pair ids occur in several parts; the part's name is put before all of them")
    named = [None if one is None else f"{part}/{one}" for one, part in zip(ids, part_names, strict=True)]
    return {**columns, name: named}


def plain(value: Any) -> Any:
    """A cell as Python's own types: arrays as lists, NaN, NaT and `pandas.NA` as None, also within lists and objects.

    >>> plain(np.array(["joy", None], dtype=object)), plain(np.float64("nan")), plain(np.int64(3))
    (['joy', None], None, 3)
    """
    if value is None or type(value) in (str, int, bool, bytes):
        return value
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "fiub" and value.ndim else plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, tuple | set | frozenset):
        return type(value)(map(plain, value)) if type(value) in (tuple, set, frozenset) else list(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return None if not isinstance(value, str) and is_absent(value) else value
