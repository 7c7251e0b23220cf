"""Import and export of feature stores from and to the file formats of other projects.

    tsv     bottom-up attention's TSV, 6 columns, or VinVL's features.tsv, 2 or 3
    lxmert  LXMERT's TSV, 10 columns, with objects and attributes
    npy     a folder of .npy, features only, or MMF's with NAME_info.npy
    npz     a folder of .npz, as of bottom-up-attention.pytorch and UNITER
    hdf5    image_features, image_bb, spatial_features, fixed or adaptive, or datasets of each image
    lmdb    ViLBERT's, MMF's and UNITER's databases

Features become half precision, as in every store. Unknown values are 0: boxes of npy, sizes that a file does not
specify. Images are read one by one, so that files may exceed the memory, and no code in a file is run.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.progress import track
from emocap.regions.extraction_report import ExtractionReport, write_report
from emocap.regions.extractors.base import Names, Regions
from emocap.regions.interop.boxes import are_misplaced
from emocap.regions.interop.dtypes import require_dtype
from emocap.regions.interop.formats import detect_format, require_format
from emocap.regions.interop.ids import image_ids, key_template
from emocap.regions.interop.records import Record, StoreSize, boxes_and_size_or_zero, require_storable
from emocap.regions.store.format import FeatureSource
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import StoreWriter, require_free, write_store

logger = logging.getLogger("emocap")


@dataclass(frozen=True)
class ImportReport:
    """The outcome of an import.

    Attributes:
        format_: name of the file format.
        n_images: images in the new store.
        n_without_boxes: those whose boxes are unknown and stored as 0.
        n_without_size: those whose size is unknown: stored as 0 x 0, or as 1 x 1 if the boxes are fractions.
        n_misplaced: those with a box that ends before it begins or beyond the image.
        rejected: records that cannot be used, with the reasons.
    """

    format_: str
    n_images: int
    n_without_boxes: int
    n_without_size: int
    n_misplaced: int
    rejected: tuple[RejectedRow, ...]


def import_features(
    source: Path,
    out: Path,
    *,
    format_: str | None = None,
    name: str | None = None,
    key: str = "{id}",
    dtype: str | None = None,
) -> ImportReport:
    """Make a feature store of a file or folder of features.

    A record that cannot be used is rejected with its reason; so is one with a different number of features per region
    than the first, or with objects if the first has none.

    Args:
        source: the file or folder.
        out: path of the new store.
        format_: name of the format; None detects it.
        name: of the extractor that computed the features; models accept stores with the same name as interchangeable.
            None uses the name of the source.
        key: template of an image's key in the store: with "COCO_val2014_{id:012d}.jpg" the image with id 42 is
            COCO_val2014_000000000042.jpg. In a folder of .npy or .npz the id of train/a.npy is train/a, its {stem} a.
        dtype: of features in base64 (tsv, lxmert, ViLBERT's lmdb): float16, float32 or float64; None infers it.

    Raises:
        EmocapError: the format is unknown, the template is invalid or makes one key of two ids, the source cannot be
            read or has no usable image, its dtype cannot be inferred, or the store cannot be written; nothing is left
            behind.
    """
    source, out = Path(source), Path(out)
    key_of = key_template(key)
    if not source.exists():
        raise EmocapError(f"{source}: no such file or folder")
    format_ = detect_format(source) if format_ is None else format_
    file_format = require_format(format_)
    if file_format.folder is not None and source.is_dir() != file_format.folder:
        raise EmocapError(f"{source}: {format_} is a {'folder' if file_format.folder else 'file'}, this is not")
    if dtype is not None:
        require_dtype(dtype)
        if file_format.records_dtype:
            raise EmocapError(f"{source}: {format_} records the dtype of its features; leave out dtype (--dtype)")
    require_free(out)
    rejected: list[RejectedRow] = []
    with _one_line_errors(source, format_), closing(file_format.read(source, dtype)) as records:
        valid = _valid_records(records, key_of, rejected)
        head = _up_to_regions(valid)
        if head is None:
            raise EmocapError(f"{source}: has no usable image as {format_}{_first_rejected(rejected)}")
        first = head[-1][1]
        names = Names() if first.objects is not None else None
        extractor = name or f"imported from {source.name}"
        with write_store(
            out, FeatureSource(extractor, {"format": format_}, "", first.features.shape[1], names)
        ) as writer:
            report = _write_records(writer, chain(head, valid), first, format_, rejected)
    _warn_of_boxes(source, report)
    return report


def export_features(store: Path, out: Path, *, format_: str, id_of: str = "stem") -> int:
    """Write a feature store in another file format, features in float32; returns the number of images.

    With `id_of` "stem" an image's id is the file name in its key without suffix, as in LXMERT, npy and npz; in tsv,
    hdf5 and lmdb, whose ids are numbers, it is the number at its end (COCO_val2014_000000000042.jpg is 42), if every
    key of the store has one and all differ. With "key" it is the key itself. Next to an hdf5 file, a pickle of plain
    numbers, `<stem>_imgid2idx.pkl`, is written, as its readers expect. lmdb is ViLBERT's layout. Boxes are lost in npy,
    objects in all formats except lxmert.

    Args:
        store: folder of the store.
        out: the file, or for npy, npz and lmdb the folder; it must not exist.
        format_: name of the format.

    Raises:
        EmocapError: not a store, an unknown format, a store without objects for lxmert, two images with the same id,
            or `out` cannot be written; nothing is left behind.
    """
    opened, out = FeatureStore.open(Path(store)), Path(out)
    file_format = require_format(format_)
    if id_of not in ("stem", "key"):
        raise EmocapError(f"id_of is {id_of!r}, expected stem or key")
    if out.exists():
        raise EmocapError(f"{out}: exists; give a different path")
    if not len(opened):
        raise EmocapError(f"{store}: has no images; there is nothing to write")
    if file_format.needs_objects and "objects.npy" not in opened.header.sha256:
        raise EmocapError(f"{store}: has no objects, which {format_} needs; choose tsv")
    ids = image_ids(opened.path, opened.images, id_of, numeric=file_format.numeric_ids)
    size = StoreSize(len(opened), opened.header.n_regions, opened.header.dim)
    records = track(_store_records(opened, ids), f"writing {out.name}", size.n_images, "images")
    file_format.write(records, out, size)
    return size.n_images


def _warn_of_boxes(source: Path, report: ImportReport) -> None:
    if report.n_without_boxes or report.n_without_size:
        logger.warning(
            "%s: of %d images %d have no boxes and %d no size in pixels; the store has 0 for them",
            source,
            report.n_images,
            report.n_without_boxes,
            report.n_without_size,
        )
    if report.n_misplaced:
        logger.warning(
            "%s: of %d images %d have boxes that end before they begin or beyond the image; check that the boxes are "
            "x0 y0 x1 y1 in pixels of the original image, and that width and height are not exchanged",
            source,
            report.n_images,
            report.n_misplaced,
        )


def _write_records(
    writer: StoreWriter,
    records: Iterable[tuple[str, Record]],
    first: Record,
    format_: str,
    rejected: list[RejectedRow],
) -> ImportReport:
    """Write the records that are consistent with the first one, and the report of the store."""
    dim = first.features.shape[1]
    n_images = n_without_boxes = n_without_size = n_misplaced = 0
    for image, record in records:
        reason = _inconsistency(record, first)
        if reason is not None:
            rejected.append(RejectedRow(record.where, reason))
            continue
        features = record.features.reshape(len(record.features), dim)
        writer.add(image, Regions(features, *boxes_and_size_or_zero(record), record.objects))
        n_images += 1
        n_without_boxes += record.boxes_xyxy is None
        n_without_size += record.size in (None, (1, 1))
        n_misplaced += record.boxes_xyxy is not None and are_misplaced(record.boxes_xyxy, record.size)
    write_report(ExtractionReport(n_images, [], rejected), writer.folder)
    return ImportReport(format_, n_images, n_without_boxes, n_without_size, n_misplaced, tuple(rejected))


def _store_records(store: FeatureStore, ids: list[tuple[str, str]]) -> Iterator[Record]:
    for key, id_ in ids:
        features, boxes = store[key]
        yield Record(key, id_, features.astype(np.float32), boxes, store.size(key), store.objects(key))


@contextmanager
def _one_line_errors(source: Path, format_: str) -> Iterator[None]:
    """Turn any error that a library raises for a damaged file into one line."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise EmocapError(f"{source}: cannot be used as {format_} ({reason}); create or download it again") from error


def _valid_records(
    records: Iterable[Record | RejectedRow], key_of: Callable[[str], str], rejected: list[RejectedRow]
) -> Iterator[tuple[str, Record]]:
    """Keys and records that a store can hold; the others are added to `rejected`."""
    id_of_key: dict[str, str] = {}
    for record in records:
        if isinstance(record, RejectedRow):
            rejected.append(record)
            continue
        try:
            key = key_of(require_storable(record).id)
            if id_of_key.get(key) == record.id:
                raise EmocapError(f"image {key!r} occurs twice; the first one is used")
        except EmocapError as error:
            rejected.append(RejectedRow(record.where, str(error)))
            continue
        other_id = id_of_key.setdefault(key, record.id)
        if other_id != record.id:
            raise EmocapError(
                f"{record.where}: ids {other_id!r} and {record.id!r} both give the key {key!r}; let --key tell them "
                "apart, such as by {id} in place of {stem}"
            )
        yield key, record


def _up_to_regions(images: Iterator[tuple[str, Record]]) -> list[tuple[str, Record]] | None:
    """The images up to the first with regions, which determines the feature dimension; None if none has regions."""
    head = []
    for image in images:
        head.append(image)
        if len(image[1].features):
            return head
    return None


def _inconsistency(record: Record, first: Record) -> str | None:
    """Why a record cannot be in the same store as the first one."""
    dim = first.features.shape[1]
    if len(record.features) and record.features.shape[1] != dim:
        return f"has {record.features.shape[1]:,} features per region, the first image has {dim:,}"
    if (record.objects is None) != (first.objects is None):
        return "has objects, the first image has none" if first.objects is None else "has no objects, the first has"
    return None


def _first_rejected(rejected: list[RejectedRow]) -> str:
    if not rejected:
        return ""
    first = rejected[0]
    return f"; the first of {len(rejected):,} rejected records: {first.where}: {first.reason}"
