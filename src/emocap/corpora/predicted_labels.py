"""Recognising the predictions of emocap where labels are expected: they are no annotations."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from emocap.corpora.labels import as_binary

ROWS = 100  # that are looked at


def are_predictions(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether each cell of a column lists emotions by falling probability, with a column for the probability of each.

    That is what `emocap predict` writes as CSV and JSONL.

    >>> are_predictions([{"emotions": '["joy", "awe"]', "joy": "0.61", "awe": "0.2"}], "emotions")
    True
    >>> are_predictions([{"emotions": '["joy", "awe"]', "joy": "1", "awe": "1"}], "emotions")
    False
    """
    probabilities = [_probabilities(row, row.get(column)) for row in rows[:ROWS]]
    if not probabilities or any(not row for row in probabilities):
        return False
    falling = all(row == sorted(row, reverse=True) for row in probabilities if row)
    return falling and any(value not in (0, 1) for row in probabilities for value in row or ())


def _probabilities(row: Mapping[str, Any], cell: Any) -> list[float] | None:
    """The probabilities of the emotions that a cell lists; None if it is no such list."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return None
    if not isinstance(cell, list) or not all(isinstance(label, str) and label in row for label in cell):
        return None
    values = [as_binary(row[label]) for label in cell]
    numbers = [value for value in values if value is not None]
    return numbers if len(numbers) == len(values) and all(0 <= value <= 1 for value in numbers) else None
