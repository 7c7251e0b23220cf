"""Feature stores from and to the files in which the field passes bottom-up-attention features on.

    tsv     bottom-up attention's TSV, 6 columns
    lxmert  LXMERT's TSV, 10 columns, with objects and attributes
    npy     a folder of .npy, features alone
    npz     a folder of .npz, as of bottom-up-attention.pytorch and UNITER
    hdf5    image_features, image_bb, spatial_features, fixed or adaptive
    lmdb    ViLBERT's and UNITER's databases

Features become half precision, as in every store. What is not known is 0: boxes of npy, sizes where a file does not
give them. Images are read one by one, never the whole, and nothing that a file holds is run.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from string import Formatter

import numpy as np

from emocap.corpora.pairs import RejectedRow
from emocap.errors import EmocapError
from emocap.files import write_json
from emocap.progress import track
from emocap.regions.extractors.base import Names, Regions
from emocap.regions.interop.hdf5 import read_hdf5, write_hdf5
from emocap.regions.interop.lmdb import is_lmdb, read_lmdb, write_lmdb
from emocap.regions.interop.npz import read_npy, read_npz, write_npy, write_npz
from emocap.regions.interop.records import Found, Record, boxes_and_size, checked
from emocap.regions.interop.tsv import columns_of, read_lxmert, read_tsv, write_lxmert, write_tsv
from emocap.regions.store.format import is_complete
from emocap.regions.store.reader import FeatureStore
from emocap.regions.store.writer import REPORT, FeatureSource, require_free, write_store

logger = logging.getLogger("emocap")
READERS: dict[str, Callable[[Path], Found]] = {
    "tsv": read_tsv,
    "lxmert": read_lxmert,
    "npy": read_npy,
    "npz": read_npz,
    "hdf5": read_hdf5,
    "lmdb": read_lmdb,
}
FORMATS = tuple(READERS)
_NUMBERED = ("tsv", "hdf5", "lmdb")


@dataclass(frozen=True)
class ImportReport:
    """What became of an import.

    Attributes:
        format_: one of `FORMATS`.
        n_images: in the new store.
        n_without_boxes: of them, those whose boxes were not given and are 0.
        n_without_size: of them, those whose size was not given: it is 0 x 0, or 1 x 1 where boxes were given as shares.
        rejected: records that were set aside, with the reasons.
    """

    format_: str
    n_images: int
    n_without_boxes: int
    n_without_size: int
    rejected: tuple[RejectedRow, ...]


def import_features(
    source: Path, out: Path, *, format_: str | None = None, name: str | None = None, key: str = "{id}"
) -> ImportReport:
    """Make a feature store of a file or folder of features.

    A record that cannot be used is set aside with its reason, and so is one with another number of features per region
    than the first, or with objects where the first has none.

    Args:
        source: the file or folder.
        out: place of the new store.
        format_: one of `FORMATS`; found out where None.
        name: of what made the features; models take stores of one name for each other. None names the source itself.
        key: the key in the store of the image `{id}`: with "COCO_val2014_{id:012d}.jpg" the image 42 is
            COCO_val2014_000000000042.jpg.

    Raises:
        EmocapError: the format is unknown, the template is wrong, the source cannot be read or holds nothing usable, or
            the store cannot be written; nothing is left behind.
    """
    source, out = Path(source), Path(out)
    key_of = _template(key)
    if not source.exists():
        raise EmocapError(f"{source}: no such file or folder")
    format_ = detect_format(source) if format_ is None else format_
    if format_ not in READERS:
        raise EmocapError(f"format is {format_!r}, expected one of {', '.join(FORMATS)}")
    if source.is_dir() != (format_ in ("npy", "npz")) and format_ != "lmdb":
        raise EmocapError(f"{source}: {format_} is a {'folder' if format_ in ('npy', 'npz') else 'file'}, this is none")
    require_free(out)
    rejected: list[RejectedRow] = []
    n_images = n_without_boxes = n_without_size = 0
    with _told(source, format_), closing(READERS[format_](source)) as found:
        images = _sound(found, key_of, rejected)
        head = _up_to_regions(images)
        if head is None:
            raise EmocapError(f"{source}: holds no usable image as {format_}{_first_fault(rejected)}")
        first = head[-1][1]
        dim = first.features.shape[1]
        names = Names() if first.objects is not None else None
        with write_store(
            out, FeatureSource(name or f"imported from {source.name}", {"format": format_}, "", dim, names)
        ) as writer:
            for image, record in chain(head, images):
                reason = _unlike(record, first)
                if reason is not None:
                    rejected.append(RejectedRow(record.where, reason))
                    continue
                writer.add(image, _regions(record, dim))
                n_images += 1
                n_without_boxes += record.boxes_xyxy is None
                n_without_size += record.size in (None, (1, 1))
            told = {"n_images": n_images, "missing": [], "rejected": [asdict(fault) for fault in rejected]}
            write_json(writer.folder / REPORT, told)
    if n_without_boxes or n_without_size:
        logger.warning(
            "%s: of %d images %d have no boxes and %d no size in pixels; the store has 0 for them",
            source,
            n_images,
            n_without_boxes,
            n_without_size,
        )
    return ImportReport(format_, n_images, n_without_boxes, n_without_size, tuple(rejected))


@contextmanager
def _told(place: Path, format_: str) -> Iterator[None]:
    """Make one line of whatever a library says of a damaged file."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise EmocapError(f"{place}: cannot be used as {format_} ({reason}); make or fetch it again") from error


