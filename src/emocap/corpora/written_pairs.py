"""Tables that `Pairs` itself wrote, whose rows are read as they were: also as CSV, where lists are text."""

import ast
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from emocap.corpora.labels import is_absent
from emocap.corpora.options import ROLES
from emocap.corpora.pairs import ADDED, ANNOTATION, RATING, SCHEMA, Pairs
from emocap.corpora.pairs_builder import PairsBuilder, is_text, plain_id
from emocap.corpora.row_files import Row

_ANNOTATION_KEYS = {field.name for field in ANNOTATION}
_RATING_KEYS = {field.name for field in RATING}
_TOKEN = re.compile(
    r"""(?P<space>\s+|(?:np\.|numpy\.)?array\(|,\s*dtype=(?:object|'[^']*')|\))
    |(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|None|null|nan|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|[\[{])
    |[]}:,]""",
    re.DOTALL | re.VERBOSE,
)


def is_written_by_pairs(names: Iterable[str], rows: Sequence[Row]) -> bool:
    """Whether a table has the columns of `SCHEMA`, and those of lists contain them, or their text in a CSV.

    Tables of earlier versions lack the columns `ADDED`.
    """
    if not set(names) >= set(SCHEMA.names) - set(ADDED):
        return False
    for name, is_list in (("emotions", _are_words), ("annotations", _are_annotations), ("ratings", _are_ratings)):
        cells = [row[name] for _, _, row in rows if row.get(name) is not None]  # none where there is no such column
        texts = {cell.strip() for cell in cells if isinstance(cell, str) and not is_absent(cell)}
        if not all(isinstance(cell, str) or is_list(cell) for cell in cells):
            return False
        if not all(text.startswith("[") and text.endswith("]") for text in texts):
            return False
        if name == "emotions" and not all(_are_words(_parsed(text)) for text in texts):
            return False
    return True


def read_written_pairs(builder: PairsBuilder, names: Sequence[str], rows: Iterable[Row]) -> Pairs:
    """The pairs of such a table, with annotations; a missing list of emotions is an unlabelled pair, not a negative.

    Annotations and ratings of a CSV that cannot be read, as pandas shortens more than a thousand, are left out with a
    note.

    Raises:
        EmocapError: no usable row.
    """
    builder.columns = {name: (name,) for name in SCHEMA.names if name in ROLES}
    builder.unused_columns = tuple(name for name in names if name not in SCHEMA.names)
    rows = list(rows)
    builder.image_alone = all(is_absent(row.get("caption")) for _, _, row in rows)
    unlabelled = 0
    unread: dict[str, list[str]] = {"annotations": [], "ratings": []}
    words: dict[str, Any] = {}
    for where, _, row in rows:
        pair_id, image, caption, emotions, annotations, group, split, ratings, style = map(row.get, SCHEMA.names)
        if isinstance(ratings, str):
            ratings = _read_text(ratings, _are_ratings, unread["ratings"])
        if isinstance(emotions, str):
            unlabelled += is_absent(emotions)
            if emotions not in words:
                words[emotions] = None if is_absent(emotions) else _parsed(emotions)
            emotions = words[emotions]
        if isinstance(annotations, str):
            annotations = _read_text(annotations, _are_annotations, unread["annotations"])
        name = "" if is_absent(pair_id) and not isinstance(pair_id, str) else plain_id(pair_id)
        own = {"group": group, "split": split, "ratings": ratings, "style": style}
        builder.add(where, name, image, caption, emotions, annotations, **own)
    if unlabelled:
        builder.notes.append(f"{unlabelled} rows have an empty cell of emotions and are unlabelled; [] is no emotion")
    for name, texts in unread.items():
        if texts:
            builder.notes.append(
                f"{name} of {len(texts)} rows cannot be read and are left out, such as {texts[0][:60]!r}; write the "
                "pairs as Parquet or JSONL, which keep them"
            )
    return builder.build()


def _read_text(text: str, is_valid: Callable[[Any], bool], unread: list[str]) -> Any:
    """The list that a cell of text holds; None where it is empty, or cannot be read, which is added to `unread`."""
    if is_absent(text):
        return None
    value = _parsed(text)
    if is_valid(value):
        return value
    unread.append(text)
    return None


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def _are_annotations(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, Mapping)
        and one.keys() == _ANNOTATION_KEYS
        and all(part is None or is_text(part) or _are_words(part) for part in one.values())
        for one in value
    )


def _are_ratings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and _is_rating(one) for one in value)


def _is_rating(value: Mapping[str, Any]) -> bool:
    """Whether it is a value of the struct `RATING`, within the limits of its numbers."""
    return (
        value.keys() == _RATING_KEYS
        and is_text(value["name"])
        and _is_within(value["value"], 0, 1)
        and (value["sd"] is None or _is_within(value["sd"], 0, math.inf))
        and (value["n"] is None or _is_within(value["n"], 1, math.inf))
    )


def _is_within(number: Any, low: float, high: float) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and low <= number <= high


def _parsed(text: str) -> Any:
    """The value of a list as JSON, Python or numpy print it, with texts, numbers and objects in it; None if it is none.

    >>> _parsed("[{'a': array(['x', 'y'], dtype=object)}\\n {'a': None}]")
    [{'a': ['x', 'y']}, {'a': None}]
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    parts: list[str] = []
    end, follows_value = 0, False
    for token in _TOKEN.finditer(text):
        if token.start() != end:
            return None
        end = token.end()
        if token["space"] is not None:
            continue
        if token["value"] is not None and follows_value:
            parts.append(",")  # numpy prints none between the elements of an array
        parts.append("None" if token[0] in ("null", "nan") else token[0])
        follows_value = token[0] not in "[{:,"
    try:
        return ast.literal_eval("".join(parts)) if end == len(text) else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
