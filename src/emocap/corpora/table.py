"""A plain table in CSV, TSV, JSONL, JSON or Parquet with `image`, `caption` and, if labelled, `emotions`."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from emocap.corpora.embedded_images import EmbeddedImages, is_embedded
from emocap.corpora.image_names import plain_image_name, resolve_image_names
from emocap.corpora.label_columns import Labels, find_binary_columns, labels_of_column, labels_of_columns
from emocap.corpora.labels import LabelFault, is_absent
from emocap.corpora.options import EMOTION_COLUMNS, ROLES, ReadOptions
from emocap.corpora.pairs import ADDED, SCHEMA, Pairs
from emocap.corpora.pairs_builder import PairsBuilder, plain_id
from emocap.corpora.predicted_labels import ROWS as PREDICTED_ROWS
from emocap.corpora.predicted_labels import are_predictions
from emocap.corpora.rating_columns import RatingFault, Value, ratings_of_rows
from emocap.corpora.row_files import Row, open_rows
from emocap.corpora.row_filter import kept_rows
from emocap.corpora.source_table import KeptRows, SourceTable
from emocap.corpora.table_columns import Columns, missing_column
from emocap.corpora.written_pairs import is_written_by_pairs, read_written_pairs
from emocap.errors import EmocapError


def read_table(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per row; labels may be any words and are only stripped.

    Columns are found by the names in `options.ROLES`, or named by the options. Labels are in one column, in any
    notation that `LabelReader` reads, or in one column of 0 and 1 for each emotion. Rows of one `pair_id`, or with an
    annotator each for the same image and caption, are the ratings of one pair. The column `image` may be omitted for
    captions alone; it may hold the bytes of images too, which are written to a folder once. Where there are images, the
    column `caption` may be omitted; all captions are "" then. Rows that `options.where` does not keep are left out.

    Raises:
        EmocapError: unknown file extension, damaged file, missing column, labels that may be one or several, or no
            usable row.
    """
    builder = PairsBuilder(path, images)
    options = options or ReadOptions()
    names, rows = open_rows(path, builder, options)
    if options.labels:
        rows = _noting_predictions(builder, names, rows, options)
    return pairs_of_rows(builder, names, rows, options, path.name.split(".")[0])


def _noting_predictions(
    builder: PairsBuilder, names: Sequence[str], rows: Iterator[Row], options: ReadOptions
) -> Iterator[Row]:
    """The same rows; predictions in place of labels are noted, as those of a Parquet file are by its metadata."""
    column = options.columns.get("emotions") or next((name for name in ROLES["emotions"] if name in names), None)
    first = list(islice(rows, PREDICTED_ROWS))
    if isinstance(column, str) and are_predictions([row for _, _, row in first], column):
        builder.notes.append(f"column {column!r} seems to contain predictions, as emocap writes them, not annotations")
    return chain(first, rows)


_NO_COLUMN = object()  # no row has this key


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
    style: Any
    others: list[Any]
    ratings: dict[str, Any]


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
    rows = kept_rows(builder, names, rows, options.where)
    if options.labels and not options.columns and not options.where and set(names) >= set(SCHEMA.names) - set(ADDED):
        rows = list(rows)
        if is_written_by_pairs(names, rows):
            return read_written_pairs(builder, names, _with_stored_images(builder, rows))
    columns = Columns.find(builder.source, names, options, needs_image=builder.image_root is not None)
    builder.columns, builder.unused_columns = columns.by_role(), tuple(columns.unused)
    if columns.image is None and "image_id" in columns.unused:
        builder.notes.append(
            "column image_id is not read: it is no file name; give COCO's file with its list of images, or, if the ids "
            "are names, --columns image=image_id"
        )
    cells = list(_cells(rows, columns, options))
    embedded = _embedded_images(builder) if any(is_embedded(row.image) for row in cells) else None
    has_images = columns.image is not None and (builder.image_root is not None or options.has_images)
    if columns.caption is None and not has_images:
        raise missing_column(builder.source, "caption", names)
    if has_images and all(is_absent(row.caption) for row in cells):
        builder.image_alone = True
        builder.notes.append("has no captions: images alone")
    rating_rows: Sequence[list[Value] | RatingFault | None] = [None] * len(cells)
    if columns.ratings and options.labels:
        builder.scales = options.ratings
        rating_rows = ratings_of_rows(builder.source, [row.ratings for row in cells], columns.ratings)
    labels: Sequence[list[str] | LabelFault | None] | None = _labels(builder, columns, cells, options)
    by_annotator = columns.annotator is not None
    has_answers = labels is not None or bool(columns.ratings)
    is_merged = has_answers and (by_annotator or _has_repeated_ids(cells))
    spellings = _file_names(cells, builder.image_root) if is_merged else {}
    ids = _ids(builder, cells, stem, spellings, merged=has_answers, by_annotator=by_annotator)
    rated = has_answers and (by_annotator or len(set(ids)) < len(ids))
    answers = zip(ids, labels or [None] * len(cells), rating_rows, strict=True)
    accepted = _add_rows(builder, cells, answers, embedded, spellings if rated else None)
    if builder.kept is not None:
        builder.source_table = _source_table(builder, builder.kept, cells, accepted, columns.pair_id)
    if rated and 0 < len(builder) < len(cells) - len(builder.rejected):
        builder.notes.append(f"{len(cells) - len(builder.rejected)} rows are the ratings of {len(builder)} pairs")
    return builder.build()


