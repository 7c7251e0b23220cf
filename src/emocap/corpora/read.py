"""The one table of corpus formats, and reading a corpus by its format.

To add a corpus, write its reader in a file of its own and add a row to `FORMATS`.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.formats import conceptual_captions, flickr_tokens, goemotions, goemotions_raw, nemo
from emocap.corpora.formats.artemis import COLUMNS as ARTEMIS_COLUMNS
from emocap.corpora.formats.artemis import read_artemis
from emocap.corpora.formats.captions_beside import CAPTIONS_TABLE
from emocap.corpora.formats.coco import is_coco, read_coco
from emocap.corpora.formats.emobank import is_emobank, read_emobank
from emocap.corpora.formats.emoset import FILES as EMOSET_FILES
from emocap.corpora.formats.emoset import is_emoset, read_emoset
from emocap.corpora.formats.emotic import FILES as EMOTIC_FILES
from emocap.corpora.formats.emotic import is_emotic, read_emotic
from emocap.corpora.formats.file_starts import first_bytes, has_columns, header_of, most_lines_match
from emocap.corpora.formats.flickr8k import CAPTIONS_FILE, is_flickr8k, read_flickr8k, read_flickr8k_expressions
from emocap.corpora.formats.flickr30k import is_flickr30k, read_flickr30k
from emocap.corpora.formats.flickrstyle import FACTUAL, is_flickrstyle, read_flickrstyle
from emocap.corpora.formats.karpathy import is_karpathy, is_senticap, read_karpathy, read_senticap
from emocap.corpora.formats.lewidi import is_lewidi, read_lewidi
from emocap.corpora.formats.mapped_tables import (
    SEMEVAL_EMOTIONS,
    read_flickrstyle_csv,
    read_goodnewseveryone,
    read_news_texts,
    read_semeval2007,
    read_senticap_csv,
)
from emocap.corpora.formats.oasis import is_oasis, read_oasis
from emocap.corpora.formats.parts import existing
from emocap.corpora.formats.socratis import is_socratis_json, read_socratis_csv, read_socratis_json
from emocap.corpora.image_folders import found_in_folders
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.row_files import table_suffix
from emocap.corpora.rows import csv_names
from emocap.corpora.table import read_table
from emocap.corpora.table_columns import Columns
from emocap.errors import EmocapError

PART_LISTS = tuple(flickr_tokens.PART_LISTS.values())


@dataclass(frozen=True)
class Format:
    """One format of a corpus.

    Attributes:
        description: what the file is.
        read: its reader, of the file, the folder of its images (None for captions alone) and the options.
        matches: whether a file's path and first bytes indicate this format.
        companions: names of further files that the reader reads in the same folder.
        parts: names of the files of the corpus's parts, if its reader takes their folder too.
        has_columns: whether it has columns that the options may name, and cells of labels.
        has_ratings: whether its reader reads the ratings that the options name.
        has_where: whether its reader leaves out the rows that the options do, without columns that they may name.
    """

    description: str
    read: Callable[[Path, Path | None, ReadOptions], Pairs]
    matches: Callable[[Path, bytes], bool]
    companions: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    has_columns: bool = False
    has_ratings: bool = False
    has_where: bool = False

    def takes(self, options: ReadOptions) -> bool:
        """Whether its reader does what the options of tables ask for."""
        return self.has_columns or (options if not self.has_where else replace(options, where={})).is_default


# A format is guessed in this order: the first that matches.
FORMATS: dict[str, Format] = {
    "socratis": Format("the official JSON with separate annotators", read_socratis_json, is_socratis_json),
    "lewidi": Format("the task's JSON with every annotator's labels", read_lewidi, is_lewidi),
    "senticap": Format("senticap_dataset.json", read_senticap, lambda _, start: is_senticap(start)),
    "karpathy": Format("Karpathy's dataset_*.json", read_karpathy, lambda _, start: is_karpathy(start)),
    "emoset": Format(
        "train.json, or the folder of the three lists",
        read_emoset,
        lambda _, start: is_emoset(start),
        (CAPTIONS_TABLE,),
        EMOSET_FILES,
    ),
    "coco": Format("captions JSON", read_coco, lambda _, start: is_coco(start)),
    "goemotions": Format(
        "TSV, or the folder of the three TSVs",
        goemotions.read_goemotions,
        lambda _, start: most_lines_match(start, goemotions.LINE),
        (goemotions.NAMES_FILE,),
        goemotions.FILES,
    ),
    "goemotions-raw": Format(
        "CSV of ratings, or the folder of the three CSVs",
        goemotions_raw.read_goemotions_raw,
        lambda _, start: has_columns(start, *goemotions_raw.NEEDED),
        parts=goemotions_raw.FILES,
    ),
    "conceptual-captions": Format(
        "TSV of captions and web addresses",
        conceptual_captions.read_conceptual_captions,
        lambda _, start: conceptual_captions.is_conceptual_captions(start),
    ),
    "flickr-tokens": Format(
        "Flickr8k.token.txt or results_20130124.token",
        flickr_tokens.read_flickr_tokens,
        lambda _, start: flickr_tokens.is_flickr_tokens(start),
        PART_LISTS,
    ),
    "flickr30k": Format("results.csv", read_flickr30k, lambda _, start: is_flickr30k(start)),
    "flickr8k": Format("captions.txt", read_flickr8k, is_flickr8k, PART_LISTS),
    "flickr8k-expressions": Format(
        "FlickrFace11K CSV",
        read_flickr8k_expressions,
        lambda _, start: header_of(start) == ("image", "emotion"),
        (CAPTIONS_FILE, *PART_LISTS),
    ),
    "socratis-csv": Format(
        "flattened CSV of Socratis",
        read_socratis_csv,
        lambda _, start: has_columns(start, "image_name", "caption"),
        has_columns=True,
    ),
    "artemis": Format("release CSV", read_artemis, lambda _, start: has_columns(start, *ARTEMIS_COLUMNS)),
    "emotic": Format(
        "CSV of mat2py, or the folder of the three CSVs",
        read_emotic,
        lambda _, start: is_emotic(start),
        (CAPTIONS_TABLE,),
        EMOTIC_FILES,
    ),
    "oasis": Format("CSV of valence and arousal", read_oasis, lambda _, start: is_oasis(start), has_ratings=True),
    "nemo-plus": Format(
        "CSV of answers", nemo.read_nemo, lambda _, start: has_columns(start, *nemo.COLUMNS), has_where=True
    ),
    "senticap-csv": Format(
        "flattened CSV of SentiCap",
        read_senticap_csv,
        lambda _, start: header_of(start) == ("image", "split", "sentiment", "caption"),
        has_columns=True,
    ),
    "flickrstyle": Format(
        "release's text files, or a CSV with factual.csv", read_flickrstyle, is_flickrstyle, (FACTUAL,)
    ),
    "flickrstyle-csv": Format(
        "CSV of FlickrStyle",
        read_flickrstyle_csv,
        lambda _, start: header_of(start) == ("image", "style", "caption"),
        has_columns=True,
    ),
    "goodnewseveryone": Format(
        "CSV with the readers' emotion",
        read_goodnewseveryone,
        lambda _, start: has_columns(start, "id", "headline", "reader_emotion"),
        has_columns=True,
    ),
    "semeval2007": Format(
        "CSV of headlines with scores",
        read_semeval2007,
        lambda _, start: has_columns(start, "id", "headline", *SEMEVAL_EMOTIONS),
        has_columns=True,
    ),
    "emobank": Format(
        "CSV of valence, arousal and dominance",
        read_emobank,
        lambda _, start: is_emobank(start),
        has_columns=True,
        has_ratings=True,
    ),
    "news-texts": Format(
        "CSV of short news texts",
        read_news_texts,
        lambda _, start: header_of(start) == ("text", "kind", "source"),
        has_columns=True,
    ),
    "table": Format("any CSV, TSV, JSONL, JSON or Parquet", read_table, lambda _, __: True, has_columns=True),
}


def read_corpus(
    format_: str, path: Path, images: Path | Sequence[Path] | None = None, options: ReadOptions | None = None
) -> Pairs:
    """The pairs of a corpus.

    Args:
        format_: a key of `FORMATS`.
        path: the file; for a corpus whose parts are files of their own, also their folder.
        images: folder of the images, or several, of which each image is in one; None for captions alone.
        options: names of columns and notation of labels, and whether labels are read.

    Raises:
        EmocapError: unknown format, options that the format has not, nothing at `path` or `images`, or an
            unusable file.
    """
    path, options = Path(path), options or ReadOptions()
    check_corpus(format_, path, images, options)
    folders = _folders(images)
    with _paused_garbage_collection():
        pairs = FORMATS[format_].read(path, folders[0] if folders else None, options)
        return pairs if len(folders) < 2 else found_in_folders(pairs, folders)


def check_corpus(
    format_: str, path: Path, images: Path | Sequence[Path] | None = None, options: ReadOptions | None = None
) -> None:
    """Check what can be known of a corpus before it is read: its format, its paths, and a table's columns.

    Raises:
        EmocapError: as `read_corpus`.
    """
    if format_ not in FORMATS:
        raise EmocapError(unknown_format(format_))
    path, format_row = Path(path), FORMATS[format_]
    if not path.is_file() and not (path.is_dir() and format_row.parts):
        raise EmocapError(f"{path}: no such file; check the path or fetch it with 'emocap download'")
    for folder in _folders(images):
        if not folder.is_dir():
            raise EmocapError(
                f"{folder}: no such folder of images; check the path, or leave images out for captions alone"
            )
    options = options or ReadOptions()
    if not format_row.takes(options):
        raise EmocapError(f"{path}: columns, where and label settings are for tables, but the format is {format_}")
    if options.ratings and not (format_row.has_columns or format_row.has_ratings):
        raise EmocapError(f"{path}: the format {format_} has no ratings that can be read; give --format table")
    if format_ == "table":
        names = _header_names(path)
        if names:
            Columns.find(path, names, options, needs_image=images is not None)


def _folders(images: Path | Sequence[Path] | None) -> list[Path]:
    if images is None:
        return []
    return [Path(images)] if isinstance(images, str | Path) else [Path(folder) for folder in images]


def _header_names(path: Path) -> list[str] | None:
    """The names of a table's columns without reading its rows; None where only the rows tell, or it is damaged."""
    suffix = table_suffix(path)
    try:
        if suffix == ".parquet":
            return list(pq.read_schema(path).names)
        if suffix in (".csv", ".tsv", ".txt"):
            return csv_names(first_bytes(path).decode("utf-8", "replace"))
    except (EmocapError, OSError, pa.ArrowException):
        pass  # the reader says what is wrong
    return None


