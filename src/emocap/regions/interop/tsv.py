"""The TSV formats of bottom-up attention and LXMERT: one line per image, arrays in base64, read as a stream.

The features are float32 as published, or float16 or float64 as others write them, which the file does not record.

Layouts: peteanderson80/bottom-up-attention, `tools/generate_tsv.py` (Anderson et al. 2018), and airsplay/lxmert,
`src/utils.py` (Tan and Bansal 2019). Neither has a header line.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.progress import track
from emocap.regions.interop.dtypes import require_inferred
from emocap.regions.interop.records import (
    Record,
    Records,
    boxes_and_size_or_zero,
    encode_base64,
    feature_bytes,
    parse_fields,
    parse_or_reject,
)

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


def read_tsv(source: Path, dtype: str | None = None) -> Records:
    """The records of a bottom-up-attention TSV.

    Args:
        source: the file.
        dtype: of the features, a name in `DTYPES`; None infers it.

    Raises:
        EmocapError: the file cannot be read, is not text, or the dtype of its features cannot be inferred.
    """
    return read_lines(source, partial(columns_of, names=TSV), parse_fields, dtype)


def read_lxmert(source: Path, dtype: str | None = None) -> Records:
    """The records of an LXMERT TSV, with objects; raises as `read_tsv`."""
    return read_lines(source, partial(columns_of, names=LXMERT), parse_fields, dtype)


def read_lines(
    source: Path,
    fields_of: Callable[[bytes], dict[str, Any]],
    parse: Callable[[str, dict[str, Any], str], Record],
    dtype: str | None,
) -> Records:
    """The records of a file with one line per image.

    Args:
        source: the file.
        fields_of: a line's fields by name; raises EmocapError for one that is damaged.
        parse: the record of a place, its fields and the dtype of features; raises EmocapError likewise.
        dtype: of the features, a name in `DTYPES`; None infers it.

    Raises:
        EmocapError: the file cannot be read, is not text, or the dtype of its features cannot be inferred.
    """
    if not count_columns(source):
        raise EmocapError(
            f"{source}: {'not text' if source.stat().st_size else 'empty'}, expected lines of {len(TSV)} columns "
            f"({', '.join(TSV)}), or LXMERT's {len(LXMERT)}"
        )
    try:
        dtype = dtype or require_inferred(source, _feature_samples(source, fields_of))
        with source.open("rb") as file:
            total = source.stat().st_size // _MIB + 1
            for block in track(_blocks(file, source), f"reading {source.name}", total, "MiB"):
                for number, line in block:
                    yield parse_or_reject(f"{source}: line {number}", _parse, line, fields_of, parse, dtype)
    except OSError as error:
        raise EmocapError(f"{source}: cannot be read ({error.strerror or error})") from error


def columns_of(line: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """The columns of a line by name.

    Raises:
        EmocapError: it has more or fewer.
    """
    fields = line.rstrip(b"\r\n").decode(errors="surrogateescape").split("\t")
    if len(fields) != len(names):
        raise EmocapError(f"has {len(fields)} columns, expected {len(names)}; truncated?")
    return dict(zip(names, fields, strict=True))


def count_columns(source: Path) -> int:
    """Number of columns of the first line; 0 if it is not a line of text."""
    with source.open("rb") as file:
        if b"\0" in file.read(4096):
            return 0
        file.seek(0)
        line = file.readline(MAX_LINE_BYTES)
    return line.count(b"\t") + 1 if line.strip() else 0


def write_tsv(records: Iterable[Record], out: Path) -> None:
    """Write a bottom-up-attention TSV atomically.

    Raises:
        EmocapError: an id contains a tab or line break, or the file cannot be written.
    """
    _write(records, out, TSV)


def write_lxmert(records: Iterable[Record], out: Path) -> None:
    """Write an LXMERT TSV of records with objects; raises as `write_tsv`."""
    _write(records, out, LXMERT)


def _parse(
    where: str,
    line: bytes,
    fields_of: Callable[[bytes], dict[str, Any]],
    parse: Callable[[str, dict[str, Any], str], Record],
    dtype: str,
) -> Record:
    return parse(where, fields_of(line), dtype)


def _feature_samples(source: Path, fields_of: Callable[[bytes], dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """Number of boxes and bytes of features of each valid line."""
    with source.open("rb") as file:
        for line in iter(partial(file.readline, MAX_LINE_BYTES), b""):
            with suppress(EmocapError):
                yield feature_bytes(fields_of(line))


def _blocks(file: IO[bytes], source: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines, one list per MiB: progress is counted in MiB, since the number of lines is unknown."""
    block: list[tuple[int, bytes]] = []
    n_yielded = 0
    for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), 1):
        if len(line) == MAX_LINE_BYTES:
            raise EmocapError(
                f"{source}: line {number} has more than {MAX_LINE_BYTES // _MIB} MiB; its line breaks are lost, or it "
                "is not a TSV"
            )
        block.append((number, line))
        n_new = file.tell() // _MIB - n_yielded
        if n_new:
            yield block
            block = []
            yield from ([] for _ in range(n_new - 1))
            n_yielded += n_new
    yield block


def _write(records: Iterable[Record], out: Path, names: tuple[str, ...]) -> None:
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        for record in records:
            if any(character in record.id for character in "\t\r\n"):
                raise EmocapError(
                    f"image {record.where!r}: its id contains a tab or line break, which a TSV cannot hold"
                )
            fields = _fields(record)
            file.write(b"\t".join(fields[name] for name in names) + b"\n")


def _fields(record: Record) -> dict[str, bytes]:
    boxes, size = boxes_and_size_or_zero(record)
    width, height = (str(side).encode() for side in size)
    fields = {
        "num_boxes": str(len(record.features)).encode(),
        "boxes": encode_base64(boxes, "<f4"),
        "features": encode_base64(record.features, "<f4"),
    }
    for prefix in ("image", "img"):
        fields |= {f"{prefix}_id": record.id.encode(), f"{prefix}_w": width, f"{prefix}_h": height}
    if record.objects is not None:
        objects = record.objects
        fields |= {
            "objects_id": encode_base64(objects["object"], "<i8"),
            "objects_conf": encode_base64(objects["object_probability"], "<f4"),
            "attrs_id": encode_base64(objects["attribute"], "<i8"),
            "attrs_conf": encode_base64(objects["attribute_probability"], "<f4"),
        }
    return fields