def _add_rows(
    builder: PairsBuilder,
    cells: Sequence[_Cells],
    answers: Iterable[tuple[str, list[str] | LabelFault | None, list[Value] | RatingFault | None]],
    embedded: EmbeddedImages | None,
    spellings: Mapping[str, str] | None,
) -> list[int]:
    """Add every row to the builder, and return the numbers of those that became a pair of their own.

    Args:
        answers: of each row, the id of its pair, its emotions and its ratings.
        embedded: where images of cells are written, if there are some.
        spellings: cells of images to the one name of all their spellings; None where no rows are joined.
    """
    accepted: list[int] = []
    for number, (row, (pair_id, named, ratings)) in enumerate(zip(cells, answers, strict=True)):
        if isinstance(named, LabelFault) or isinstance(ratings, RatingFault):
            builder.reject(row.where, str(named if isinstance(named, LabelFault) else ratings))
            continue
        try:
            image = embedded.store(row.image) if embedded is not None and is_embedded(row.image) else row.image
            if embedded is not None and not is_embedded(row.image) and not is_absent(row.image) and row.image:
                raise EmocapError(f"image {image!r} is named in the cell but not contained in it")
        except EmocapError as error:
            builder.reject(row.where, str(error))
            continue
        own = {"group": row.group, "split": row.split, "ratings": ratings, "style": row.style}
        if spellings is not None:
            image = spellings.get(image, image) if isinstance(image, str) else image
            builder.add_rating(row.where, pair_id, image, row.caption, named, row.annotator, **own)
        elif builder.add(row.where, pair_id, image, row.caption, named, **own):
            accepted.append(number)
    return accepted


def _source_table(
    builder: PairsBuilder, kept: KeptRows, cells: Sequence[_Cells], accepted: Sequence[int], id_column: str | None
) -> SourceTable:
    """The columns of all rows, with the places of all and the rows that became pairs."""
    places = pa.array((f"{builder.source}: {row.where}" for row in cells), pa.string())
    return SourceTable(kept.columns(), np.array(accepted, dtype=np.int64), places, id_column)


def _cells(rows: Iterable[Row], columns: Columns, options: ReadOptions) -> Iterator[_Cells]:
    single = columns.emotions if options.labels and isinstance(columns.emotions, str) else None
    others = columns.emotions if isinstance(columns.emotions, list) else columns.unused
    if not options.labels or single is not None:
        others = []
    roles = (
        columns.pair_id,
        columns.annotator,
        columns.image,
        columns.caption,
        single,
        columns.group,
        columns.split,
        columns.style,
    )
    rated = [name for rating in columns.ratings for name in rating.names]
    names: list[Any] = [_NO_COLUMN if name is None else name for name in roles]
    for where, number, row in rows:
        pair_id, annotator, image, caption, emotions, group, split, style = map(row.get, names)
        yield _Cells(
            where,
            number,
            None if pair_id is None or is_absent(pair_id) else plain_id(pair_id),
            None if annotator is None or is_absent(annotator) else plain_id(annotator),
            image if type(image) is str else _image_cell(image),
            caption,
            emotions,
            group,
            split,
            style,
            [row.get(name) for name in others] if others else [],
            {name: row.get(name) for name in rated},
        )


