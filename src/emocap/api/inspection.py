"""What was understood of a corpus: its format, columns, images, captions, emotions, annotators, split and faults."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emocap.corpora.captions import Captions, numbered_captions, summarise_captions
from emocap.corpora.duplicates import same_content
from emocap.corpora.image_counts import Images, summarise_images
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs, RejectedRow
from emocap.corpora.read import FORMATS, corpus_files, guess_format, read_corpus
from emocap.corpora.summary import (
    Annotators,
    Emotions,
    RatingSummary,
    annotators_of,
    emotions_of,
    parts_of,
    ratings_of,
    sample_rows,
    value_counts,
)
from emocap.errors import EmocapError
from emocap.files import is_system_file, sha256_of

EXAMPLES = 5
MAX_CAPTION_CHARS = 100
MAX_FILES = 10
_EXTENSIONS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.]*")


@dataclass(frozen=True)
class CorpusFile:
    """A file that was read, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class RejectedRows:
    """Rejected rows whose reasons differ in names and numbers only: how many, and the first of them."""

    count: int
    where: str
    reason: str


@dataclass(frozen=True)
class Groups:
    """Declared groups, which no split divides: their number, the pairs of the largest, and pairs in none."""

    count: int
    largest: int
    pairs_without: int


@dataclass(frozen=True)
class Split:
    """The corpus's own split.

    Attributes:
        parts: pairs of each part; "none" for pairs in no part.
        shared_image: pairs whose image, or a copy of it, is in another part too.
        shared_caption: pairs whose caption is in another part too.
        shared_group: pairs whose declared group is in another part too.
        shared: pairs that share any of these with another part.
    """

    parts: dict[str, int]
    shared_image: int
    shared_caption: int
    shared_group: int
    shared: int


@dataclass(frozen=True)
class Example:
    """One pair; a long caption is cut."""

    pair_id: str
    image: str
    caption: str
    emotions: list[str] | None


@dataclass(frozen=True)
class Inspection:
    """What was understood of a corpus.

    Attributes:
        path: its file.
        files: all files that were read: that one, or those of the folder, and those that are read beside it.
        format: a key of `emocap.corpora.read.FORMATS`.
        description: what that format is.
        guessed: whether the format was guessed from the file's name and first bytes.
        rows: rows of the file; several may be one pair.
        pairs: pairs that were read.
        rejected: rejected rows by kind of reason, the most common first.
        columns: role to the columns that were read for it; empty where the format has fixed fields.
        unused_columns: the other columns.
        images: what its images are, and where.
        captions: their length, repetition and languages.
        emotions: None if no pair is labelled.
        ratings: name to its values; empty if none are read.
        styles: style of captions to the number of pairs that have it; empty if there are none.
        annotators: None if the corpus does not keep them apart.
        groups: None if it declares none.
        split: None if it has none.
        examples: a random sample of pairs, always the same.
        notes: what else to know of how the corpus was read.
    """

    path: str
    files: list[CorpusFile]
    format: str
    description: str
    guessed: bool
    rows: int
    pairs: int
    rejected: list[RejectedRows]
    columns: dict[str, list[str]]
    unused_columns: list[str]
    images: Images
    captions: Captions
    emotions: Emotions | None
    ratings: dict[str, RatingSummary]
    styles: dict[str, int]
    annotators: Annotators | None
    groups: Groups | None
    split: Split | None
    examples: list[Example]
    notes: list[str]

    @property
    def n_rejected(self) -> int:
        """The number of rejected rows."""
        return sum(rejected.count for rejected in self.rejected)

    def to_json(self) -> dict[str, Any]:
        """All of it as dictionaries, lists, texts and numbers, for `json.dumps`."""
        values = asdict(self)
        for part in (self.emotions, self.annotators):
            if part is not None:
                values[type(part).__name__.lower()]["per_pair"] = part.per_pair._asdict()
        return values


