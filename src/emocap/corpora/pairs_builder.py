"""Collecting the rows of a corpus into a table of pairs: what is accepted, joined, rejected and remarked."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emocap.corpora.image_names import plain_image_name, resolve_image_names
from emocap.corpora.labels import is_absent
from emocap.corpora.pairs import SCHEMA, STRICTEST_FIRST, Pairs, RejectedRow
from emocap.corpora.rating_columns import Value, joined_ratings
from emocap.corpora.source_table import KeptRows, SourceTable
from emocap.errors import EmocapError
from emocap.ratings import NO_RATINGS, Ratings

MAX_CAPTION_CHARS = 10_000


MISSING_CAPTIONS = frozenset({"nan", "NaN", "None", "null", "NULL", "<NA>"})  # as pandas and R write them


SPLIT_NAMES = {
    name: part
    for part, names in {
        "train": ("train", "training", "training set", "restval", "trn", "tr"),
        "validation": ("validation", "validation set", "validate", "val", "valid", "dev", "development", "eval"),
        "test": ("test", "testing", "test set", "tst", "te"),
    }.items()
    for name in names
}


PERSON = ("explanations", "age", "gender", "education", "ethnicity")


@dataclass
class PairsBuilder:
    """Collects rows; an unusable one is rejected with its reason, never dropped silently.

    Attributes:
        source: the file that the rows come from, for messages.
        image_root: folder of the images; None where they are not read.
        rejected: rows rejected so far.
        notes: what else a user should know of how the corpus was read.
        columns: role to the names of the table's columns that are read for it.
        unused_columns: the table's other columns.
        kept: all columns of the table's rows, where they are to be kept.
        source_table: the same with the row of each pair, once all rows are read.
        image_alone: whether the pairs have no captions, which are "" then.
        left_out: number of rows that the options leave out.
        scales: of the ratings that are read.
    """

    source: Path | str
    image_root: Path | None = None
    rejected: list[RejectedRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unused_columns: tuple[str, ...] = ()
    kept: KeptRows | None = None
    source_table: SourceTable | None = None
    image_alone: bool = False
    left_out: int = 0
    scales: Ratings = NO_RATINGS
    _joined: int = 0
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in SCHEMA.names})
    _row_of: dict[str, int] = field(default_factory=dict)
    _unknown_splits: Counter[str] = field(default_factory=Counter)
    _same_group: list[tuple[str, str]] = field(default_factory=list)
    _n_divided: int = 0
    _of_raters: dict[int, list[Sequence[Value]]] = field(default_factory=dict)

    def __len__(self) -> int:
        """The number of pairs accepted so far."""
        return len(self._row_of)

    def add(
        self,
        where: str,
        pair_id: str,
        image: Any,
        caption: Any,
        emotions: Iterable[str] | None = None,
        annotations: list[dict[str, Any]] | None = None,
        *,
        group: Any = None,
        split: Any = None,
        ratings: Sequence[Value] | None = None,
        style: Any = None,
    ) -> bool:
        """Accept a pair or reject it; `where` names the row ("line 12", "pair 3KI0...").

        Args:
            group: what no split may divide, such as a video; empty for none.
            split: the corpus's own part, in one of the usual names (`SPLIT_NAMES`); empty for none.
            ratings: values of the struct `pairs.RATING`; None where none are read.
            style: of the caption; empty for none.

        Returns:
            Whether it was accepted.
        """
        named = None if emotions is None else sorted(set(emotions))
        image = None if is_absent(image) else image
        caption = "" if self.image_alone and is_absent(caption) else caption
        reason = _fault(pair_id, image, caption, named, image_alone=self.image_alone)
        if reason is None and pair_id in self._row_of:
            reason = f"pair id {pair_id!r} occurs twice"
        if reason is None:
            try:
                image = plain_image_name(image, self.image_root) if image else ""
            except EmocapError as error:
                reason = str(error)
        if reason is not None:
            self.reject(where, reason)
            return False
        columns = self._columns
        self._row_of[pair_id] = len(self._row_of)
        columns["pair_id"].append(pair_id)
        columns["image"].append(image)
        columns["caption"].append(caption.strip())
        columns["emotions"].append(named)
        columns["annotations"].append(annotations)
        columns["group"].append(None if group is None or is_absent(group) else plain_id(group))
        columns["split"].append(None if split is None else self._split(split))
        columns["ratings"].append(None if ratings is None else list(ratings))
        columns["style"].append(None if style is None or is_absent(style) else plain_id(style))
        return True

    def add_rating(
        self,
        where: str,
        pair_id: str,
        image: Any,
        caption: Any,
        emotions: Sequence[str] | None,
        annotator: str | None = None,
        *,
        group: Any = None,
        split: Any = None,
        ratings: Sequence[Value] | None = None,
        style: Any = None,
        **person: Any,
    ) -> bool:
        """Accept one annotator's emotions for a pair, which may have been added before with the same content.

        Args:
            emotions: None where the corpus has ratings alone.
            annotator: the corpus's name for the person.
            person: `explanations`, `age`, `gender`, `education` and `ethnicity`, where the corpus has them.

        Returns:
            Whether it was accepted.
        """
        annotation = dict.fromkeys(PERSON) | {"annotator": annotator, "emotions": list(emotions or ())} | person
        row = self._row_of.get(pair_id)
        if row is None:
            own = {"group": group, "split": split, "ratings": ratings, "style": style}
            return self.add(where, pair_id, image, caption, emotions, [annotation], **own)
        caption = "" if self.image_alone and is_absent(caption) else caption
        same_caption = isinstance(caption, str) and caption.strip() == self._columns["caption"][row]
        if not same_caption or not self._is_image_of(row, image):
            self.reject(
                where, f"pair id {pair_id!r} occurs twice, and its image or caption differs from the first row's"
            )
            return False
        self._join_group_and_split(row, group, split)
        if ratings is not None:
            self._of_raters.setdefault(row, [self._columns["ratings"][row] or []]).append(ratings)
        annotations = self._columns["annotations"][row]
        known = next((one for one in annotations if annotator is not None and one["annotator"] == annotator), None)
        if known is None:
            annotations.append(annotation)
        else:
            known["emotions"] = list(dict.fromkeys([*known["emotions"], *(emotions or ())]))
        if emotions is not None:
            self._columns["emotions"][row] = sorted({*(self._columns["emotions"][row] or ()), *emotions})
        self._joined += 1
        return True

    def _join_group_and_split(self, row: int, group: Any, split: Any) -> None:
        """Join a rating's group to its pair's, and keep the strictest of their parts; a missing value is none."""
        columns = self._columns
        if not is_absent(group):
            name = plain_id(group)
            if columns["group"][row] is None:
                columns["group"][row] = name
            elif name != columns["group"][row]:
                self._same_group.append((columns["group"][row], name))
        part = self._split(split)
        if part is not None and part != columns["split"][row]:
            known = columns["split"][row]
            columns["split"][row] = part if known is None else min(part, known, key=STRICTEST_FIRST.index)
            self._n_divided += known is not None

    def _is_image_of(self, row: int, image: Any) -> bool:
        try:
            name = plain_image_name(image, self.image_root) if isinstance(image, str) and not is_absent(image) else ""
        except EmocapError:
            return False
        return name == self._columns["image"][row]

    def _split(self, split: Any) -> str | None:
        if is_absent(split):
            return None
        part = SPLIT_NAMES.get(str(split).strip().lower())
        if part is None:
            self._unknown_splits[str(split)] += 1
        return part

    def reject(self, where: str, reason: str, line: str | None = None) -> None:
        """Record a row as rejected; `line` is its text where it has no columns."""
        self.rejected.append(RejectedRow(f"{self.source}: {where}", reason, line and line.rstrip("\r\n")))

    def build(self, *, open_vocabulary: bool = False) -> Pairs:
        """The pairs of all accepted rows; image names become those of the files that they mean.

        Raises:
            EmocapError: there are none.
        """
        if not len(self):
            first = (
                f"; the first of {len(self.rejected)} rejected rows: {self.rejected[0].reason}" if self.rejected else ""
            )
            raise EmocapError(f"{self.source}: contains no usable pair{first}")
        if self.image_root is not None:
            real = resolve_image_names(self._columns["image"], self.image_root)
            self._columns["image"] = [real.get(image, image) for image in self._columns["image"]]
        for row, ratings in joined_ratings(self._of_raters).items():
            self._columns["ratings"][row] = ratings
        if self._unknown_splits:
            name, count = self._unknown_splits.most_common(1)[0]
            self.notes.append(
                f"{sum(self._unknown_splits.values())} rows have an unknown split, such as {name!r} ({count})"
            )
        self.notes += [
            f"{count} captions are {caption!r}, which many tools write for a missing value"
            for caption, count in Counter(one for one in self._columns["caption"] if one in MISSING_CAPTIONS).items()
            if count > 1
        ]
        if self._same_group:
            self._columns["group"] = _joined_groups(self._columns["group"], self._same_group)
            self.notes.append(f"{len(self._same_group)} rows name another group than their pair's first; both are one")
        if self._n_divided:
            self.notes.append(f"{self._n_divided} rows name another part than their pair's first; the stricter is used")
        self.notes += [] if open_vocabulary else _case_notes(self._columns["emotions"])
        table = pa.table(self._columns, schema=SCHEMA)
        return Pairs(
            table,
            self.image_root,
            tuple(self.rejected),
            open_vocabulary,
            tuple(self.notes),
            self.columns,
            self.unused_columns,
            len(self) + self._joined + len(self.rejected) + self.left_out,
            self.scales,
            self.source_table,
        )


def _joined_groups(groups: list[str | None], same: Iterable[tuple[str, str]]) -> list[str | None]:
    """Groups by the first name, in alphabetical order, of all that are the same, also through others."""
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first.get(name, name) != name:
            name = first[name]
        return name

    for one, other in same:
        small, large = sorted((root(one), root(other)))
        first[large] = small
    return [None if group is None else root(group) for group in groups]


def _case_notes(emotions: Iterable[list[str] | None]) -> list[str]:
    """A note for every label that occurs in several spellings of upper and lower case."""
    spellings: dict[str, Counter[str]] = {}
    for label, count in Counter(label for named in emotions for label in named or ()).items():
        spellings.setdefault(label.casefold(), Counter())[label] = count
    return [
        f"labels {' and '.join(f'{label!r} ({count})' for label, count in several.most_common())} differ in case only; "
        "they are read as different emotions"
        for several in spellings.values()
        if len(several) > 1
    ]


def plain_id(value: Any) -> str:
    """An id as text; a whole number that a missing value beside it made a float is a whole number again.

    >>> plain_id(0), plain_id(7.0), plain_id(" a ")
    ('0', '7', 'a')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value).strip()


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


