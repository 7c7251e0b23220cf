"""The one table of corpus formats, and reading a corpus by its format.

To add a corpus, write its reader in a file of its own and add a row to `FORMATS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emocap.corpora.coco import is_coco, read_coco
from emocap.corpora.flickr8k import CAPTIONS_FILE, read_flickr8k, read_flickr8k_expressions
from emocap.corpora.goemotions import NAMES_FILE, read_goemotions
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.socratis import read_socratis_csv, read_socratis_json
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

FIRST_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """One format of a corpus.

    Attributes:
        description: what the file is.
        read: its reader, of the file, the folder of its images (None for captions alone) and the options.
        matches: whether a file's path and first bytes indicate this format.
        companions: names of further files that the reader reads in the same folder.
        has_columns: whether it has columns that the options may name, and cells of labels.
    """

    description: str
    read: Callable[[Path, Path | None, ReadOptions], Pairs]
    matches: Callable[[Path, bytes], bool]
    companions: tuple[str, ...] = ()
    has_columns: bool = False


# A format is guessed in this order: the first that matches.
FORMATS: dict[str, Format] = {
    "socratis": Format(
        "the official JSON with separate annotators",
        read_socratis_json,
        lambda path, start: path.suffix == ".json" and not is_coco(path, start),
    ),
    "coco": Format("captions JSON", read_coco, is_coco),
    "goemotions": Format("TSV", read_goemotions, lambda path, _: path.suffix == ".tsv", (NAMES_FILE,)),
    "socratis-csv": Format(
        "flattened CSV of Socratis",
        read_socratis_csv,
        lambda _, start: start.startswith(b"image_name,"),
        has_columns=True,
    ),
    "flickr8k-expressions": Format(
        "FlickrFace11K CSV",
        read_flickr8k_expressions,
        lambda _, start: start.split(b"\n")[0].strip() == b"image,emotion",
        (CAPTIONS_FILE,),
    ),
    "flickr8k": Format("captions.txt", read_flickr8k, lambda path, _: path.name == CAPTIONS_FILE),
    "table": Format("any CSV, TSV, JSONL, JSON or Parquet", read_table, lambda _, __: True, has_columns=True),
}


def read_corpus(format_: str, path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """The pairs of a corpus.

    Args:
        format_: a key of `FORMATS`.
        path: the file.
        images: folder of the images, or None for captions alone.
        options: names of columns and notation of labels, and whether labels are read.

    Raises:
        EmocapError: unknown format, options that the format has not, nothing at `path` or `images`, or an
            unusable file.
    """
    if format_ not in FORMATS:
        raise EmocapError(unknown_format(format_))
    if not Path(path).is_file():
        raise EmocapError(f"{path}: no such file; check the path or fetch it with 'emocap download'")
    if images is not None and not Path(images).is_dir():
        raise EmocapError(f"{images}: no such folder of images; check the path, or leave images out for captions alone")
    options = options or ReadOptions()
    if not options.is_default and not FORMATS[format_].has_columns:
        raise EmocapError(f"{path}: columns and label settings are for tables, but the format is {format_}")
    return FORMATS[format_].read(Path(path), Path(images) if images is not None else None, options)


def unknown_format(format_: str) -> str:
    """The message for a format that is not in `FORMATS`, with a description of those that are."""
    expected = ", ".join(f"{name} ({format_.description})" for name, format_ in FORMATS.items())
    return f"format is {format_!r}, expected one of {expected}"


def corpus_files(format_: str, path: Path) -> list[Path]:
    """Every file that the reader of a format reads: the corpus's own and its companions."""
    companions = FORMATS[format_].companions if format_ in FORMATS else ()
    return [Path(path), *(Path(path).parent / name for name in companions)]


def guess_format(path: Path) -> str:
    """The first format that a file's name and first bytes match.

    Raises:
        EmocapError: the file cannot be opened.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise EmocapError(f"{path}: not a file; give the corpus's own file")
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise EmocapError(f"{path}: cannot be opened ({error.strerror})") from None
    return next(name for name, format_ in FORMATS.items() if format_.matches(path, start))
