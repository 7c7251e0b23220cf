"""Pairs from and to the datasets of Hugging Face `datasets`: in memory or streamed, with one or several parts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from emocap.corpora.class_labels import class_names, with_class_names
from emocap.corpora.embedded_images import EmbeddedImages
from emocap.corpora.interop.columns import (
    ids_of_parts,
    library,
    named_columns,
    new_builder,
    pairs_of_columns,
    plain,
    require_exact_ids,
    union_of_rows,
)
from emocap.corpora.labels import is_absent
from emocap.corpora.options import ReadOptions, may_have_role
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import SPLIT_NAMES, PairsBuilder
from emocap.corpora.row_files import is_readable
from emocap.errors import EmocapError
from emocap.progress import logger

SOURCE = "dataset"
BATCH_ROWS = 1000


def from_dataset(dataset: Any, images: str | Path | None = None, **options: Any) -> Pairs:
    """One pair per row of a `Dataset` or `IterableDataset`; the keys of a `DatasetDict` become the pairs' splits.

    Where a column `split` names a part, that counts instead of the key, since many datasets have one key for all rows.
    `ClassLabel` and lists of it are read as the names of their classes. Images are neither decoded nor encoded again:
    the bytes of an `Image` column, or the files that it names, are copied into a folder once (see `EmbeddedImages`);
    with `images`, its paths are names of images in that folder. A single `Image` column is the image, whatever its
    name. Formats and transforms that were set on the dataset are ignored.

    Args:
        dataset: with columns as for `from_pandas`.
        images: folder of the images, where the column `image` contains names or paths.
        options: those of `ReadOptions`.

    Raises:
        EmocapError: not a dataset, or as `read_table`.
    """
    datasets = library("datasets")
    parts: Mapping[str, Any] = dataset if isinstance(dataset, dict) else {"": dataset}
    for part in parts.values():
        if not isinstance(part, datasets.Dataset | datasets.IterableDataset):
            raise EmocapError(f"{SOURCE}: is {type(part).__name__}, expected a Dataset, IterableDataset or DatasetDict")
    builder = new_builder(SOURCE, images)
    read_options = _with_image_column(datasets, builder, parts, ReadOptions(**options))
    image = str(read_options.columns.get("image", "image"))
    embedded = EmbeddedImages()
    places: list[tuple[str, int]] = []
    part_names: list[str] = []
    rows: list[dict[str, Any]] = []
    for name, part in parts.items():
        for number, row in enumerate(_rows(datasets, part, image, read_options), 1):
            where = f"{name} row {number}".strip()
            try:
                cell = _image_cell(datasets, row.get(image), has_folder=images is not None)
                if isinstance(cell, dict):
                    builder.image_root = embedded.folder
                    row[image] = embedded.store(cell)
                elif image in row:
                    row[image] = cell
            except EmocapError as error:
                builder.reject(where, str(error))
                continue
            places.append((where, len(places) + len(builder.rejected) + 1))
            part_names.append(name)
            rows.append(row)
    columns = named_columns(builder, union_of_rows(rows).items())
    require_exact_ids(SOURCE, columns, _dtypes(datasets, parts), read_options)
    if isinstance(dataset, dict):
        columns = ids_of_parts(builder, columns, part_names, read_options)
        if "split" not in read_options.columns:
            columns["split"] = _splits(builder, columns.get("split"), part_names)
    return pairs_of_columns(builder, columns, read_options, places)


def _with_image_column(
    datasets: Any, builder: PairsBuilder, parts: Mapping[str, Any], options: ReadOptions
) -> ReadOptions:
    """Options that take the only `Image` column as the image, if no column has this role by its name."""
    features = {name: feature for part in parts.values() for name, feature in (part.features or {}).items()}
    found = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if "image" in options.columns or "image" in features or len(found) != 1:
        return options
    builder.notes.append(f"the image is the column {found[0]!r}, the only one of images")
    return replace(options, columns={**options.columns, "image": found[0]})


def _rows(datasets: Any, part: Any, image: str, options: ReadOptions) -> Iterator[dict[str, Any]]:
    """The rows of one part with the names of classes; images as {bytes, path}, other media left out."""
    features = part.features or {}
    media = (datasets.Image, datasets.Audio, datasets.Video)
    unused = [name for name, feature in features.items() if isinstance(feature, media) and name != image]
    names = class_names(part.features.arrow_schema) if features else {}
    if isinstance(part, datasets.Dataset):
        for table in part.with_format("arrow", columns=part.format["columns"]).iter(BATCH_ROWS):
            wanted = [field for field in table.schema if field.name not in unused]
            kept = [one.name for one in wanted if is_readable(one.type) or may_have_role(one.name, options)]
            for row in table.select(kept).to_pylist():
                yield with_class_names(row, names)
        return
    if isinstance(features.get(image), datasets.Image):
        part = part.cast_column(image, datasets.Image(decode=False))
    for row in part.remove_columns(unused).with_format(None) if unused else part.with_format(None):
        cells = {name: value if name == image else plain(value) for name, value in row.items()}
        yield with_class_names(cells, names)


def _image_cell(datasets: Any, cell: Any, *, has_folder: bool) -> Any:
    """A cell's image by name, or as {bytes, path} if no folder is given; the file of an absolute path is read then.

    Raises:
        EmocapError: bytes although a folder is given, or a path without a file.
    """
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        cell = {"bytes": cell, "path": None}
    if not isinstance(cell, Mapping):
        cell = datasets.Image().encode_example(cell)  # decoded by a generator: a Pillow image or an array
    path = cell.get("path")
    if cell.get("bytes") is not None:
        if has_folder:
            raise EmocapError("contains the image itself; leave the folder of images out")
        return dict(cell)
    if not path or has_folder:
        return path
    if not Path(path).is_file():
        raise EmocapError(f"image {path!r} is named but not contained in the dataset; give the folder of images")
    return {"bytes": Path(path).read_bytes(), "path": path}


def _splits(builder: PairsBuilder, own: Sequence[Any] | None, part_names: Sequence[str]) -> list[str]:
    """The split of each row: its own cell where that names a part, else the key of its part."""
    if own is None:
        return list(part_names)
    splits, differ = [], Counter[tuple[str, str]]()
    for cell, key in zip(own, part_names, strict=True):
        name = "" if is_absent(cell) else str(cell)
        part = SPLIT_NAMES.get(name.strip().lower())
        splits.append(key if part is None else name)
        if name and (part is None or part != SPLIT_NAMES.get(key.strip().lower())):
            differ[name, key] += 1
    if differ:
        (name, key), _ = differ.most_common(1)[0]
        builder.notes.append(
            f"the column 'split' and the key of the dataset differ in {sum(differ.values())} rows, such as {name!r} in "
            f"{key!r}; the column counts where it names train, validation or test"
        )
    return splits


def _dtypes(datasets: Any, parts: Mapping[str, Any]) -> dict[str, str]:
    features = [item for part in parts.values() for item in (part.features or {}).items()]
    return {name: feature.dtype for name, feature in features if isinstance(feature, datasets.Value)}


def to_dataset(pairs: Pairs, *, with_images: bool = False) -> Any:
    """A `datasets.Dataset` with the columns of `SCHEMA`, which `from_dataset` reads back without loss.

    Emotions are a list of strings and annotations a list of objects; missing lists stay None, and empty lists empty.

    Args:
        with_images: give `image` the feature `Image`, so that it is decoded on access, and `save_to_disk` and
            `push_to_hub` copy the files; None where a pair has no image or its file is missing, which is logged.
            Otherwise it is the path below the image folder.

    Raises:
        EmocapError: datasets is not installed, or the pairs have no image folder.
    """
    datasets = library("datasets")
    if not with_images:
        return datasets.Dataset(_without_metadata(pairs.table))
    if pairs.image_root is None:
        raise EmocapError("pairs: have no folder of images; read them with images, or leave with_images out")
    root = pairs.image_root.absolute()
    paths = {image: str(root / image) for image in pairs.distinct_images() if (root / image).is_file()}
    if missing := len(pairs.distinct_images()) - len(paths):
        logger.warning("%s: %d of %d images are missing", root, missing, missing + len(paths))
    column = pairs.table.column_names.index("image")
    cells = pa.array([paths.get(image) for image in pairs.images], pa.string())
    table = _without_metadata(pairs.table.set_column(column, "image", cells))
    return datasets.Dataset(table).cast_column("image", datasets.Image())


def _without_metadata(table: pa.Table) -> pa.Table:
    """A table without metadata and with all columns nullable, as `datasets` has them."""
    return table.cast(pa.schema([pa.field(field.name, field.type) for field in table.schema]))


def save_dataset(table: pa.Table, description: str, folder: Path) -> None:
    """Write a table as `datasets.load_from_disk` reads it, without showing progress.

    Args:
        description: text that becomes `dataset.info.description`.

    Raises:
        EmocapError: datasets is not installed.
    """
    datasets = library("datasets")
    dataset = datasets.Dataset(_without_metadata(table), info=datasets.DatasetInfo(description=description))
    hidden = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        dataset.save_to_disk(folder)
    finally:
        if not hidden:
            datasets.enable_progress_bars()