def _image_cell(cell: Any) -> Any:
    """The name of an image that is not contained in its cell: also a number, a path, or a list of one of them."""
    if isinstance(cell, list | tuple) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, dict) and cell.get("bytes") is None and cell.get("path"):
        cell = cell["path"]
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    return os.fspath(cell) if isinstance(cell, os.PathLike) else cell


def _labels(builder: PairsBuilder, columns: Columns, cells: list[_Cells], options: ReadOptions) -> Labels | None:
    """The emotions of every row, or what is wrong with them; None where the table has no labels."""
    if not options.labels:
        return None
    if isinstance(columns.emotions, str):
        return labels_of_column([row.emotions for row in cells], columns.emotions, builder, options)
    if isinstance(columns.emotions, list):
        return labels_of_columns([row.others for row in cells], columns.emotions, builder, options)
    unused = {name: [row.others[i] for row in cells] for i, name in enumerate(columns.unused)}
    names = find_binary_columns(unused, builder.source)
    if not names:
        scores = [name for name in columns.unused if name.lower() in EMOTION_COLUMNS]
        if len(scores) > 1:
            option = f"--columns emotions={'+'.join(scores)}"
            builder.notes.append(f"columns {', '.join(scores)} may be scores of emotions; to read them: {option}")
        return None
    builder.notes.append(f"emotions are the columns {', '.join(names)}, which contain 0 and 1 only")
    builder.columns["emotions"] = tuple(names)
    builder.unused_columns = tuple(name for name in columns.unused if name not in names)
    return labels_of_columns(list(zip(*(unused[name] for name in names), strict=True)), names, builder, options)


def _file_names(cells: Iterable[_Cells], root: Path | None) -> dict[str, str]:
    """Cells of images to the one name of all their spellings; what names no image in the folder is left out."""
    plain = {}
    for cell in {row.image for row in cells if isinstance(row.image, str)}:
        with contextlib.suppress(EmocapError):
            plain[cell] = "" if is_absent(cell) else plain_image_name(cell, root)
    real = resolve_image_names(plain.values(), root) if root is not None else {}
    return {cell: real.get(name, name) for cell, name in plain.items()}


def _with_stored_images(builder: PairsBuilder, rows: list[Row]) -> list[Row]:
    """Rows whose cells of images are names: of the files that their bytes were written to, where they have some."""
    if not any(is_embedded(_image_cell(row.get("image"))) for _, _, row in rows):
        return rows
    embedded = _embedded_images(builder)
    stored = []
    for where, number, row in rows:
        image = _image_cell(row.get("image"))
        try:
            name = embedded.store(image) if is_embedded(image) else image
        except EmocapError as error:
            builder.reject(where, str(error))
            continue
        stored.append((where, number, row | {"image": name}))
    return stored


def _embedded_images(builder: PairsBuilder) -> EmbeddedImages:
    """Where the images of cells are written, which becomes the builder's folder of images.

    Raises:
        EmocapError: a folder of images is given too.
    """
    if builder.image_root is not None:
        raise EmocapError(f"{builder.source}: contains the images themselves; leave the folder of images out")
    embedded = EmbeddedImages()
    builder.image_root = embedded.folder
    return embedded


def _has_repeated_ids(cells: Sequence[_Cells]) -> bool:
    ids = [row.pair_id for row in cells if row.pair_id is not None]
    return len(set(ids)) < len(ids)


def _ids(
    builder: PairsBuilder,
    cells: list[_Cells],
    stem: str,
    spellings: Mapping[str, str],
    *,
    merged: bool,
    by_annotator: bool,
) -> list[str]:
    """The id of the pair that each row belongs to.

    Args:
        spellings: cells of images to the one name of all their spellings.
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
            content = (
                spellings.get(row.image, row.image) if isinstance(row.image, str) else "",
                str(row.caption).strip(),
            )
            ids.append(first.setdefault(content, own) if merged and by_annotator else own)
        elif not merged and counts[row.pair_id] > 1:
            repeated += 1
            ids.append(f"{row.pair_id}:{row.number}")
        else:
            ids.append(row.pair_id)
    if repeated:
        builder.notes.append(f"{repeated} rows share their pair id with another; the row's number is added to it")
    return ids
