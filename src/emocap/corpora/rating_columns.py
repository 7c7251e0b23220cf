"""The ratings of a table's rows: a column of numbers for each rating, and of their spread and number of raters.

A rating NAME is read from the column NAME or NAME_mean; the standard deviation and the number of the people who rated
from NAME_sd and NAME_n, where the table has them. Case does not matter.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emocap.corpora.labels import is_absent
from emocap.errors import EmocapError
from emocap.ratings import Rating, Ratings

Value = dict[str, Any]  # as the struct `pairs.RATING`
MOST_OUTSIDE = 0.01  # share of the values out of range, from which on the range is wrong, not a row


class RatingFault(ValueError):
    """What is wrong with one row's ratings, in words."""


class OutOfRange(RatingFault):
    """A rating outside its range."""


@dataclass(frozen=True)
class RatingColumns:
    """The columns of one rating; None for those that the table has not."""

    rating: Rating
    mean: str
    sd: str | None
    n: str | None

    @property
    def names(self) -> list[str]:
        """The columns that exist."""
        return [name for name in (self.mean, self.sd, self.n) if name is not None]

    def read(self, row: Mapping[str, Any]) -> Value | None:
        """The rating of a row on the scale from 0 to 1; None for an empty cell.

        Raises:
            RatingFault: not a number, or outside the range.
        """
        value = _number(self.mean, row.get(self.mean))
        if value is None:
            return None
        low, high = self.rating.low, self.rating.high
        if not low <= value <= high:
            raise OutOfRange(f"{self.mean} is {value:g}, outside its range {low:g} to {high:g}")
        sd, n = (_number(name, row.get(name)) if name is not None else None for name in (self.sd, self.n))
        if sd is not None and sd < 0:
            raise RatingFault(f"{self.sd} is {sd:g}, expected a standard deviation of at least 0")
        if sd is not None and sd > self.rating.span:
            raise OutOfRange(f"{self.sd} is {sd:g}, more than the range {low:g} to {high:g} of {self.mean} allows")
        if n is not None and n < 1:
            raise RatingFault(f"{self.n} is {n:g}, expected the number of people who rated")
        span = self.rating.span
        return rating_value(self.rating.name, (value - low) / span, None if sd is None else sd / span, n)


def rating_value(name: str, value: float, sd: float | None, n: float | None) -> Value:
    """A rating on the scale from 0 to 1, as a value of the struct `pairs.RATING`."""
    return {"name": name, "value": value, "sd": sd, "n": n}


def find_rating_columns(
    source: object, names: Sequence[str], ratings: Ratings, columns: Mapping[str, str | Sequence[str]]
) -> list[RatingColumns]:
    """The columns of each rating in a table with these columns.

    Args:
        columns: role to column, as the options name them; those of ratings are NAME, NAME_sd and NAME_n.

    Raises:
        EmocapError: a rating has no column, or one that is named does not exist.
    """
    by_lower = {name.lower(): name for name in reversed(names)}
    found = []
    for rating in ratings:
        roles: list[str | None] = []
        for role, defaults in (
            (rating.name, (rating.name, f"{rating.name}_mean")),
            (f"{rating.name}_sd", (f"{rating.name}_sd",)),
            (f"{rating.name}_n", (f"{rating.name}_n",)),
        ):
            wanted = columns.get(role)
            if wanted is not None and wanted not in names:
                raise EmocapError(
                    f"{source}: has no column {wanted!r}, which is to be its {role}; found {', '.join(names)}"
                )
            default = next((by_lower[name.lower()] for name in defaults if name.lower() in by_lower), None)
            roles.append(wanted if isinstance(wanted, str) else default)
        mean, sd, n = roles
        if mean is None:
            raise EmocapError(
                f"{source}: has no column {rating.name!r} or '{rating.name}_mean' of the rating {rating.name!r}, found "
                f"{', '.join(names)}; name it, such as columns: {{{rating.name}: NAME}}"
            )
        found.append(RatingColumns(rating, mean, sd, n))
    return found


def ratings_of_rows(
    source: object, rows: Sequence[Mapping[str, Any]], columns: Sequence[RatingColumns]
) -> list[list[Value] | RatingFault]:
    """The ratings of every row that are not missing, or what is wrong with them.

    Raises:
        EmocapError: no row has a rating, or so many are outside its range that the range must be wrong.
    """
    found = [_ratings_of(row, columns) for row in rows]
    faults = [one for one in found if isinstance(one, RatingFault)]
    outside = [fault for fault in faults if isinstance(fault, OutOfRange)]
    if len(outside) > MOST_OUTSIDE * len(rows):
        raise EmocapError(f"{source}: {len(outside)} of {len(rows)} rows are out of range: {outside[0]}; correct it")
    counts = Counter(value["name"] for one in found if not isinstance(one, RatingFault) for value in one)
    for column in columns:
        if not counts[column.rating.name]:
            first = f"; the first of {len(faults)} rejected rows: {faults[0]}" if faults else ""
            raise EmocapError(f"{source}: no row has the rating {column.rating.name!r} (column {column.mean!r}){first}")
    return found


def _ratings_of(row: Mapping[str, Any], columns: Sequence[RatingColumns]) -> list[Value] | RatingFault:
    try:
        return [value for column in columns if (value := column.read(row)) is not None]
    except RatingFault as fault:
        return fault


def joined_ratings(of_pairs: Mapping[int, Sequence[Sequence[Value]]]) -> dict[int, list[Value]]:
    """The ratings of each pair of which several rows are read.

    Rows that differ in a rating of some pair are the answers of single people: the rating of a pair is then their mean,
    with their standard deviation and number. Otherwise, and where the rows have a number of people themselves, equal
    values are the pair's own.

    Args:
        of_pairs: of each pair, the ratings of its rows.
    """
    values: dict[int, dict[str, list[Value]]] = {}
    for pair, rows in of_pairs.items():
        for value in (value for row in rows for value in row):
            values.setdefault(pair, {}).setdefault(value["name"], []).append(value)
    answers = {name for of_pair in values.values() for name, several in of_pair.items() if _differ(several)}
    return {
        pair: [_joined(several, name in answers) for name, several in values.get(pair, {}).items()] for pair in of_pairs
    }


def _differ(several: Sequence[Value]) -> bool:
    return len({value["value"] for value in several}) > 1


def _joined(several: Sequence[Value], are_answers: bool) -> Value:
    """One rating of a pair from those of its rows."""
    if len(several) == 1 or not (_differ(several) or (are_answers and several[0]["n"] is None)):
        return several[0]
    numbers = np.array([value["value"] for value in several])
    return rating_value(several[0]["name"], float(numbers.mean()), float(numbers.std(ddof=1)), float(len(numbers)))


def _number(column: str, cell: Any) -> float | None:
    """The number in a cell; None for an empty one.

    Raises:
        RatingFault: it is not a finite number.
    """
    if is_absent(cell):
        return None
    try:
        value = math.nan if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise RatingFault(f"{column} is {str(cell)[:60]!r}, expected a number")
    return value
