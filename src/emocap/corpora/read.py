"""One place that knows every format of a corpus."""

from collections.abc import Callable
from pathlib import Path

from emocap.corpora.coco import read_coco
from emocap.corpora.flickr8k import read_flickr8k, read_flickr8k_expressions
from emocap.corpora.goemotions import read_goemotions
from emocap.corpora.pairs import Pairs
from emocap.corpora.socratis import read_socratis_csv, read_socratis_json
from emocap.corpora.table import read_table
from emocap.errors import EmocapError

FORMATS: dict[str, Callable[[Path, Path | None], Pairs]] = {
    "socratis": read_socratis_json,
    "socratis-csv": read_socratis_csv,
    "coco": read_coco,
    "flickr8k": read_flickr8k,
    "flickr8k-expressions": read_flickr8k_expressions,
    "goemotions": read_goemotions,
    "table": read_table,
}
BESIDE = {"goemotions": ("emotions.txt",), "flickr8k-expressions": ("captions.txt",)}


def read_corpus(format_: str, path: Path, images: Path | None = None) -> Pairs:
    """The pairs of a corpus.

    Args:
        format_: a key of `FORMATS`.
        path: the file.
        images: folder of the images, or None for captions alone.

    Raises:
        EmocapError: unknown format, nothing at `path` or `images`, or a file that cannot be used.
    """
    if format_ not in FORMATS:
        raise EmocapError(f"format is {format_!r}, expected one of {', '.join(FORMATS)}")
    if not Path(path).is_file():
        raise EmocapError(f"{path}: no such file; check the path or fetch it with 'emocap download'")
    if images is not None and not Path(images).is_dir():
        raise EmocapError(f"{images}: no such folder of images; check the path, or leave images out for captions alone")
    return FORMATS[format_](Path(path), Path(images) if images is not None else None)


def corpus_files(format_: str, path: Path) -> list[Path]:
    """Every file that the reader of a format reads: the corpus's own, and those that lie beside it."""
    return [Path(path), *(Path(path).parent / name for name in BESIDE.get(format_, ()))]


def guess_format(path: Path) -> str:
    """The format that a file's name and first bytes tell.

    Raises:
        EmocapError: the file cannot be opened.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise EmocapError(f"{path}: not a file; give the corpus's own file")
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise EmocapError(f"{path}: cannot be opened ({error.strerror})") from None
    if path.suffix == ".json":
        is_coco = path.name.startswith("captions_") or any(
            key in start for key in (b'"licenses"', b'"annotations"', b'"images"')
        )
        return "coco" if is_coco else "socratis"
    if path.suffix == ".tsv":
        return "goemotions"
    header = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if header.startswith(b"image_name,"):
        return "socratis-csv"
    if header.split(b"\n")[0].strip() == b"image,emotion":
        return "flickr8k-expressions"
    return "flickr8k" if path.name == "captions.txt" else "table"
