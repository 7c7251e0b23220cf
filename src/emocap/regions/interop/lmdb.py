"""LMDB databases of features: ViLBERT's, which VOLTA shares, and UNITER's compressed ones.

ViLBERT (facebookresearch/vilbert-multi-task, Lu et al. 2020): an image's id gives a pickled dict of the TSV's fields,
and "keys" gives the pickled list of ids. UNITER (ChenRocks/UNITER): a name gives the bytes of an .npz, and "__keys__"
the list of names as JSON. Its uncompressed databases, of msgpack, are left out. Pickles are read by `plain_pickle`.
LMDB's own C code trusts the pages of a file, so a forged database may crash the process.
"""

import io
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import atomic_folder
from emocap.progress import track
from emocap.regions.interop.npz import record_of_npz
from emocap.regions.interop.pickle import plain_pickle
from emocap.regions.interop.records import Found, Record, boxes_and_size, encoded, record_of_fields, text, usable

_LISTS = (b"keys", b"__keys__")
_IMAGES_PER_COMMIT = 64


def read_lmdb(source: Path) -> Found:
    """The records of such a database, in the order of its list of ids.

    Raises:
        EmocapError: lmdb is not installed, or the database is damaged or empty.
    """
    lmdb = _lmdb()
    try:
        options = {"readonly": True, "lock": False, "create": False, "readahead": False}
        with lmdb.open(str(source), subdir=source.is_dir(), **options) as environment:
            _check_length(source, environment)
            with environment.begin() as transaction:
                ids = _ids(source, transaction)
                for id_ in track(ids, f"reading {source.name}", len(ids), "images"):
                    value = transaction.get(id_)
                    yield usable(f"{source}: image {_shown(id_)}", _parse, id_, value)
    except (lmdb.Error, OSError) as error:
        raise EmocapError(f"{source}: no LMDB database, or damaged ({error})") from error


def write_lmdb(records: Iterable[Record], out: Path, n_images: int, n_regions: int, dim: int) -> None:
    """Write ViLBERT's layout: dicts of plain values, arrays in base64; objects are left out.

    Raises:
        EmocapError: lmdb is not installed, an id is longer than LMDB takes, or the folder cannot be written.
    """
    lmdb = _lmdb()
    # Base64 is 4/3 of the numbers; pages that are not full and those kept for the next commit take their share.
    room = 2 * n_regions * 4 * (dim + 4) + 3 * 8192 * n_images + 2**26
    ids = []
    with atomic_folder(out) as folder:
        try:
            with lmdb.open(str(folder), map_size=room, lock=False, sync=False) as environment:
                transaction = environment.begin(write=True)
                for number, record in enumerate(records, 1):
                    id_ = record.id.encode()
                    if id_ in _LISTS or len(id_) > environment.max_key_size():
                        raise EmocapError(f"image {record.where!r}: its id cannot be a key of LMDB; name it otherwise")
                    transaction.put(id_, pickle.dumps(_fields(record)))
                    ids.append(id_)
                    if number % _IMAGES_PER_COMMIT == 0:  # what is not committed is held in memory
                        transaction.commit()
                        transaction = environment.begin(write=True)
                transaction.put(b"keys", pickle.dumps(ids))
                transaction.commit()
                environment.sync(True)
        except lmdb.Error as error:
            raise EmocapError(f"{out}: cannot be written ({error}); free space or choose another place") from error


def is_lmdb(source: Path) -> bool:
    """Whether a file is a database of LMDB, by its magic number."""
    with source.open("rb") as file:
        return file.read(20)[16:] in (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde")


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError:
        raise EmocapError("LMDB needs lmdb, which is not installed: pip install 'emocap[formats]'") from None
    return lmdb


def _check_length(source: Path, environment: Any) -> None:
    # A page beyond the end of the file would not be an error but the end of the process.
    file = source / "data.mdb" if source.is_dir() else source
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if file.stat().st_size < expected:
        raise EmocapError(f"{file}: has {file.stat().st_size:,} bytes, expected {expected:,}; it is cut short")


def _ids(source: Path, transaction: Any) -> list[bytes]:
    pickled, as_json = (transaction.get(name) for name in _LISTS)
    try:
        if pickled is not None:
            found = plain_pickle(pickled)
        elif as_json is not None:
            found = json.loads(as_json)
        else:
            found = list(transaction.cursor().iternext(values=False))
        if not isinstance(found, list) or not found:
            raise EmocapError("names no image, expected a list")
        return [id_ if isinstance(id_, bytes) and id_ else text(id_, "id").encode() for id_ in found]
    except (EmocapError, ValueError, RecursionError) as error:
        raise EmocapError(f"{source}: its list of ids cannot be read: {error}") from error


def _parse(where: str, id_: bytes, value: bytes | None) -> Record:
    if value is None:
        raise EmocapError("is in the list of ids but not in the database")
    if value.startswith(b"PK"):
        return record_of_npz(where, text(id_, "id").removesuffix(".npz"), io.BytesIO(value))
    # Every pickle ends in a stop; msgpack of UNITER's numbers does not begin as one.
    if not value.endswith(b"."):
        raise EmocapError("is neither a pickle nor an .npz; of UNITER's databases give a compressed one")
    fields = plain_pickle(value)
    if not isinstance(fields, dict):
        raise EmocapError(f"is a pickled {type(fields).__name__}, expected a dict")
    return record_of_fields(where, {**fields, "image_id": id_})


def _fields(record: Record) -> dict[str, Any]:
    boxes, (width, height) = boxes_and_size(record)
    return {
        "image_id": record.id,
        "image_h": str(height),
        "image_w": str(width),
        "num_boxes": str(len(record.features)),
        "boxes": encoded(boxes, "<f4"),
        "features": encoded(record.features, "<f4"),
    }


def _shown(id_: bytes) -> str:
    return id_[:80].decode(errors="replace")
