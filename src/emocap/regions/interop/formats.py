"""The table of file formats for import and export, and the detection of the format of a file or folder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from emocap.errors import EmocapError
from emocap.regions.interop.hdf5 import is_hdf5, read_hdf5, write_hdf5
from emocap.regions.interop.lmdb import is_lmdb, read_lmdb, write_lmdb
from emocap.regions.interop.numpy_folders import has_files, read_npy, read_npz, write_npy, write_npz
from emocap.regions.interop.records import Record, Records, StoreSize
from emocap.regions.interop.tsv import LXMERT, TSV, count_columns, read_lxmert, read_tsv, write_lxmert, write_tsv
from emocap.regions.interop.vinvl import is_vinvl, read_vinvl
from emocap.regions.store.format import is_complete


@dataclass(frozen=True)
class FileFormat:
    """A file format of region features.

    Attributes:
        matches: whether a file or folder is in this format.
        read: the records of a file or folder, of which the dtype of features is given, or None.
        write: write the records of a store of this size.
        folder: whether it is a folder; None if it may be either.
        numeric_ids: whether image ids are numbers.
        needs_objects: whether it can hold only stores with objects.
        records_dtype: whether it records the dtype of features, so that none can be given.
    """

    matches: Callable[[Path], bool]
    read: Callable[[Path, str | None], Records]
    write: Callable[[Iterable[Record], Path, StoreSize], None]
    folder: bool | None = False
    numeric_ids: bool = False
    needs_objects: bool = False
    records_dtype: bool = True


FORMATS = {
    "tsv": FileFormat(
        lambda source: source.is_file() and (count_columns(source) == len(TSV) or is_vinvl(source)),
        lambda source, dtype: (read_vinvl if is_vinvl(source) else read_tsv)(source, dtype),
        lambda records, out, _: write_tsv(records, out),
        numeric_ids=True,
        records_dtype=False,
    ),
    "lxmert": FileFormat(
        lambda source: source.is_file() and count_columns(source) == len(LXMERT),
        read_lxmert,
        lambda records, out, _: write_lxmert(records, out),
        needs_objects=True,
        records_dtype=False,
    ),
    "npy": FileFormat(
        lambda source: has_files(source, ".npy") and not is_lmdb(source),
        lambda source, _: read_npy(source),
        lambda records, out, _: write_npy(records, out),
        folder=True,
    ),
    "npz": FileFormat(
        lambda source: has_files(source, ".npz") and not is_lmdb(source),
        lambda source, _: read_npz(source),
        lambda records, out, _: write_npz(records, out),
        folder=True,
    ),
    "hdf5": FileFormat(is_hdf5, lambda source, _: read_hdf5(source), write_hdf5, numeric_ids=True),
    "lmdb": FileFormat(is_lmdb, read_lmdb, write_lmdb, folder=None, numeric_ids=True, records_dtype=False),
}


def require_format(name: str) -> FileFormat:
    """The format of this name.

    Raises:
        EmocapError: an unknown format.
    """
    if name not in FORMATS:
        raise EmocapError(f"format is {name!r}, expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def detect_format(source: Path) -> str:
    """The name of the format of a file or folder, by its content.

    Raises:
        EmocapError: it matches no format or two, or cannot be read.
    """
    expected = f"one of {', '.join(FORMATS)}"
    try:
        if is_complete(source):
            raise EmocapError(f"{source}: is a feature store already")
        matches = [name for name, format_ in FORMATS.items() if format_.matches(source)]
        if len(matches) == 1:
            return matches[0]
        if source.is_dir():
            content = "both .npy and .npz" if matches else "neither data.mdb nor .npy nor .npz"
            raise EmocapError(f"{source}: holds {content}; specify the format, {expected}")
        columns, n_bytes = count_columns(source), source.stat().st_size
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read ({error.strerror or error})") from error
    if n_bytes == 0:
        content = "is empty"
    else:
        content = f"has {columns} columns" if columns > 1 else "is not a TSV, HDF5 or LMDB file"
    raise EmocapError(
        f"{source}: {content}; expected {expected} (TSVs have {len(TSV)} columns, LXMERT's {len(LXMERT)})"
    )
