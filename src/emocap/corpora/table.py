"""A plain table in CSV, TSV, JSONL, JSON or Parquet with `image`, `caption` and, if labelled, `emotions`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emocap.corpora.embedded_images import EmbeddedImages, is_embedded
from emocap.corpora.labels import LabelFault, LabelReader, as_binary, detect_separator, is_absent
from emocap.corpora.options import ROLES, ReadOptions, column_of, is_unnamed, propose_columns
from emocap.corpora.pairs import SCHEMA, Pairs, PairsBuilder, plain_id
from emocap.corpora.row_files import Row, open_rows
from emocap.corpora.written_pairs import is_written_by_pairs, read_written_pairs
from emocap.errors import EmocapError

MIN_BINARY_COLUMNS = 2
BINARY = frozenset({0.0, 1.0})


def read_table(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per row; labels may be any words and are only stripped.

    Columns are found by the names in `options.ROLES`, or named by the options. Labels are in one column, in any
    notation that `LabelReader` reads, or in one column of 0 and 1 for each emotion. Rows of one `pair_id`, or with an
    annotator each for the same image and caption, are the ratings of one pair. The column `image` may be omitted for
    captions alone; it may hold the bytes of images too, which are written to a folder once.

    Raises:
        EmocapError: unknown file extension, damaged file, missing column, labels that may be one or several, or no
            usable row.
    """
    builder = PairsBuilder(path, images)
    names, rows = open_rows(path, builder)
    return pairs_of_rows(builder, names, rows, options or ReadOptions(), path.name.split(".")[0])


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns by role; None where it has none.

    Attributes:
        emotions: one column of label cells, or one column for each emotion.
        unused: all other named columns.
    """

    caption: str
    image: str | None
    pair_id: str | None
    emotions: str | list[str] | None
    group: str | None
    split: str | None
    annotator: str | None
    unused: list[str]

    def by_role(self) -> dict[str, tuple[str, ...]]:
        """Role to the names of its columns, without roles that the table has not."""
        names = {role: getattr(self, role) for role in ROLES}
        return {role: (name,) if isinstance(name, str) else tuple(name) for role, name in names.items() if name}

    @staticmethod
    def find(source: object, names: Sequence[str], options: ReadOptions, *, needs_image: bool) -> "Columns":
        """The columns of a table with these names.

        Raises:
            EmocapError: no caption, no image although images are given, or a column that `options` name is absent.
        """
        wanted = options.columns.get("emotions")
        several = None if wanted is None or isinstance(wanted, str) else list(wanted)
        try:
            roles = {
                role: column_of(role, names, options)
                for role in ("caption", "image", "pair_id", "emotions", "group", "split", "annotator")
                if role != "emotions" or several is None
            }
        except EmocapError as error:
            raise EmocapError(f"{source}: {error}") from None
        needed = ["caption", "image"] if needs_image else ["caption"]
        for role in [role for role in needed if roles[role] is None]:
            raise EmocapError(
                f"{source}: has no column {role!r}, found {', '.join(names)}; name its columns, such as "
                f"{propose_columns(names)}, or rename them"
            )
        if (missing := next((name for name in several or () if name not in names), None)) is not None:
            raise EmocapError(f"{source}: has no column {missing!r} of emotions, found {', '.join(names)}")
        emotions = roles.pop("emotions", None) if several is None else several
        used = {*roles.values(), *(emotions if isinstance(emotions, list) else [emotions])}
        unused = [name for name in names if name not in used]
        return Columns(emotions=emotions, unused=unused, **roles)  # type: ignore[arg-type]


class _Cells(NamedTuple):
    """What is kept of one row until all rows are read."""

    where: str
    number: int
    pair_id: str | None
    annotator: str | None
    image: Any
    caption: Any
    emotions: Any
    group: Any
    split: Any
    others: list[Any]


def pairs_of_rows(
    builder: PairsBuilder, names: Sequence[str], rows: Iterable[Row], options: ReadOptions, stem: str
) -> Pairs:
    """The pairs of a table's rows, whatever it was read from.

    Args:
        builder: with the source's name, its image folder and the rows rejected so far.
        names: all column names.
        rows: where the row is, its number, and column to value.
        options: names of columns and notation of labels.
        stem: what a pair without an id is named by, with the number of its row.

    Raises:
        EmocapError: as `read_table`.
    """
    if not names:
        return builder.build()
    if options.labels and not options.columns and set(names) >= set(SCHEMA.names):
        rows = list(rows)
        if is_written_by_pairs(names, rows):
            return read_written_pairs(builder, names, rows)
    columns = Columns.find(builder.source, names, options, needs_image=builder.image_root is not None)
    builder.columns, builder.unused_columns = columns.by_role(), tuple(columns.unused)
    cells = list(_cells(rows, columns, options))
    embedded = EmbeddedImages()
    if any(is_embedded(row.image) for row in cells):
        if builder.image_root is not None:
            raise EmocapError(f"{builder.source}: contains the images themselves; leave the folder of images out")
        builder.image_root = embedded.folder
    labels: Sequence[list[str] | LabelFault | None] | None = _labels(builder, columns, cells, options)
    ids = _ids(builder, cells, stem, merged=labels is not None, by_annotator=columns.annotator is not None)
    rated = labels is not None and (columns.annotator is not None or len(set(ids)) < len(ids))
    for row, pair_id, named in zip(cells, ids, labels or [None] * len(cells), strict=True):
        if isinstance(named, LabelFault):
            builder.reject(row.where, str(named))
            continue
        try:
            image = embedded.store(row.image) if is_embedded(row.image) else row.image
        except EmocapError as error:
            builder.reject(row.where, str(error))
            continue
        own = {"group": row.group, "split": row.split}
        if rated:
            builder.add_rating(row.where, pair_id, image, row.caption, named or [], row.annotator, **own)
        else:
            builder.add(row.where, pair_id, image, row.caption, named, **own)
    if rated and len(builder):
        builder.notes.append(f"{len(cells) - len(builder.rejected)} rows are the ratings of {len(builder)} pairs")
    return builder.build()


def _cells(rows: Iterable[Row], columns: Columns, options: ReadOptions) -> Iterator[_Cells]:
    single = columns.emotions if options.labels and isinstance(columns.emotions, str) else None
    others = columns.emotions if isinstance(columns.emotions, list) else columns.unused
    if not options.labels or single is not None:
        others = []
    roles = [columns.pair_id, columns.annotator, columns.image, columns.caption, single, columns.group, columns.split]
    for where, number, row in rows:
        pair_id, annotator, *cells = [None if name is None else row.get(name) for name in roles]
        pair_id = None if is_absent(pair_id) else plain_id(pair_id)
        annotator = None if is_absent(annotator) else plain_id(annotator)
        yield _Cells._make([where, number, pair_id, annotator, *cells, [row.get(name) for name in others]])


def _labels(
    builder: PairsBuilder, columns: Columns, cells: list[_Cells], options: ReadOptions
) -> list[list[str] | LabelFault] | None:
    """The emotions of every row, or what is wrong with them; None where the table has no labels."""
    if not options.labels:
        return None
    if isinstance(columns.emotions, str):
        separator = options.label_separator or detect_separator((row.emotions for row in cells), str(builder.source))
        reader = LabelReader(separator, options.label_threshold)
        return [_read(reader, row.emotions) for row in cells]
    if isinstance(columns.emotions, list):
        numbers = list(range(len(columns.emotions)))
        names = columns.emotions
    else:
        numbers = [
            i
            for i, name in enumerate(columns.unused)
            if not is_unnamed(name) and _is_binary_column(row.others[i] for row in cells)
        ]
        names = [columns.unused[i] for i in numbers]
        if len(names) < MIN_BINARY_COLUMNS:
            return None
        builder.notes.append(f"emotions are the columns {', '.join(names)}, which contain 0 and 1 only")
        builder.columns["emotions"] = tuple(names)
        builder.unused_columns = tuple(name for name in columns.unused if name not in names)
    threshold = options.label_threshold
    return [_named(names, [row.others[i] for i in numbers], threshold) for row in cells]


def _read(reader: LabelReader, cell: Any) -> list[str] | LabelFault:
    try:
        return reader.read(cell)
    except LabelFault as fault:
        return fault


def _is_binary_column(values: Iterator[Any]) -> bool:
    kinds = {value if isinstance(value, str | int | float | bool | None) else "?" for value in values}
    numbers = {as_binary(value) for value in kinds if not is_absent(value)}
    return 1.0 in numbers and numbers <= BINARY


def _named(names: Sequence[str], values: Sequence[Any], threshold: float) -> list[str] | LabelFault:
    scores = [0.0 if is_absent(value) else as_binary(value) for value in values]
    for name, value, score in zip(names, values, scores, strict=True):
        if score is None:
            return LabelFault(f"column {name!r} contains {str(value)[:60]!r}, expected a number for the emotion")
    return [name for name, score in zip(names, scores, strict=True) if score is not None and score >= threshold]


def _ids(builder: PairsBuilder, cells: list[_Cells], stem: str, *, merged: bool, by_annotator: bool) -> list[str]:
    """The id of the pair that each row belongs to.

    Args:
        merged: rows of the same id are one pair; otherwise a repeated id gets the row's number.
        by_annotator: rows without an id belong to the first row of the same image and caption.
    """
    first: dict[tuple[str, str], str] = {}
    counts = Counter(row.pair_id for row in cells if row.pair_id is not None)
    repeated = 0
    ids = []
    for row in cells:
        if row.pair_id is None:
            own = f"{stem}:{row.number}"
            content = (str(row.image), str(row.caption).strip())
            ids.append(first.setdefault(content, own) if merged and by_annotator else own)
        elif not merged and counts[row.pair_id] > 1:
            repeated += 1
            ids.append(f"{row.pair_id}:{row.number}")
        else:
            ids.append(row.pair_id)
    if repeated:
        builder.notes.append(f"{repeated} rows share their pair id with another; the row's number is added to it")
    return ids
