"""The table of image-caption pairs that every reader returns: schema, builder and row checks.

A pair has one caption: an image with five captions makes five pairs. Annotators are kept separate in `annotations`.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

ANNOTATION = pa.struct(
    [
        ("emotions", pa.list_(pa.string())),  # as the annotator wrote them
        ("explanations", pa.list_(pa.string())),
        ("age", pa.string()),
        ("gender", pa.string()),
        ("education", pa.string()),
        ("ethnicity", pa.list_(pa.string())),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),  # unique in the corpus
        pa.field("image", pa.string(), nullable=False),  # path below the image root; "" where a pair has none
        pa.field("caption", pa.string(), nullable=False),
        pa.field("emotions", pa.list_(pa.string())),  # union over annotators, sorted; null where unlabelled
        pa.field("annotations", pa.list_(ANNOTATION)),  # null where the corpus does not keep annotators apart
    ]
)
MAX_CAPTION_CHARS = 10_000


@dataclass(frozen=True)
class RejectedRow:
    """A row or image that was rejected: where it is and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Pairs:
    """A corpus of N image-caption pairs.

    Attributes:
        table: N rows of `SCHEMA`.
        image_root: folder that the `image` column is relative to; None where the corpus has no images.
        rejected: rows rejected while reading.
        open_vocabulary: labels are free text, so some outside a model's vocabulary are expected.
    """

    table: pa.Table
    image_root: Path | None = None
    rejected: tuple[RejectedRow, ...] = ()
    open_vocabulary: bool = False

    def __post_init__(self) -> None:
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

    @property
    def is_labelled(self) -> bool:
        return len(self) > 0 and self.table["emotions"].null_count == 0

    def distinct_images(self) -> list[str]:
        """The images in order of first appearance, without ""."""
        return [image for image in dict.fromkeys(self.images) if image]

    def select(self, rows: Sequence[int] | np.ndarray) -> "Pairs":
        """The pairs at these row numbers, in this order; `rejected` is empty."""
        taken = self.table.take(pa.array(np.asarray(rows, dtype=np.int64)))
        return Pairs(taken, self.image_root, (), self.open_vocabulary)

    def targets(self, vocabulary: Vocabulary) -> np.ndarray:
        """(N, E) float32 of 0 and 1.

        Raises:
            EmocapError: a pair is unlabelled, or a closed label set holds emotions outside the vocabulary.
        """
        emotions = self.emotions
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


@dataclass
class PairsBuilder:
    """Collects rows; an unusable one is rejected with its reason, never dropped silently.

    Attributes:
        source: the file that the rows come from, for messages.
    """

    source: Path
    rejected: list[RejectedRow] = field(default_factory=list)
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in SCHEMA.names})
    _ids: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        """The number of pairs accepted so far."""
        return len(self._columns["pair_id"])

    def add(
        self,
        where: str,
        pair_id: str,
        image: Any,
        caption: Any,
        emotions: Iterable[str] | None = None,
        annotations: list[dict[str, Any]] | None = None,
    ) -> None:
        """Accept a pair or reject it; `where` names the row ("line 12", "pair 3KI0...")."""
        named = None if emotions is None else sorted(set(emotions))
        reason = _fault(pair_id, image, caption, named)
        if reason is None and pair_id in self._ids:
            reason = f"pair id {pair_id!r} occurs twice"
        if reason is not None:
            self.reject(where, reason)
            return
        self._ids.add(pair_id)
        columns = self._columns
        columns["pair_id"].append(pair_id)
        columns["image"].append(_plain_path(image))
        columns["caption"].append(caption.strip())
        columns["emotions"].append(named)
        columns["annotations"].append(annotations)

    def reject(self, where: str, reason: str) -> None:
        """Record a row as rejected."""
        self.rejected.append(RejectedRow(f"{self.source}: {where}", reason))

    def build(self, image_root: Path | None = None, *, open_vocabulary: bool = False) -> Pairs:
        """The pairs of all accepted rows.

        Raises:
            EmocapError: there are none.
        """
        if not len(self):
            first = (
                f"; the first of {len(self.rejected)} rejected rows: {self.rejected[0].reason}" if self.rejected else ""
            )
            raise EmocapError(f"{self.source}: contains no usable pair{first}")
        table = pa.table(self._columns, schema=SCHEMA)
        return Pairs(table, image_root, tuple(self.rejected), open_vocabulary)


def is_text(value: Any) -> bool:
    """Whether this is text that can be encoded as UTF-8; JSON may contain a lone surrogate, which cannot."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fault(pair_id: Any, image: Any, caption: Any, emotions: list[str] | None) -> str | None:
    if not isinstance(caption, str):
        return f"caption is {type(caption).__name__}, expected text"
    if not caption.strip():
        return "caption is empty"
    if len(caption) > MAX_CAPTION_CHARS:
        return f"caption has {len(caption):,} characters, at most {MAX_CAPTION_CHARS:,} are read"
    if not is_text(caption) or "\0" in caption:
        return "caption contains a NUL or a lone surrogate, expected Unicode text"
    if image is not None and not isinstance(image, str):
        return f"image is {type(image).__name__}, expected a file name"
    if image and (not is_text(image) or "\0" in image):
        return f"image {image!r} contains a NUL or a lone surrogate, expected a file name"
    if image and (image.startswith("/") or (".." in image and ".." in image.split("/"))):
        return f"image {image!r} points outside the image folder"
    if not is_text(pair_id) or not pair_id:
        return f"pair id {pair_id!r} is empty or not text"
    if not all(map(is_text, emotions or ())):
        return "an emotion is not Unicode text"
    return None


def _plain_path(image: str | None) -> str:
    """Normalise a path, so that `./a.jpg` and `a.jpg` are the same image in a split."""
    if not image:
        return ""
    return posixpath.normpath(image) if "//" in image or "./" in image else image
