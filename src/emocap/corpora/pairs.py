"""The table of image-caption pairs that every corpus becomes: its schema, its builder and its checks.

A caption is one caption: an image with five of them is five pairs. Annotators stay separate in `annotations`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
class Quarantined:
    """A row or image that was set aside: where it is and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Pairs:
    """A corpus of N image-caption pairs.

    Attributes:
        table: N rows of `SCHEMA`.
        image_root: folder that the `image` column is relative to; None where the corpus has no images.
        quarantined: rows set aside while reading.
        open_vocabulary: labels are free words, so that those outside a model's vocabulary are expected.
    """

    table: pa.Table
    image_root: Path | None = None
    quarantined: tuple[Quarantined, ...] = ()
    open_vocabulary: bool = False

    def __post_init__(self) -> None:
        if self.table.schema.names != SCHEMA.names:
            raise EmocapError(f"pairs: columns {self.table.schema.names}, expected {SCHEMA.names}")

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def pair_ids(self) -> list[str]:
        return self.table["pair_id"].to_pylist()

    @property
    def images(self) -> list[str]:
        return self.table["image"].to_pylist()

    @property
    def captions(self) -> list[str]:
        return self.table["caption"].to_pylist()

    @property
    def emotions(self) -> list[list[str] | None]:
        return self.table["emotions"].to_pylist()

    @property
    def is_labelled(self) -> bool:
        return len(self) > 0 and self.table["emotions"].null_count == 0

    def distinct_images(self) -> list[str]:
        """The images in order of first appearance, "" left out."""
        return [image for image in dict.fromkeys(self.images) if image]

    def select(self, rows: Sequence[int] | np.ndarray) -> "Pairs":
        """The pairs at these row numbers, in this order, with nothing quarantined."""
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
        return np.stack([vocabulary.encode(named or ()) for named in emotions])


@dataclass
class PairsBuilder:
    """Gathers rows; one that cannot be used is quarantined with its reason, never dropped unseen.

    Attributes:
        source: what the rows come from, for messages.
    """

    source: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def add(
        self,
        where: str,
        pair_id: str,
        image: Any,
        caption: Any,
        emotions: Iterable[str] | None = None,
        annotations: list[dict[str, Any]] | None = None,
    ) -> None:
        """Take a pair in, or quarantine it; `where` names the row ("line 12", "pair 3KI0...")."""
        reason = _fault(image, caption)
        if reason is None and pair_id in self._ids:
            reason = f"pair id {pair_id!r} occurs twice"
        if reason is not None:
            self.refuse(where, reason)
            return
        self._ids.add(pair_id)
        self.rows.append(
            {
                "pair_id": pair_id,
                "image": image or "",
                "caption": caption.strip(),
                "emotions": None if emotions is None else sorted(set(emotions)),
                "annotations": annotations,
            }
        )

    def refuse(self, where: str, reason: str) -> None:
        """Quarantine a row."""
        self.quarantined.append(Quarantined(f"{self.source}: {where}", reason))

    def build(self, image_root: Path | None = None, *, open_vocabulary: bool = False) -> Pairs:
        """The table of all rows taken in.

        Raises:
            EmocapError: not one row could be used.
        """
        if not self.rows:
            first = (
                f"; the first of {len(self.quarantined)} faults: {self.quarantined[0].reason}"
                if self.quarantined
                else ""
            )
            raise EmocapError(f"{self.source}: holds no usable pair{first}")
        table = pa.Table.from_pylist(self.rows, schema=SCHEMA)
        return Pairs(table, image_root, tuple(self.quarantined), open_vocabulary)


def _fault(image: Any, caption: Any) -> str | None:
    if not isinstance(caption, str):
        return f"caption is {type(caption).__name__}, expected text"
    if not caption.strip():
        return "caption is empty"
    if len(caption) > MAX_CAPTION_CHARS:
        return f"caption has {len(caption):,} characters, at most {MAX_CAPTION_CHARS:,} are read"
    if image is not None and not isinstance(image, str):
        return f"image is {type(image).__name__}, expected a file name"
    if image and (Path(image).is_absolute() or ".." in Path(image).parts):
        return f"image {image!r} points outside the image folder"
    return None