def _fault(
    pair_id: Any, image: Any, caption: Any, emotions: list[str] | None, *, image_alone: bool = False
) -> str | None:
    """What is wrong with a row, None for nothing."""
    plain = f"{pair_id} {image or ''} {caption}" if type(caption) is type(pair_id) is str else "\0"
    is_plain = plain.isascii() and plain.isprintable() and type(image) in (str, type(None))
    if is_plain and pair_id and 5 <= len(caption) <= MAX_CAPTION_CHARS and not caption.isspace():  # nearly all rows
        return None if all(map(is_text, emotions or ())) else "an emotion is not Unicode text"
    if not isinstance(caption, str):
        return f"caption is {type(caption).__name__}, expected text"
    if image_alone and not image:
        return "has neither an image nor a caption"
    if not caption.strip() and not image_alone:
        return "caption is empty"
    if len(caption) > MAX_CAPTION_CHARS:
        return f"caption has {len(caption):,} characters, at most {MAX_CAPTION_CHARS:,} are read"
    if not is_text(caption) or "\0" in caption:
        return "caption contains a NUL or a lone surrogate, expected Unicode text"
    if image is not None and not isinstance(image, str):
        return f"image is {type(image).__name__}, expected a file name"
    if image and (not is_text(image) or "\0" in image):
        return f"image {image!r} contains a NUL or a lone surrogate, expected a file name"
    if not is_text(pair_id) or not pair_id:
        return f"pair id {pair_id!r} is empty or not text"
    if not all(map(is_text, emotions or ())):
        return "an emotion is not Unicode text"
    return None