def inspect_corpus(
    path: Path, *, format_: str | None = None, images: Path | None = None, options: ReadOptions | None = None
) -> Inspection:
    """Read a corpus and count what it contains.

    Args:
        path: its file; for a corpus whose parts are files of their own, also their folder.
        format_: a key of `emocap.corpora.read.FORMATS`; None guesses it.
        images: folder of its images; None counts nothing on the disk.
        options: names of its columns, and the notation of its labels.

    Raises:
        EmocapError: it cannot be read as pairs.
    """
    path = Path(path)
    found = format_ or _guess(path, options)
    pairs = read_corpus(found, path, images, options)
    captions = numbered_captions(pairs)
    same = same_content(pairs)
    return Inspection(
        path=str(path),
        files=[CorpusFile(str(file), sha256_of(file)) for file in corpus_files(found, path) if file.is_file()],
        format=found,
        description=FORMATS[found].description,
        guessed=format_ is None,
        rows=pairs.n_rows,
        pairs=len(pairs),
        rejected=_by_reason(pairs.rejected),
        columns={role: list(names) for role, names in pairs.columns.items()},
        unused_columns=list(pairs.unused_columns),
        images=summarise_images(pairs, path, same),
        captions=summarise_captions(pairs, captions),
        emotions=emotions_of(pairs),
        ratings=ratings_of(pairs),
        styles=value_counts(pairs.table["style"].drop_null()),
        annotators=annotators_of(pairs),
        groups=_groups(pairs),
        split=_split(pairs, same, captions),
        examples=_examples(pairs),
        notes=list(pairs.notes),
    )


def _guess(path: Path, options: ReadOptions | None) -> str:
    try:
        return guess_format(path, options)
    except EmocapError:
        if not path.is_dir():
            raise
    inside = (file.relative_to(path) for pattern in ("*", "*/*") for file in path.glob(pattern))
    files = sorted(
        str(file)
        for file in inside
        if file.name.lower().removesuffix(".gz").endswith(_EXTENSIONS) and not is_system_file(file)
    )
    if not files:
        raise EmocapError(f"{path}: is a folder, and contains no file that may be a corpus; give the corpus's own file")
    more = f" and {len(files) - MAX_FILES} more" if len(files) > MAX_FILES else ""
    if {"dataset_info.json", "state.json"} <= set(files):
        raise EmocapError(
            f"{path}: is a dataset that Hugging Face datasets saved; read it in Python with Pairs.from_dataset, or "
            "write it as Parquet"
        )
    raise EmocapError(f"{path}: is a folder; give one of its files: {', '.join(files[:MAX_FILES])}{more}")


def _by_reason(rejected: Sequence[RejectedRow]) -> list[RejectedRows]:
    kinds: dict[str, list[RejectedRow]] = {}
    for row in rejected:
        kinds.setdefault(_VALUE.sub("", row.reason), []).append(row)
    counted = [RejectedRows(len(rows), rows[0].where, rows[0].reason) for rows in kinds.values()]
    return sorted(counted, key=lambda rows: -rows.count)


def _groups(pairs: Pairs) -> Groups | None:
    column = pairs.table["group"]
    if column.null_count == len(column):
        return None
    counts = pc.value_counts(column.drop_null()).field("counts").to_numpy()
    return Groups(len(counts), int(counts.max()), column.null_count)


def _split(pairs: Pairs, same: Mapping[str, str], captions: pa.DictionaryArray) -> Split | None:
    parts = parts_of(pairs)
    if not parts:
        return None
    part = _numbered(pairs.table["split"])
    contents = (
        _numbered(pairs.table["image"], {**same, "": None}),
        pc.fill_null(captions.indices, -1).to_numpy().astype(np.int64),
        _numbered(pairs.table["group"]),
    )
    image, caption, group = (_in_several_parts(number, part) for number in contents)
    return Split(parts, int(image.sum()), int(caption.sum()), int(group.sum()), int((image | caption | group).sum()))


def _numbered(column: pa.ChunkedArray, same: Mapping[str, str | None] | None = None) -> np.ndarray:
    """(N,) equal numbers for equal texts; -1 for null.

    Args:
        same: text to another that it counts as, or to None for null.
    """
    encoded = column.combine_chunks().dictionary_encode()
    number = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    if not same:
        return number
    names = encoded.dictionary.to_pylist()
    number_of: dict[str | None, int] = {name: i for i, name in enumerate(names)} | {None: -1}
    return np.array([number_of[same.get(name, name)] for name in names] + [-1])[number]


def _in_several_parts(number: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(N,) bool: whether rows of another part have the same number; never for -1, in either array."""
    counts = (number >= 0) & (part >= 0)
    n_parts = part.max() + 1
    seen = np.unique(number[counts] * n_parts + part[counts]) // n_parts
    several = np.bincount(seen, minlength=number.max() + 2) > 1
    return counts & several[number]


def _examples(pairs: Pairs) -> list[Example]:
    rows = pairs.select(sample_rows(len(pairs), EXAMPLES)).table.to_pylist()
    return [Example(row["pair_id"], row["image"], _cut(row["caption"]), row["emotions"]) for row in rows]


def _cut(caption: str) -> str:
    return caption if len(caption) <= MAX_CAPTION_CHARS else f"{caption[: MAX_CAPTION_CHARS - 3]}..."
