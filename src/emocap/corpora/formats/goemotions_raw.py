"""GoEmotions' `goemotions_{1,2,3}.csv` (Demszky et al. 2020, arXiv 2005.00547): one row for each rater of a comment."""

from collections import Counter
from pathlib import Path

from emocap.corpora.formats.parts import part_files
from emocap.corpora.labels import as_binary
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns
from emocap.errors import EmocapError

FILES = ("goemotions_1.csv", "goemotions_2.csv", "goemotions_3.csv")
UNCLEAR = "example_very_unclear"
NEEDED = ("text", "id", "rater_id", UNCLEAR)


def read_goemotions_raw(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per comment, with one annotator for each rater; emotions are the columns behind `example_very_unclear`.

    A rater who found a comment very unclear named no emotion, which is no answer: such ratings are left out and counted
    in a note, and so are the comments that no rater found clear.

    Args:
        path: one of the three files, or the folder of all of them: the raters of a comment are spread over the files.

    Raises:
        EmocapError: images are given, a column is missing, or no usable row.
    """
    if images is not None:
        raise EmocapError(f"{images}: GoEmotions has no images; leave them out")
    labelled = options is None or options.labels
    builder = PairsBuilder(path)
    seen: set[str] = set()
    unclear: Counter[str] = Counter()
    rated: set[str] = set()
    files = part_files(path, FILES)
    for file in files:
        header, rows = csv_rows(file, builder)
        require_columns(file, header, NEEDED)
        emotions = header[header.index(UNCLEAR) + 1 :]
        for line, row in rows:
            where = f"line {line}" if file == path else f"{file.name}: line {line}"
            comment = row["id"].strip()
            if not labelled:
                if comment not in seen and builder.add(where, comment, None, row["text"]):
                    seen.add(comment)
            elif as_binary(row[UNCLEAR]):
                unclear[comment] += 1
            else:
                named = [name for name in emotions if as_binary(row[name])]
                if builder.add_rating(where, comment, None, row["text"], named, row["rater_id"].strip()):
                    rated.add(comment)
    if unclear:
        builder.notes.append(
            f"{unclear.total()} ratings of comments that the rater found very unclear are left out, and "
            f"{len(set(unclear) - rated)} comments that no rater found clear"
        )
    if path.is_file() and path.name.removesuffix(".gz") in FILES:
        builder.notes.append("the raters of a comment are spread over the three files; give their folder to read all")
    return builder.build()