def export_features(store: Path, out: Path, *, format_: str, id_of: str = "stem") -> int:
    """Write a feature store as a file or folder of the field's, features in float32; gives the number of images.

    With `id_of` "stem" an image's id is its key without folder and ending, as LXMERT, npy and npz have it; in tsv, hdf5
    and lmdb, whose ids are numbers, it is the number that ends it (COCO_val2014_000000000042.jpg is 42), if every key
    of the store ends so and no two in the same number. With "key" it is the key as it is. Beside an hdf5 file lies a
    pickle of plain numbers, `<stem>_imgid2idx.pkl`, as its readers expect it. lmdb is ViLBERT's layout. Boxes are lost
    in npy, objects in all but lxmert.

    Args:
        store: folder of the store.
        out: the file, or for npy, npz and lmdb the folder; nothing may be there.
        format_: one of `FORMATS`.

    Raises:
        EmocapError: no store, an unknown format, a store without objects for lxmert, two images of the same id, or the
            place cannot be written; nothing is left behind.
    """
    opened, out = FeatureStore.open(Path(store)), Path(out)
    if format_ not in READERS:
        raise EmocapError(f"format is {format_!r}, expected one of {', '.join(FORMATS)}")
    if id_of not in ("stem", "key"):
        raise EmocapError(f"id_of is {id_of!r}, expected stem or key")
    if out.exists():
        raise EmocapError(f"{out}: exists; give another place")
    if not len(opened):
        raise EmocapError(f"{store}: holds no image; there is nothing to write")
    if format_ == "lxmert" and "objects.npy" not in opened.header.sha256:
        raise EmocapError(f"{store}: holds no objects, which lxmert is for; choose tsv")
    ids = _ids(opened, format_, id_of)
    n_images, n_regions, dim = len(opened), opened.header.n_regions, opened.header.dim
    records = track(_records(opened, ids), f"writing {out.name}", n_images, "images")
    match format_:
        case "tsv":
            write_tsv(records, out)
        case "lxmert":
            write_lxmert(records, out)
        case "npy":
            write_npy(records, out)
        case "npz":
            write_npz(records, out)
        case "hdf5":
            write_hdf5(records, out, n_images, n_regions, dim)
        case _:
            write_lmdb(records, out, n_images, n_regions, dim)
    return n_images


def detect_format(source: Path) -> str:
    """Which of `FORMATS` a file or folder is in, by what it holds.

    Raises:
        EmocapError: it is in none, in two, or cannot be read.
    """
    try:
        if source.is_dir():
            return _format_of_folder(source)
        with source.open("rb") as file:
            head = file.read(8)
        if head == b"\x89HDF\r\n\x1a\n":
            return "hdf5"
        if is_lmdb(source):
            return "lmdb"
        columns = columns_of(source)
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read ({error.strerror or error})") from error
    if columns in (6, 10):
        return "tsv" if columns == 6 else "lxmert"
    found = "is empty" if not head else f"has {columns} columns" if columns > 1 else "is no TSV, HDF5 or LMDB"
    raise EmocapError(f"{source}: {found}; expected one of {', '.join(FORMATS)} (TSVs have 6 columns, LXMERT's 10)")


