"""The table of image-caption pairs that every reader returns: schema, builder and row checks.

A pair has one caption: an image with five captions makes five pairs. Annotators are kept separate in `annotations`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emocap.corpora.conversions import Conversions
from emocap.corpora.source_table import SourceTable
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.ratings import NO_RATINGS, Ratings

ANNOTATION = pa.struct(
    [
        ("annotator", pa.string()),  # the corpus's name for the person; null where it gives none
        ("emotions", pa.list_(pa.string())),  # as the annotator wrote them
        ("explanations", pa.list_(pa.string())),
        ("age", pa.string()),
        ("gender", pa.string()),
        ("education", pa.string()),
        ("ethnicity", pa.list_(pa.string())),
    ]
)
RATING = pa.struct(
    [
        ("name", pa.string()),
        ("value", pa.float64()),  # the mean of the people who rated, from 0 to 1 on the rating's scale
        ("sd", pa.float64()),  # their standard deviation on the same scale; null where the corpus does not give it
        ("n", pa.float64()),  # their number; null where the corpus does not give it
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),  # unique in the corpus
        pa.field("image", pa.string(), nullable=False),  # path below the image root; "" where a pair has none
        pa.field("caption", pa.string(), nullable=False),
        pa.field("emotions", pa.list_(pa.string())),  # union over annotators, sorted; null where unlabelled
        pa.field("annotations", pa.list_(ANNOTATION)),  # null where the corpus does not keep annotators apart
        pa.field("group", pa.string()),  # what no split divides, such as a video; null where the corpus has none
        pa.field("split", pa.string()),  # the corpus's own "train", "validation" or "test"; null where it has none
        pa.field("ratings", pa.list_(RATING)),  # those that are not missing; null where none are read
        pa.field("style", pa.string()),  # of the caption, such as "humorous"; null where the corpus has none
    ]
)
ADDED = ("ratings", "style")  # columns that tables of earlier versions lack
STRICTEST_FIRST = ("test", "validation", "train")  # what a group is in, if the corpus's own split divides it


@dataclass(frozen=True)
class RejectedRow:
    """A row or image that was rejected.

    Attributes:
        where: it is.
        reason: why.
        line: its text in the file, where it could not be divided into columns.
    """

    where: str
    reason: str
    line: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Pairs(Conversions):
    """A corpus of N image-caption pairs.

    Attributes:
        table: N rows of `SCHEMA`.
        image_root: folder that the `image` column is relative to; None where the corpus has no images.
        rejected: rows rejected while reading.
        open_vocabulary: labels are free text, so some outside a model's vocabulary are expected.
        notes: what else a user should know of how the corpus was read.
        columns: role to the names of the table's columns that were read for it; empty for formats with fixed fields.
        unused_columns: the table's other columns.
        n_rows: rows of the file, each accepted, rejected or joined with others to one pair; 0 if unknown.
        scales: of the ratings that were read; empty where there are none, or where emocap wrote the table.
        source: all columns of the table that was read, if `ReadOptions.keep_columns` asked for them.
    """

    table: pa.Table
    image_root: Path | None = None
    rejected: tuple[RejectedRow, ...] = ()
    open_vocabulary: bool = False
    notes: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unused_columns: tuple[str, ...] = ()
    n_rows: int = 0
    scales: Ratings = NO_RATINGS
    source: SourceTable | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.table.schema.names == [name for name in SCHEMA.names if name not in ADDED]:  # of an earlier version
            table = self.table
            for name in ADDED:
                table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
            object.__setattr__(self, "table", table)
        if self.table.schema.names != SCHEMA.names:
            raise EmocapError(f"pairs: columns {self.table.schema.names}, expected {SCHEMA.names}")

    def __len__(self) -> int:
        return self.table.num_rows

    # Each column is converted once; callers must not change the lists.
    @cached_property
    def pair_ids(self) -> list[str]:
        return self.table["pair_id"].to_pylist()

    @cached_property
    def images(self) -> list[str]:
        return self.table["image"].to_pylist()

    @cached_property
    def captions(self) -> list[str]:
        return self.table["caption"].to_pylist()

    @cached_property
    def emotions(self) -> list[list[str] | None]:
        return self.table["emotions"].to_pylist()

    @cached_property
    def groups(self) -> list[str | None]:
        return self.table["group"].to_pylist()

    @cached_property
    def splits(self) -> list[str | None]:
        return self.table["split"].to_pylist()

    @cached_property
    def styles(self) -> list[str | None]:
        return self.table["style"].to_pylist()

    @cached_property
    def ratings(self) -> list[dict[str, dict[str, Any]]]:
        """For each pair, the name of each of its ratings to its `value`, `sd` and `n`."""
        return [{one["name"]: one for one in row or ()} for row in self.table["ratings"].to_pylist()]

    def rating_values(self, names: Sequence[str], key: str = "value") -> np.ndarray:
        """(N, R) float64: the ratings of these names from 0 to 1, NaN where missing.

        Args:
            names: R names.
            key: "value", or "sd" on the same scale, or "n", the number of people who rated.
        """
        values = np.full((len(self), len(names)), np.nan)
        for row, ratings in enumerate(self.ratings):
            for column, name in enumerate(names):
                value = ratings.get(name, {}).get(key)
                values[row, column] = np.nan if value is None else value
        return values

    @property
    def is_labelled(self) -> bool:
        return len(self) > 0 and self.table["emotions"].null_count == 0

    @property
    def without_emotion(self) -> int:
        """The number of labelled pairs that name no emotion."""
        return sum(named == [] for named in self.emotions)

    def distinct_images(self) -> list[str]:
        """The images in order of first appearance, without ""."""
        return [image for image in dict.fromkeys(self.images) if image]

    def select(self, rows: Sequence[int] | np.ndarray) -> "Pairs":
        """The pairs at these row numbers, in this order; `rejected` and `notes` are empty."""
        taken = self.table.take(pa.array(np.asarray(rows, dtype=np.int64)))
        source = None if self.source is None else self.source.select(rows)
        return Pairs(taken, self.image_root, (), self.open_vocabulary, scales=self.scales, source=source)

    def targets(self, vocabulary: Vocabulary) -> np.ndarray:
        """(N, E) float32 of 0 and 1; with an empty vocabulary, pairs need no emotions.

        Raises:
            EmocapError: a pair is unlabelled, or a closed label set holds emotions outside the vocabulary.
        """
        emotions = self.emotions
        if not len(vocabulary):
            return np.zeros((len(self), 0), dtype=np.float32)
        if not self.is_labelled:
            row = next((i for i, named in enumerate(emotions) if named is None), 0)
            raise EmocapError(
                f"pair {self.pair_ids[row] if emotions else 0}: no emotions; labelled pairs are needed here"
            )
        if not self.open_vocabulary:
            unknown = sorted({e for named in emotions for e in named or ()} - set(vocabulary.labels))
            if unknown:
                raise EmocapError(
                    f"data: emotions {', '.join(map(repr, unknown[:5]))}{' ...' if len(unknown) > 5 else ''} are not "
                    f"in the vocabulary {vocabulary.hash} ({', '.join(vocabulary.labels[:5])} ...); "
                    "use data of the same labels"
                )
        return vocabulary.encode([named or () for named in emotions])
