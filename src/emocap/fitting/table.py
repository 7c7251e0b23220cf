"""The rows of a table that a model can be trained on: checked, with their emotions, ratings and groups."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emocap.corpora.duplicates import normalised_caption, same_content
from emocap.corpora.groups import Groups
from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.ratings import Ratings

LEAST_ROWS = 10
LEAST_GROUPS = 6
LEAST_NAMED = 3  # rows that name an emotion, one for each fold
MOST_EMOTIONS = 300
STOCK_SHARE = 0.2  # a caption of more rows than this says nothing about one image


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """N pairs to train on.

    Attributes:
        pairs: N pairs with labels.
        vocabulary: the E emotions that are learned.
        ratings: the R ratings that are learned.
        truth: (N, E) float32 of 0 and 1.
        group_of: (N,) numbers of the groups that no fold divides.
        remarks: sentences on what was left out.
    """

    pairs: Pairs
    vocabulary: Vocabulary
    ratings: Ratings
    truth: np.ndarray
    group_of: np.ndarray
    remarks: tuple[str, ...]

    @cached_property
    def rating_values(self) -> np.ndarray:
        """(N, R) float64 from 0 to 1, NaN where missing."""
        return self.pairs.rating_values(self.ratings.names)

    @property
    def is_single(self) -> bool:
        """Whether every pair has exactly one emotion, so that accuracy and macro-F1 are of the likeliest one."""
        return len(self.vocabulary) > 1 and bool((self.truth.sum(axis=1) == 1).all())

    @property
    def has_captions(self) -> bool:
        """Whether captions tell pairs apart."""
        return len({normalised_caption(caption) for caption in self.pairs.captions}) > 1

    @property
    def has_images(self) -> bool:
        """Whether there are files of images."""
        return self.pairs.image_root is not None and bool(self.pairs.distinct_images())


def labelled_table(pairs: Pairs, source: str) -> LabelledTable:
    """The usable rows of a corpus.

    Pairs without labels are left out, and so are emotions that fewer than 3 pairs name; a pair that names none but
    these is left out where every pair names exactly one emotion, and else stays as one that evokes none.

    Args:
        pairs: as they were read.
        source: what errors call them.

    Raises:
        EmocapError: too few rows or groups, no emotion and no rating that can be learned, too many emotions, or rows
            that nothing tells apart.
    """
    remarks: list[str] = []
    ratings = pairs.scales
    kept = _labelled_rows(pairs, ratings, source)
    if len(kept) < len(pairs):
        remarks.append(f"{_rows(len(pairs) - len(kept))} without labels left out")
    pairs = pairs.select(kept)
    _require_rows(pairs, source)
    vocabulary, rare = _vocabulary(pairs, ratings, source)
    if rare:
        names = ", ".join(map(repr, rare[:5])) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
        remarks.append(f"not learned, since fewer than {LEAST_NAMED} rows name them: {names}")
    if len(vocabulary) and not len(ratings) and all(len(named or ()) == 1 for named in pairs.emotions):
        known = set(vocabulary.labels)
        rows = [row for row, named in enumerate(pairs.emotions) if known.intersection(named or ())]
        if len(rows) < len(pairs):
            remarks.append(f"{_rows(len(pairs) - len(rows))} that name only such emotions left out")
            pairs = pairs.select(rows)
            _require_rows(pairs, source)
    truth = vocabulary.encode([named or () for named in pairs.emotions])
    _require_variation(pairs, vocabulary, ratings, truth, source)
    return LabelledTable(pairs, vocabulary, ratings, truth, _groups(pairs, source), tuple(remarks))


def _labelled_rows(pairs: Pairs, ratings: Ratings, source: str) -> list[int]:
    rated = pairs.rating_values(ratings.names)
    kept = [
        row
        for row, named in enumerate(pairs.emotions)
        if named is not None or (len(ratings) and not np.isnan(rated[row]).all())
    ]
    if not kept:
        raise EmocapError(
            f"{source}: none of {_rows(len(pairs))} has a label; name the column of emotions, such as "
            "--columns emotions=NAME"
        )
    return kept


def _require_rows(pairs: Pairs, source: str) -> None:
    if len(pairs) < LEAST_ROWS:
        raise EmocapError(
            f"{source}: {_rows(len(pairs))} to train on, expected at least {LEAST_ROWS}; label more rows, or use a "
            "trained model"
        )


def _vocabulary(pairs: Pairs, ratings: Ratings, source: str) -> tuple[Vocabulary, list[str]]:
    """The emotions that enough pairs name, and the others, each the most common first."""
    counts = Counter(emotion for named in pairs.emotions for emotion in set(named or ()))
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    frequent = [label for label in ordered if counts[label] >= LEAST_NAMED]
    if len(frequent) > MOST_EMOTIONS:
        raise EmocapError(
            f"{source}: {len(frequent):,} emotions are named for {LEAST_NAMED} rows or more, at most {MOST_EMOTIONS} "
            "are learned; check that --columns emotions=NAME names the column of emotions, or join rare emotions"
        )
    if not frequent and not len(ratings):
        most = f", the most common, {ordered[0]!r}, for {counts[ordered[0]]}" if ordered else ""
        raise EmocapError(
            f"{source}: none of {len(counts):,} emotions is named for {LEAST_NAMED} rows or more{most}; label more rows"
        )
    return Vocabulary(tuple(frequent)), ordered[len(frequent) :]


def _require_variation(pairs: Pairs, vocabulary: Vocabulary, ratings: Ratings, truth: np.ndarray, source: str) -> None:
    constant = truth.all(axis=0) | ~truth.any(axis=0)
    if len(vocabulary) and constant.all() and not len(ratings):
        raise EmocapError(
            f"{source}: every row names {', '.join(map(repr, vocabulary.labels[:5]))}; a model needs rows with and "
            "without an emotion"
        )
    has_images = pairs.image_root is not None and len(pairs.distinct_images()) > 1
    if len({normalised_caption(caption) for caption in pairs.captions}) < 2 and not has_images:
        what = "have the same caption" if any(map(str.strip, pairs.captions)) else "have no caption"
        raise EmocapError(f"{source}: all rows {what} and there are no images; give --images or another column")


def _groups(pairs: Pairs, source: str) -> np.ndarray:
    counts = Counter(map(normalised_caption, pairs.captions))
    stock = [caption for caption, count in counts.items() if count > STOCK_SHARE * len(pairs)]
    groups = Groups.of(pairs, same_content(pairs) if pairs.image_root is not None else None, stock)
    if len(groups.sizes) < LEAST_GROUPS:
        _, tie = groups.largest()
        raise EmocapError(
            f"{source}: its rows form {len(groups.sizes)} groups that share an image, a caption or a declared group, "
            f"expected at least {LEAST_GROUPS}{f'; the {tie} binds most of them' if tie else ''}"
        )
    return groups.group_of[groups.key_of]


def _rows(n: int) -> str:
    return f"{n:,} {'row' if n == 1 else 'rows'}"