@contextmanager
def _paused_garbage_collection() -> Iterator[None]:
    """Rows contain no reference cycles, and searching millions of them for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def unknown_format(format_: str) -> str:
    """The message for a format that is not in `FORMATS`, with a description of those that are."""
    expected = ", ".join(f"{name} ({format_.description})" for name, format_ in FORMATS.items())
    return f"format is {format_!r}, expected one of {expected}"


def corpus_files(format_: str, path: Path) -> list[Path]:
    """Every file that the reader of a format reads: the corpus's own, or those of its folder, and its companions."""
    path = Path(path)
    if format_ not in FORMATS:
        return [path]
    if not path.is_dir():
        return [path, *(path.parent / name for name in FORMATS[format_].companions)]
    parts = [existing(path / name) for name in FORMATS[format_].parts]
    return [*filter(None, parts), *(path / name for name in FORMATS[format_].companions)]


def guess_format(path: Path, options: ReadOptions | None = None) -> str:
    """The first format that a file's name and first bytes match, or those of a part of a corpus in a folder.

    Args:
        options: if they name columns or the notation of labels, only formats that have them are considered.

    Raises:
        EmocapError: the file cannot be opened, or the folder is no corpus.
    """
    path = Path(path)
    if path.is_dir():
        return _guess_folder(path)
    if path.exists() and not path.is_file():
        raise EmocapError(f"{path}: not a file; give the corpus's own file")
    start = first_bytes(path)
    options = options or ReadOptions()
    return next(name for name, format_ in FORMATS.items() if format_.takes(options) and format_.matches(path, start))


def _guess_folder(path: Path) -> str:
    for name, format_ in FORMATS.items():
        files = filter(None, (existing(path / part) for part in format_.parts))
        if any(format_.matches(file, first_bytes(file)) for file in files):
            return name
    parted = ", ".join(name for name, format_ in FORMATS.items() if format_.parts)
    raise EmocapError(f"{path}: is a folder without the files of a known corpus ({parted}); give the corpus's own file")
