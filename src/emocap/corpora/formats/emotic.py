"""EMOTIC (Kosti et al. 2019, arXiv 2003.13401): photographs with the 26 emotions that the people in them seem to feel.

Read is the CSV that `mat2py.py` of Tandon-A/emotic on GitHub writes of `Annotations.mat`: one row per person,
`Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age`. The captions are in a table of
their own (see `captions_beside`), since EMOTIC has none. Left out: boxes, gender, age, valence, arousal and dominance.
"""

from pathlib import Path

from emocap.corpora.formats.captions_beside import captions_beside, captions_of
from emocap.corpora.formats.file_starts import first_bytes, has_columns
from emocap.corpora.formats.parts import part_files, part_of
from emocap.corpora.labels import LabelFault, LabelReader
from emocap.corpora.options import NO_SEPARATOR, ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns
from emocap.errors import EmocapError

FILES = ("train.csv", "val.csv", "test.csv")
COLUMNS = ("Folder", "Filename", "Categorical_Labels")
MATLAB = b"MATLAB 5.0 MAT-file"


def is_emotic(start: bytes) -> bool:
    """Whether a file's first bytes indicate EMOTIC's annotations, as CSV or as MATLAB's."""
    return start.startswith(MATLAB) or has_columns(start, *COLUMNS)


def read_emotic(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per caption of an image; its emotions are those of all people in the image.

    Args:
        path: one of `train.csv`, `val.csv` and `test.csv`, or their folder: the corpus with its own split.
        images: folder with `mscoco/images`, `framesdb/images` and the others.

    Raises:
        EmocapError: a MATLAB file, a column or the table of captions is missing, or no usable row.
    """
    if path.is_file() and first_bytes(path).startswith(MATLAB):
        raise EmocapError(
            f"{path}: is a MATLAB file, which is not read; convert it with mat2py.py of github.com/Tandon-A/emotic and "
            "give the folder of train.csv, val.csv and test.csv"
        )
    captions = captions_beside(path, "EMOTIC")
    builder = PairsBuilder(path, images)
    labelled = options is None or options.labels
    found, splits = _people(path, builder, labelled=labelled)
    for image, emotions in found.items():
        own = captions_of(image, captions)
        if not own:
            builder.reject(f"image {image}", "has no caption in captions.csv")
        for number, caption in enumerate(own):
            named = sorted(emotions) if labelled else None
            builder.add(f"image {image}", f"{image}#{number}", image, caption, named, split=splits[image])
    builder.notes.append("emotions are those that the people in an image seem to feel, of all people in it together")
    return builder.build()


def _people(path: Path, builder: PairsBuilder, *, labelled: bool) -> tuple[dict[str, set[str]], dict[str, str | None]]:
    """Image to the emotions of all people in it, and image to its part."""
    found: dict[str, set[str]] = {}
    splits: dict[str, str | None] = {}
    reader = LabelReader(NO_SEPARATOR)
    for file in part_files(path, FILES):
        header, rows = csv_rows(file, builder)
        require_columns(file, header, COLUMNS)
        for line, row in rows:
            image = f"{row['Folder'].strip()}/{row['Filename'].strip()}"
            try:
                named = reader.read(row["Categorical_Labels"]) if labelled else []
            except LabelFault as fault:
                builder.reject(f"{file.name}: line {line}", str(fault))
                continue
            found.setdefault(image, set()).update(named)
            splits.setdefault(image, part_of(file, path))
    return found, splits
