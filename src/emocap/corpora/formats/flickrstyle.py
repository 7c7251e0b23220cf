"""FlickrStyle10K (Gan et al. 2017): `funny_train.txt` and `romantic_train.txt` as released, one caption per line, or
a CSV `image,style,caption`, with the factual captions of the same images from `factual.csv` in the same folder.
"""

from pathlib import Path

from emocap.corpora.labels import is_absent
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns
from emocap.errors import EmocapError

STYLES = {"funny_train": "humorous", "humor_train": "humorous", "romantic_train": "romantic"}
FACTUAL = "factual.csv"
PICKLES = ("train.p", "test.p", "funny_train.p", "humor_train.p", "romantic_train.p")


def is_flickrstyle(path: Path, start: bytes) -> bool:
    """Whether a file has one of the release's names: its lines are plain text, which content cannot tell."""
    return path.name in PICKLES or (path.suffix == ".txt" and _stem(path) in STYLES)


def read_flickrstyle(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per line, without an image; its style, `humorous` or `romantic`, is its only label too.

    A CSV is read by `read_flickrstyle_csv`. The names of the images are in `train.p`, a Python pickle, which is not
    read. A file that is not UTF-8 is read as Windows-1252, as a note says: the release mixes both.

    Raises:
        EmocapError: a pickle, images are given, or no usable line.
    """
    if path.suffix == ".csv":
        return read_flickrstyle_csv(path, images, options)
    if path.name in PICKLES:
        raise EmocapError(
            f"{path}: is a Python pickle, which is not read, since it can run code; docs/DATA.md has the lines that "
            "make a table of it and the captions"
        )
    if images is not None:
        raise EmocapError(f"{images}: {path.name} does not name its images; leave them out, or see docs/DATA.md")
    builder = PairsBuilder(path)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = content.decode("cp1252", "replace")
        builder.notes.append(f"is not UTF-8 at byte {error.start}; it was read as Windows-1252")
    except OSError as error:
        raise EmocapError(f"{path}: cannot be read ({error.strerror or error})") from error
    style = [STYLES[_stem(path)]] if options is None or options.labels else None
    for line, caption in enumerate(text.splitlines(), 1):
        if caption.strip():
            builder.add(f"line {line}", f"{_stem(path)}:{line}", None, caption, style, style=STYLES[_stem(path)])
    builder.notes.append("the images are named in a pickle, which is not read; captions alone are read")
    return builder.build()


def read_flickrstyle_csv(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per row of `image,style,caption`, after those of `factual.csv`, `image,caption`, which have no style.

    The pair's only label is its style, or `factual`. Of `factual.csv` all images are read, also those without a style.

    Raises:
        EmocapError: a column is missing, or no row is usable.
    """
    builder = PairsBuilder(path, images)
    with_labels = options is None or options.labels
    factual = path.with_name(FACTUAL)
    if factual.is_file():
        header, rows = csv_rows(factual, builder)
        require_columns(factual, header, ("image", "caption"))
        for line, row in rows:
            where, pair_id = f"{FACTUAL}, line {line}", f"{factual.stem}:{line}"
            labels = ["factual"] if with_labels else None
            builder.add(where, pair_id, row["image"].strip(), row["caption"], labels)
    else:
        builder.notes.append(f"{FACTUAL} is not in its folder; the styled captions alone are read")
    header, rows = csv_rows(path, builder)
    require_columns(path, header, ("image", "style", "caption"))
    for line, row in rows:
        if not is_absent(style := row["style"].strip()):
            labels = [style] if with_labels else None
            builder.add(
                f"line {line}", f"{path.stem}:{line}", row["image"].strip(), row["caption"], labels, style=style
            )
        else:
            builder.reject(f"line {line}", "style is empty")
    return builder.build()


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
