"""ArtEmis (Achlioptas et al. 2021, arXiv 2101.07396): what people felt about paintings of WikiArt, and why.

Columns: `art_style,painting,emotion,utterance,repetition`. The image of a row is `art_style/painting.jpg`; its caption
is the utterance in which an annotator says why they felt the emotion. Annotators have no names; each wrote one row of a
painting. Left out: `repetition`, the number of rows of the painting.
"""

from collections import Counter
from pathlib import Path

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_rows, require_columns

COLUMNS = ("art_style", "painting", "emotion", "utterance")


def read_artemis(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair per row, with the emotion as its only label, `something else` included; `split` counts if there is one.

    Raises:
        EmocapError: a column is missing, or no usable row.
    """
    builder = PairsBuilder(path, images)
    labelled = options is None or options.labels
    header, rows = csv_rows(path, builder)
    require_columns(path, header, COLUMNS)
    counts: Counter[str] = Counter()
    for line, row in rows:
        painting = f"{row['art_style'].strip()}/{row['painting'].strip()}"
        emotion = row["emotion"].strip()
        if labelled and not emotion:
            builder.reject(f"line {line}", "emotion is empty")
            continue
        counts[painting] += 1
        pair_id = f"{painting}#{counts[painting]}"
        emotions = [emotion] if labelled else None
        builder.add(f"line {line}", pair_id, f"{painting}.jpg", row["utterance"], emotions, split=row.get("split"))
    return builder.build()
