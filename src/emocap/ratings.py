"""Ratings: numbers on a scale that people gave, such as valence from 1 to 7, kept and learnt as values from 0 to 1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emocap.errors import EmocapError

if TYPE_CHECKING:  # the command line checks ratings without numpy
    import numpy as np


LARGEST = 1e100  # the absolute value of a range's end


@dataclass(frozen=True)
class Rating:
    """A rating with the lowest and the highest value of its scale, in its own units."""

    name: str
    low: float
    high: float

    @property
    def span(self) -> float:
        """The length of the scale, in units."""
        return self.high - self.low


class Ratings(tuple[Rating, ...]):
    """The ratings that a corpus has or a model predicts, in a fixed order."""

    @staticmethod
    def of(ranges: Any) -> "Ratings":
        """Ratings from a mapping of names to ranges.

        >>> Ratings.of({"valence": [1, 7]})
        (Rating(name='valence', low=1.0, high=7.0),)

        Raises:
            EmocapError: not such a mapping, a name that occurs in two cases, or a range that is not two numbers, the
                lower one first.
        """
        if not isinstance(ranges, Mapping):
            raise EmocapError(f"ratings is {ranges!r:.80}; give each its range, such as {{valence: [1, 7]}}")
        ratings = Ratings(_rating(name, ends) for name, ends in ranges.items())
        for number, name in enumerate(ratings.names):
            if name.lower() in (other.lower() for other in ratings.names[:number]):
                raise EmocapError(f"ratings: {name!r} is named twice, but for upper and lower case; rename one")
        return ratings

    @property
    def names(self) -> list[str]:
        """Their names in order."""
        return [rating.name for rating in self]

    @property
    def ranges(self) -> dict[str, list[float]]:
        """Name to [low, high], as `of` takes them."""
        return {rating.name: [rating.low, rating.high] for rating in self}

    @property
    def spans(self) -> "np.ndarray":
        """(R,) float64 lengths of the scales, in units."""
        import numpy as np

        return np.array([rating.span for rating in self], dtype=np.float64)

    def in_units(self, values: "np.ndarray") -> "np.ndarray":
        """Values from 0 to 1, (..., R), in the units of each rating; NaN stays NaN.

        >>> Ratings.of({"valence": [1, 7]}).in_units([[0.5]]).tolist()
        [[4.0]]
        """
        import numpy as np

        return np.asarray(values, dtype=np.float64) * self.spans + np.array([rating.low for rating in self])


NO_RATINGS = Ratings()


def _rating(name: Any, ends: Any) -> Rating:
    if not isinstance(name, str) or not name.strip():
        raise EmocapError(f"ratings: {name!r} is not the name of a rating")
    example = f"give its lowest and highest value, such as {name}: [1, 7]"
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise EmocapError(f"ratings: the range of {name!r} is {ends!r:.80}; {example}")
    if any(isinstance(end, bool) or not isinstance(end, int | float) or not abs(end) <= LARGEST for end in ends):
        raise EmocapError(f"ratings: the range of {name!r} is {list(ends)!r:.80}, expected two numbers; {example}")
    if ends[0] >= ends[1]:
        raise EmocapError(f"ratings: the range of {name!r} is {ends[0]:g} to {ends[1]:g}, which is empty; {example}")
    return Rating(name, float(ends[0]), float(ends[1]))
