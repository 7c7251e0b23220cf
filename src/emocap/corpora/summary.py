"""A corpus in numbers: its emotions, annotators and parts, and the few lines of it that a log shows."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emocap.corpora.pairs import Pairs
from emocap.ratings import Rating

RARE = 10  # pairs; fewer are too few to learn or to measure an emotion
TOP = 5
MAX_CHARS = 200


class Spread(NamedTuple):
    """The least, mean and largest of several numbers."""

    min: int
    mean: float
    max: int

    @staticmethod
    def of(numbers: np.ndarray) -> "Spread":
        """Of at least one number; the mean is rounded to two digits."""
        return Spread(int(numbers.min()), round(float(numbers.mean()), 2), int(numbers.max()))

    def __str__(self) -> str:
        return f"{self.min:,} to {self.max:,}, mean {self.mean:,.2f}"


@dataclass(frozen=True)
class Emotions:
    """The labels of a corpus.

    Attributes:
        counts: emotion to the number of pairs that name it, the most common first.
        per_pair: emotions of a labelled pair.
        without_emotion: labelled pairs that name none.
        unlabelled: pairs without labels, of which it is unknown what they evoke.
        rare: the number of emotions named for fewer than `RARE` pairs.
        differ_in_case: groups of emotions that differ in upper and lower case only.
    """

    counts: dict[str, int]
    per_pair: Spread
    without_emotion: int
    unlabelled: int
    rare: int
    differ_in_case: list[list[str]]


@dataclass(frozen=True)
class Annotators:
    """The annotators of a corpus that keeps them apart.

    Attributes:
        people: how many the corpus names; 0 if it gives no names.
        ratings: how often one of them rated a pair.
        per_pair: annotators of a pair that has any.
        pairs: pairs with annotators.
    """

    people: int
    ratings: int
    per_pair: Spread
    pairs: int


@dataclass(frozen=True)
class RatingSummary:
    """The values of one rating in its own units, or from 0 to 1 where its scale is not known.

    Attributes:
        low: end of the scale.
        high: end of the scale.
        pairs: that have it.
        min: of the values.
        mean: of the values.
        max: of the values.
        sd: mean of the standard deviations of the people who rated a pair; None where the corpus does not give them.
        raters: mean number of the people who rated a pair; None where the corpus does not give it.
    """

    low: float
    high: float
    pairs: int
    min: float
    mean: float
    max: float
    sd: float | None
    raters: float | None


def ratings_of(pairs: Pairs) -> dict[str, RatingSummary]:
    """The ratings of a corpus by name; {} if it has none."""
    found = {}
    scales = {rating.name: rating for rating in pairs.scales}
    for name in dict.fromkeys([*scales, *(name for row in pairs.ratings for name in row)]):
        scale = scales.get(name, Rating(name, 0.0, 1.0))
        values, sds, raters = (pairs.rating_values([name], key)[:, 0] for key in ("value", "sd", "n"))
        values, sds, raters = (column[~np.isnan(column)] for column in (values, sds, raters))
        if len(values):
            least, mean, most = (
                round(scale.low + scale.span * float(of), 3) for of in (values.min(), values.mean(), values.max())
            )
            found[name] = RatingSummary(
                scale.low,
                scale.high,
                len(values),
                least,
                mean,
                most,
                round(scale.span * float(sds.mean()), 3) if len(sds) else None,
                round(float(raters.mean()), 1) if len(raters) else None,
            )
    return found


def emotions_of(pairs: Pairs) -> Emotions | None:
    """The labels of a corpus; None if no pair is labelled."""
    lists = pairs.table["emotions"].combine_chunks()
    if lists.null_count == len(lists):
        return None
    numbers = pc.list_value_length(lists).drop_null().to_numpy(zero_copy_only=False)
    counts = value_counts(pc.list_flatten(lists))
    spellings: dict[str, list[str]] = {}
    for label in counts:
        spellings.setdefault(label.casefold(), []).append(label)
    return Emotions(
        counts=counts,
        per_pair=Spread.of(numbers),
        without_emotion=int((numbers == 0).sum()),
        unlabelled=lists.null_count,
        rare=sum(count < RARE for count in counts.values()),
        differ_in_case=[several for several in spellings.values() if len(several) > 1],
    )


def annotators_of(pairs: Pairs) -> Annotators | None:
    """The annotators of a corpus; None if it does not keep them apart."""
    lists = pairs.table["annotations"].combine_chunks()
    numbers = pc.list_value_length(lists).drop_null().to_numpy(zero_copy_only=False)
    if not numbers.sum():
        return None
    people = pc.count_distinct(pc.struct_field(pc.list_flatten(lists), "annotator")).as_py()
    return Annotators(people, int(numbers.sum()), Spread.of(numbers), len(numbers))


def parts_of(pairs: Pairs) -> dict[str, int]:
    """The corpus's own parts to their numbers of pairs, with "none" for pairs in no part; {} if it has no split."""
    splits = pairs.table["split"]
    counts = value_counts(splits.drop_null())
    return counts | ({"none": splits.null_count} if counts and splits.null_count else {})


def value_counts(values: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Text to how often it occurs, the most common first, then in alphabetical order."""
    counted = pc.value_counts(values)
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda item: (-item[1], item[0])))


def sample_rows(n_rows: int, n: int) -> np.ndarray:
    """At most `n` of the rows, always the same for a number of rows, ascending."""
    if n_rows <= n:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, n, replace=False))


def summary_lines(pairs: Pairs) -> list[str]:
    """At most seven lines about a corpus: its size, emotions, ratings, annotators, split and notes."""
    images = pc.count_distinct(pairs.table["image"]).as_py()
    without_image = pc.sum(pc.equal(pairs.table["image"], "")).as_py() or 0
    size = f"{len(pairs):,} pairs, {images - bool(without_image):,} images, {len(pairs.rejected):,} rejected rows"
    lines = [f"{size}, {without_image:,} pairs without an image" if without_image else size]
    emotions = emotions_of(pairs)
    if emotions is None:
        lines.append("ratings instead of emotions" if ratings_of(pairs) else "no emotions")
    else:
        top = ", ".join(f"{label} {count:,}" for label, count in list(emotions.counts.items())[:TOP])
        more = len(emotions.counts) - TOP
        named = f"{top}{f' and {more:,} more' if more > 0 else ''}" if top else "none"
        lines.append(f"emotions: {named}; {emotions.per_pair} per pair")
        if emotions.without_emotion:
            lines.append(f"{emotions.without_emotion:,} pairs name no emotion")
    if ratings := ratings_of(pairs):
        each = (f"{name} {rating.min:g} to {rating.max:g} ({rating.pairs:,} pairs)" for name, rating in ratings.items())
        lines.append(f"ratings: {', '.join(each)}")
    if (people := annotators_of(pairs)) is not None:
        names = f"{people.people:,} annotators" if people.people else "annotators without names"
        lines.append(f"{names}: {people.ratings:,} ratings; {people.per_pair} per pair")
    if parts := parts_of(pairs):
        lines.append("its own split: " + ", ".join(f"{part} {count:,}" for part, count in parts.items()))
    if pairs.notes:
        more = len(pairs.notes) - 1
        lines.append(f"note: {pairs.notes[0]}" + (f" (and {more} more notes)" if more else ""))
    return [line if len(line) <= MAX_CHARS else f"{line[: MAX_CHARS - 3]}..." for line in lines]
