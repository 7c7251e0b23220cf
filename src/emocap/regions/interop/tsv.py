"""The TSVs of bottom-up attention and of LXMERT: a line per image, arrays in base64, read as a stream.

Layouts: peteanderson80/bottom-up-attention, `tools/generate_tsv.py` (Anderson et al. 2018), and airsplay/lxmert,
`src/utils.py` (Tan and Bansal 2019). Neither has a head line.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.progress import track
from emocap.regions.interop.records import Found, Record, boxes_and_size, encoded, record_of_fields, usable

TSV = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT = (
    "img_id",
    "img_h",
    "img_w",
    "objects_id",
    "objects_conf",
    "attrs_id",
    "attrs_conf",
    "num_boxes",
    "boxes",
    "features",
)
MAX_LINE_BYTES = 64 * 2**20
_MIB = 2**20


def read_tsv(source: Path) -> Found:
    """The records of a bottom-up-attention TSV.

    Raises:
        EmocapError: the file cannot be read, or is no text.
    """
    return _read(source, TSV)


def read_lxmert(source: Path) -> Found:
    """The records of an LXMERT TSV, with objects; raises as `read_tsv`."""
    return _read(source, LXMERT)


def columns_of(source: Path) -> int:
    """Number of columns of the first line; 0 where it is no line of text."""
    with source.open("rb") as file:
        if b"\0" in file.read(4096):
            return 0
        file.seek(0)
        line = file.readline(MAX_LINE_BYTES)
    return line.count(b"\t") + 1 if line.strip() else 0


def write_tsv(records: Iterable[Record], out: Path) -> None:
    """Write a bottom-up-attention TSV, whole or not at all.

    Raises:
        EmocapError: an id would break the line, or the file cannot be written.
    """
    _write(records, out, TSV)


def write_lxmert(records: Iterable[Record], out: Path) -> None:
    """Write an LXMERT TSV of records with objects; raises as `write_tsv`."""
    _write(records, out, LXMERT)


def _read(source: Path, names: tuple[str, ...]) -> Found:
    if not columns_of(source):
        raise EmocapError(
            f"{source}: {'not text' if source.stat().st_size else 'empty'}, expected lines of {len(names)} columns: "
            f"{', '.join(names)}"
        )
    try:
        with source.open("rb") as file:
            total = source.stat().st_size // _MIB + 1
            for block in track(_blocks(file, source), f"reading {source.name}", total, "MiB"):
                for number, line in block:
                    yield usable(f"{source}: line {number}", _parse, line, names)
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read ({error.strerror or error})") from error


def _parse(where: str, line: bytes, names: tuple[str, ...]) -> Record:
    fields = line.rstrip(b"\r\n").decode(errors="surrogateescape").split("\t")
    if len(fields) != len(names):
        raise EmocapError(f"has {len(fields)} columns, expected {len(names)}; cut short?")
    return record_of_fields(where, dict(zip(names, fields, strict=True)))


def _blocks(file: IO[bytes], source: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines in as many lists as the file has MiB begun, since the number of its lines is not known ahead."""
    block: list[tuple[int, bytes]] = []
    told = 0
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), 1):
        if len(line) == MAX_LINE_BYTES:
            raise EmocapError(
                f"{source}: line {number} has more than {MAX_LINE_BYTES // _MIB} MiB; its line ends are lost, or it is "
                "another kind of file"
            )
        block.append((number, line))
        behind = file.tell() // _MIB - told
        if behind:
            yield block
            block = []
            yield from ([] for _ in range(behind - 1))
            told += behind
    yield block


def _write(records: Iterable[Record], out: Path, names: tuple[str, ...]) -> None:
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        for record in records:
            if any(mark in record.id for mark in "\t\r\n"):
                raise EmocapError(f"image {record.where!r}: its id holds a tab or a line end, which no TSV can hold")
            fields = _fields(record)
            file.write(b"\t".join(fields[name] for name in names) + b"\n")


def _fields(record: Record) -> dict[str, bytes]:
    boxes, size = boxes_and_size(record)
    width, height = (str(side).encode() for side in size)
    fields = {
        "num_boxes": str(len(record.features)).encode(),
        "boxes": encoded(boxes, "<f4"),
        "features": encoded(record.features, "<f4"),
    }
    for prefix in ("image", "img"):
        fields |= {f"{prefix}_id": record.id.encode(), f"{prefix}_w": width, f"{prefix}_h": height}
    if record.objects is not None:
        objects = record.objects
        fields |= {
            "objects_id": encoded(objects["object"], "<i8"),
            "objects_conf": encoded(objects["object_probability"], "<f4"),
            "attrs_id": encoded(objects["attribute"], "<i8"),
            "attrs_conf": encoded(objects["attribute_probability"], "<f4"),
        }
    return fields
