"""The emotions of a table's rows: from one column of label cells, or from one column for each emotion."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from emocap.corpora.labels import LabelFault, LabelReader, as_binary, detect_separator, is_absent
from emocap.corpora.options import ReadOptions, is_unnamed
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError

Labels = list[list[str] | LabelFault]
MIN_BINARY_COLUMNS = 2
BINARY = frozenset({0.0, 1.0})
STRAY_SHARE = 0.1  # of values other than 0 and 1, up to which a column beside binary ones has a mistake
# Columns of 0 and 1 that describe a row rather than what it evokes.
_NO_EMOTION = re.compile(
    r"(is|has|was|are|does|did|in)[_ ].*|fold|part|split|id|idx|index|gender|sex|train|test|val|valid|dev|toxic|spam|"
    r"verified|gold|n|count|.*_id|.*very_unclear",
    re.IGNORECASE,
)


def labels_of_column(cells: Sequence[Any], name: str, builder: PairsBuilder, options: ReadOptions) -> Labels:
    """The emotions of every row from one column.

    A column of 0 and 1 that the options name is the emotion of its name.

    Raises:
        EmocapError: commas may or may not separate labels.
    """
    if options.columns.get("emotions") == name and _is_binary(set(map(_hashable, cells))):
        return labels_of_columns([[cell] for cell in cells], [name], builder, options)
    where = str(builder.source)
    reader = LabelReader(options.label_separator or detect_separator(cells, where), options.label_threshold)
    labels = [_read(reader, cell) for cell in cells]
    _note_scale(builder, reader.max_score, options)
    return labels


def labels_of_columns(
    rows: Sequence[Sequence[Any]], names: Sequence[str], builder: PairsBuilder, options: ReadOptions
) -> Labels:
    """The emotions of every row from one column of 0 and 1, or of scores, for each emotion.

    Columns that contain words only, such as a first and a second emotion, are label cells instead.

    Args:
        rows: the values of these columns, one sequence for each row.
        names: of the columns.
    """
    values = {_hashable(value) for row in rows for value in row}
    if not any(as_binary(value) is not None for value in values if not is_absent(value) and value != ""):
        cells = [cell for row in rows for cell in row]
        reader = LabelReader(
            options.label_separator or detect_separator(cells, str(builder.source)), options.label_threshold
        )
        return [_joined([_read(reader, cell) for cell in row]) for row in rows]
    scores = [score for value in values if (score := as_binary(value)) is not None]
    _note_scale(builder, max(scores, default=0.0), options)
    return [_named(names, row, options.label_threshold) for row in rows]


def find_binary_columns(columns: dict[str, list[Any]], where: object) -> list[str]:
    """The names of the columns that are one emotion each: at least two that contain 0 and 1 only.

    Args:
        columns: name to the values of the columns without a role.
        where: the source, for messages.

    Raises:
        EmocapError: a column beside them contains few values that are neither 0 nor 1.
    """
    binary, strays = [], []
    for name, cells in columns.items():
        if is_unnamed(name) or _NO_EMOTION.fullmatch(name):
            continue
        values = set(map(_hashable, cells))
        if _is_binary(values):
            binary.append(name)
        elif len(values) < 20 and (stray := _stray(cells)) is not None:
            strays.append((name, stray))
    has_any = any(as_binary(cell) == 1 for name in binary for cell in columns[name])
    if len(binary) < MIN_BINARY_COLUMNS or not has_any:
        return []
    if strays:
        name, stray = strays[0]
        raise EmocapError(
            f"{where}: column {name!r} contains {stray!r} among 0 and 1; correct it, or name the columns of emotions "
            f"with --columns emotions={'+'.join(binary[:3])}"
        )
    return binary


def _is_binary(values: Iterable[Any]) -> bool:
    numbers = {as_binary(value) for value in values if not is_absent(value)}
    return bool(numbers) and numbers <= BINARY


def _stray(cells: Sequence[Any]) -> Any:
    """A value other than 0 and 1 in a column that has few of them, else None."""
    counts = Counter(_hashable(cell) for cell in cells if not is_absent(cell))
    others = {value: count for value, count in counts.items() if as_binary(value) not in BINARY}
    return min(others, key=str) if 0 < sum(others.values()) <= STRAY_SHARE * counts.total() else None


def _hashable(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _read(reader: LabelReader, cell: Any) -> list[str] | LabelFault:
    try:
        return reader.read(cell)
    except LabelFault as fault:
        return fault


def _joined(cells: list[list[str] | LabelFault]) -> list[str] | LabelFault:
    fault = next((cell for cell in cells if isinstance(cell, LabelFault)), None)
    return fault or list(dict.fromkeys(word for cell in cells if not isinstance(cell, LabelFault) for word in cell))


def _named(names: Sequence[str], values: Sequence[Any], threshold: float) -> list[str] | LabelFault:
    scores = [0.0 if is_absent(value) else as_binary(value) for value in values]
    for name, value, score in zip(names, values, scores, strict=True):
        if score is None:
            return LabelFault(f"column {name!r} contains {str(value)[:60]!r}, expected a number for the emotion")
    return [name for name, score in zip(names, scores, strict=True) if score is not None and score >= threshold]


def _note_scale(builder: PairsBuilder, largest: float, options: ReadOptions) -> None:
    if largest > 1 and options.label_threshold == ReadOptions.label_threshold:
        builder.notes.append(
            f"scores of emotions are up to {largest:g}; every score from {options.label_threshold:g} on counts as "
            "named, see label_threshold"
        )
