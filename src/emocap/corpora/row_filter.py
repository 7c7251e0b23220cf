"""Which rows of a table are read, by the values of columns."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.row_files import Row
from emocap.errors import EmocapError


def kept_rows(
    builder: PairsBuilder, names: Sequence[str], rows: Iterable[Row], where: Mapping[str, Sequence[Any]]
) -> Iterable[Row]:
    """The rows that have, in each of these columns, one of its values; a note says how many are left out.

    Numbers are compared as numbers, so that 5 is the text "5" of a CSV, true and false in any case, and all else as
    stripped text.

    Raises:
        EmocapError: no such column, or no row is left.
    """
    if not where:
        return rows
    for name in where:
        if name not in names:
            raise EmocapError(
                f"{builder.source}: has no column {name!r}, which `where` names; found {', '.join(names)}"
            )
    return _kept_rows(builder, rows, {name: {_plain(value) for value in values} for name, values in where.items()})


def _kept_rows(builder: PairsBuilder, rows: Iterable[Row], where: Mapping[str, set[Any]]) -> Iterator[Row]:
    kept = 0
    for row in rows:
        if all(_plain(row[2].get(name)) in values for name, values in where.items()):
            kept += 1
            yield row
        else:
            builder.left_out += 1
    asked = " and ".join(f"{name} is {' or '.join(sorted(map(_in_words, values)))}" for name, values in where.items())
    if not kept:
        raise EmocapError(f"{builder.source}: in none of {builder.left_out} rows {asked}; correct `where`")
    builder.notes.append(f"{builder.left_out} of {kept + builder.left_out} rows are left out: only where {asked}")


def _in_words(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    """A value as a number where it is one, else as stripped text; `true` as pandas, R and JSON write it.

    >>> _plain("5 "), _plain(5.0), _plain("Person"), _plain(True), _plain("TRUE")
    (5.0, 5.0, 'Person', 'true', 'true')
    """
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