def _format_of_folder(source: Path) -> str:
    if is_complete(source):
        raise EmocapError(f"{source}: is a feature store already")
    if (source / "data.mdb").is_file():
        return "lmdb"
    endings = {file.suffix for file in source.iterdir()} & {".npy", ".npz"}
    if len(endings) != 1:
        found = "both .npy and .npz" if endings else "neither data.mdb nor .npy nor .npz"
        raise EmocapError(f"{source}: holds {found}; name the format, one of {', '.join(FORMATS)}")
    return endings.pop()[1:]


def _template(template: str) -> Callable[[str], str]:
    """The key of an id by a template."""
    expected = 'expected text with {id} or {id:012d} in it, such as "{id:012d}.jpg"'
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise EmocapError(f"key is {template!r} ({error}), {expected}") from None
    fields = [(field, spec, conversion) for _, field, spec, conversion in parts if field is not None]
    # What `str.format` can reach besides, such as attributes, is not for a template.
    fits = all(
        field == "id" and not conversion and re.fullmatch(r"(0?[0-9]{0,2}d)?", spec or "")
        for field, spec, conversion in fields
    )
    if not fields or not fits or "\0" in template:
        raise EmocapError(f"key is {template!r}, {expected}")
    of_numbers = any(spec for _, spec, _ in fields)

    def key_of(id_: str) -> str:
        if of_numbers and not (id_.isascii() and id_.isdigit() and len(id_) <= 30):
            raise EmocapError(f"id {id_!r:.80} is not a number, as the key {template!r} needs it")
        return "".join(
            literal + ("" if field is None else format(int(id_), spec) if spec else id_)
            for literal, field, spec, _ in parts
        )

    return key_of


def _sound(
    found: Iterable[Record | RejectedRow], key_of: Callable[[str], str], rejected: list[RejectedRow]
) -> Iterator[tuple[str, Record]]:
    """Keys and records that a store can hold; the others go into `rejected`."""
    seen: set[str] = set()
    for record in found:
        if isinstance(record, RejectedRow):
            rejected.append(record)
            continue
        try:
            key = key_of(checked(record).id)
            if key in seen:
                raise EmocapError(f"image {key!r} occurs twice; the first one is taken")
        except EmocapError as error:
            rejected.append(RejectedRow(record.where, str(error)))
            continue
        seen.add(key)
        yield key, record


def _up_to_regions(images: Iterator[tuple[str, Record]]) -> list[tuple[str, Record]] | None:
    """The images up to the first with regions, which tells how many numbers a region has; None where none has."""
    head = []
    for image in images:
        head.append(image)
        if len(image[1].features):
            return head
    return None


def _unlike(record: Record, first: Record) -> str | None:
    """Why a record cannot be in a store with the first one."""
    dim = first.features.shape[1]
    if len(record.features) and record.features.shape[1] != dim:
        return f"has {record.features.shape[1]:,} features per region, the first image has {dim:,}"
    if (record.objects is None) != (first.objects is None):
        return "has objects, the first image has none" if first.objects is None else "has no objects, the first has"
    return None


def _regions(record: Record, dim: int) -> Regions:
    return Regions(record.features.reshape(len(record.features), dim), *boxes_and_size(record), record.objects)


def _first_fault(rejected: list[RejectedRow]) -> str:
    if not rejected:
        return ""
    first = rejected[0]
    return f"; the first of {len(rejected):,} faults: {first.where}: {first.reason}"


def _ids(store: FeatureStore, format_: str, id_of: str) -> list[tuple[str, str]]:
    """Each image's key with its id.

    Raises:
        EmocapError: two images have the same.
    """
    keys = store.images
    ids = keys if id_of == "key" else [PurePosixPath(key).stem for key in keys]
    if id_of == "stem" and format_ in _NUMBERED:
        # All or none, so that one template turns them back.
        numbers = [re.fullmatch(r"(?:.*_)?([0-9]{1,18})", stem) for stem in ids]
        as_numbers = [str(int(number[1])) for number in numbers if number]
        if len(set(as_numbers)) == len(ids):
            ids = as_numbers
    (id_, n), *_ = Counter(ids).most_common(1)
    if n > 1:
        same = [key for key, other in zip(keys, ids, strict=True) if other == id_]
        raise EmocapError(
            f"{store.path}: images {same[0]!r} and {same[1]!r} would both have the id {id_!r}; "
            "take the whole keys (--id-of key)"
        )
    return list(zip(keys, ids, strict=True))


def _records(store: FeatureStore, ids: list[tuple[str, str]]) -> Iterator[Record]:
    for key, id_ in ids:
        features, boxes = store[key]
        yield Record(key, id_, features.astype(np.float32), boxes, store.size(key), store.objects(key))
