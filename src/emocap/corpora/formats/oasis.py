"""OASIS (Kurdi, Lozano and Banaji 2017): 900 images with mean valence and arousal, and no emotions as words.

The official `OASIS.csv` has the columns `,Theme,Category,Source,Valence_mean,Valence_SD,...` and CR line ends; the
image of `Acorns 1` is `Acorns 1.jpg`. Tables with the image's own name in a column `image` are read too.
"""

import re
from pathlib import Path

from emocap.corpora.formats.file_starts import header_of
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rating_columns import RatingFault, find_rating_columns, ratings_of_rows
from emocap.corpora.rows import csv_rows
from emocap.errors import EmocapError
from emocap.ratings import Ratings

NEEDED = frozenset({"theme", "valence_mean", "arousal_mean"})
RATINGS = Ratings.of({"valence": [1, 7], "arousal": [1, 7]})
NOTE = (
    "OASIS has mean valence and arousal, which are read as ratings from 1 to 7, and no emotions as words: the pairs "
    "are unlabelled; captions are the names of the themes"
)


def is_oasis(start: bytes) -> bool:
    """Whether a table has a theme, valence and arousal, and no captions of its own."""
    header = {name.lower() for name in header_of(start)}
    return header >= NEEDED and "caption" not in header


def read_oasis(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair without emotions per image: the caption is its theme without the number, which is its group too.

    Valence and arousal are read, unless `options.ratings` names others; no ratings are read where no labels are.

    Raises:
        EmocapError: a column is missing, a rating that is asked for is not there, or no usable row.
    """
    options = options or ReadOptions()
    builder = PairsBuilder(path, images)
    header, rows = csv_rows(path, builder)
    columns = {name.lower(): name for name in header}
    if not columns.keys() >= NEEDED:
        raise EmocapError(f"{path}: has the columns {', '.join(filter(None, header))}; expected Theme and Valence_mean")
    numbered = list(rows)
    rating_columns = find_rating_columns(path, [name for name in header if name], options.ratings or RATINGS, {})
    builder.scales = options.ratings or RATINGS
    rated = ratings_of_rows(path, [row for _, row in numbered], rating_columns) if options.labels else []
    for number, (line, row) in enumerate(numbered):
        ratings = rated[number] if rated else None
        if isinstance(ratings, RatingFault):
            builder.reject(f"line {line}", str(ratings))
            continue
        name = row[columns["theme"]].strip()
        image = row[columns["image"]] if "image" in columns else f"{name}.jpg"
        theme = re.sub(r"\s*\d+$", "", name)
        pair_id = image.strip().rsplit(".", 1)[0]
        builder.add(f"line {line}", pair_id, image, theme, group=theme.lower(), ratings=ratings)
    builder.notes.append(NOTE)
    return builder.build()
