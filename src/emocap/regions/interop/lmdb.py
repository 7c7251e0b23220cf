"""The LMDB databases of ViLBERT and VOLTA, of MMF, and the compressed ones of UNITER.

ViLBERT (facebookresearch/vilbert-multi-task, Lu et al. 2020): an image's id maps to a pickled dict of the TSV's fields,
and "keys" to the pickled list of ids. MMF: the same with NumPy arrays, see `mmf`. UNITER
(ChenRocks/UNITER): a name maps to the bytes of an .npz, and "__keys__" to the list of names as JSON. Left out: UNITER's
uncompressed databases in msgpack. Pickles are read by `plain_pickle`.
LMDB's C code does not validate pages, so a malicious database can crash the process.
"""

import io
import json
import pickle
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder
from emocap.progress import track
from emocap.regions.interop.dtypes import require_inferred
from emocap.regions.interop.mmf import FEATURES, parse_arrays
from emocap.regions.interop.numpy_folders import parse_npz
from emocap.regions.interop.pickle import plain_pickle
from emocap.regions.interop.records import (
    Record,
    Records,
    StoreSize,
    boxes_and_size_or_zero,
    encode_base64,
    feature_bytes,
    parse_fields,
    parse_or_reject,
    require_text,
)

_LIST_KEYS = (b"keys", b"__keys__")
_IMAGES_PER_COMMIT = 64


def read_lmdb(source: Path, dtype: str | None = None) -> Records:
    """The records of an LMDB database, in the order of its list of ids.

    Args:
        source: the folder or file.
        dtype: of features in base64, a name in `DTYPES`; None infers it.

    Raises:
        EmocapError: lmdb is not installed, the database is damaged or empty, or the dtype cannot be inferred.
    """
    lmdb = _lmdb()
    try:
        options = {"readonly": True, "lock": False, "create": False, "readahead": False}
        with lmdb.open(str(source), subdir=source.is_dir(), **options) as environment:
            _check_length(source, environment)
            with environment.begin() as transaction:
                ids = _ids(source, transaction)
                dtype = dtype or require_inferred(source, _feature_samples(transaction, ids))
                for id_ in track(ids, f"reading {source.name}", len(ids), "images"):
                    value = transaction.get(id_)
                    yield parse_or_reject(f"{source}: image {_short_repr(id_)}", _parse, id_, value, dtype)
    except (lmdb.Error, OSError) as error:
        raise EmocapError(f"{source}: not an LMDB database, or damaged ({error})") from error


def write_lmdb(records: Iterable[Record], out: Path, size: StoreSize) -> None:
    """Write ViLBERT's layout: dicts of plain values, arrays in base64; objects are left out.

    Raises:
        EmocapError: lmdb is not installed, an id is longer than LMDB allows, or the folder cannot be written.
    """
    lmdb = _lmdb()
    # Base64 is 4/3 of the numbers; the rest is for partly filled pages and those kept until the next commit.
    map_size = 2 * size.n_regions * 4 * (size.dim + 4) + 3 * 8192 * size.n_images + 2**26
    ids = []
    with atomic_folder(out) as folder:
        try:
            with lmdb.open(str(folder), map_size=map_size, lock=False, sync=False) as environment:
                transaction = environment.begin(write=True)
                for number, record in enumerate(records, 1):
                    id_ = record.id.encode()
                    if id_ in _LIST_KEYS or len(id_) > environment.max_key_size():
                        raise EmocapError(f"image {record.where!r}: its id cannot be a key of LMDB; rename it")
                    transaction.put(id_, pickle.dumps(_fields(record)))
                    ids.append(id_)
                    if number % _IMAGES_PER_COMMIT == 0:  # uncommitted data is held in memory
                        transaction.commit()
                        transaction = environment.begin(write=True)
                transaction.put(b"keys", pickle.dumps(ids))
                transaction.commit()
                environment.sync(True)
        except lmdb.Error as error:
            raise EmocapError(f"{out}: cannot be written ({error}); free space or choose a different path") from error


def is_lmdb(source: Path) -> bool:
    """Whether a folder holds an LMDB database or a file is one, by its name or its magic number."""
    if source.is_dir():
        return (source / "data.mdb").is_file()
    with source.open("rb") as file:
        return file.read(20)[16:] in (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde")


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError:
        raise EmocapError("LMDB needs lmdb, which is not installed: pip install 'emocap[formats]'") from None
    return lmdb


def _check_length(source: Path, environment: Any) -> None:
    # Reading a page beyond the end of the file would crash the process instead of raising an error.
    file = source / "data.mdb" if source.is_dir() else source
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if file.stat().st_size < expected:
        raise EmocapError(f"{file}: has {file.stat().st_size:,} bytes, expected {expected:,}; it is truncated")


def _ids(source: Path, transaction: Any) -> list[bytes]:
    pickled, as_json = (transaction.get(name) for name in _LIST_KEYS)
    try:
        if pickled is not None:
            ids = plain_pickle(pickled)
        elif as_json is not None:
            ids = json.loads(as_json)
        else:
            ids = list(transaction.cursor().iternext(values=False))
        if isinstance(ids, np.ndarray):
            ids = ids.tolist()
        if not isinstance(ids, list) or not ids:
            raise EmocapError("names no image, expected a list")
        return [id_ if isinstance(id_, bytes) and id_ else require_text(id_, "id").encode() for id_ in ids]
    except (EmocapError, ValueError, RecursionError) as error:
        raise EmocapError(f"{source}: its list of ids cannot be read: {error}") from error


def _parse(where: str, id_: bytes, value: bytes | None, dtype: str) -> Record:
    if value is None:
        raise EmocapError("is in the list of ids but not in the database")
    if value.startswith(b"PK"):
        return parse_npz(where, require_text(id_, "id").removesuffix(".npz"), io.BytesIO(value))
    fields = _unpickled(value)
    if _holds_arrays(fields):
        return parse_arrays(where, require_text(id_, "id"), fields)
    return parse_fields(where, {**fields, "image_id": id_}, dtype)


def _unpickled(value: bytes) -> dict[Any, Any]:
    # Every pickle ends with the STOP opcode; the msgpack of UNITER's uncompressed databases does not.
    if not value.endswith(b"."):
        raise EmocapError("is neither a pickle nor an .npz; give a compressed database if it is UNITER's")
    fields = plain_pickle(value)
    if not isinstance(fields, dict):
        raise EmocapError(f"is a pickled {type(fields).__name__}, expected a dict")
    return fields


def _holds_arrays(fields: dict[Any, Any]) -> bool:
    return any(isinstance(fields.get(name), np.ndarray) for name in FEATURES)


def _feature_samples(transaction: Any, ids: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Number of boxes and bytes of features of each image, up to the first with an array, which has a dtype."""
    for id_ in ids:
        value = transaction.get(id_) or b""
        if value.startswith(b"PK"):
            return
        with suppress(EmocapError):
            fields = _unpickled(value)
            if _holds_arrays(fields):
                return
            yield feature_bytes(fields)


def _fields(record: Record) -> dict[str, Any]:
    boxes, (width, height) = boxes_and_size_or_zero(record)
    return {
        "image_id": record.id,
        "image_h": str(height),
        "image_w": str(width),
        "num_boxes": str(len(record.features)),
        "boxes": encode_base64(boxes, "<f4"),
        "features": encode_base64(record.features, "<f4"),
    }


def _short_repr(id_: bytes) -> str:
    return id_[:80].decode(errors="replace")
