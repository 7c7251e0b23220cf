"""NEmo+ (Gao et al. 2022): what about ten people each felt on a news headline, its photograph or both, and why.

One row per answer: `item,shown,headline,image,answer,emotion,reason`. Left out: the intensity of the emotion.
"""

from collections import Counter
from pathlib import Path

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.row_filter import kept_rows
from emocap.corpora.rows import csv_rows, require_columns

COLUMNS = ("item", "shown", "headline", "image", "answer", "emotion", "reason")


def read_nemo(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per item and what was shown of it, with one annotator for each answer; no split divides an item.

    People who saw only the headline have a pair without an image. Those who saw only the image keep the headline as
    caption, since a pair needs one, and are counted in a note; `options.where` of the column `shown` leaves them out.

    Raises:
        EmocapError: a column is missing, or no usable row.
    """
    builder = PairsBuilder(path, images)
    options = options or ReadOptions()
    header, rows = csv_rows(path, builder)
    require_columns(path, header, COLUMNS)
    shown: Counter[str] = Counter()
    seen: set[str] = set()
    numbered = ((f"line {line}", line, row) for line, row in rows)
    for where, _, row in kept_rows(builder, header, numbered, options.where):
        what = row["shown"].strip()
        pair_id = f"{row['item'].strip()}:{what}"
        image = None if what == "headline" else row["image"]
        emotion = row["emotion"].strip()
        if not options.labels:
            if pair_id not in seen and builder.add(where, pair_id, image, row["headline"], group=row["item"]):
                seen.add(pair_id)
        elif not emotion:
            builder.reject(where, "emotion is empty")
        else:
            builder.add_rating(
                where, pair_id, image, row["headline"], [emotion], group=row["item"], explanations=[row["reason"]]
            )
        shown[what] += 1
    if shown["image"]:
        builder.notes.append(
            f"{shown['image']} of {shown.total()} answers are of people who saw the image without its headline"
        )
    return builder.build()
