"""Several corpora as one: their ids, groups and images are kept apart, and a caption that occurs again counts once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from emocap.corpora.duplicates import normalised_caption
from emocap.corpora.image_folders import common_folder
from emocap.corpora.pairs import SCHEMA, Pairs


@dataclass(frozen=True)
class Joined:
    """Several corpora as one of N pairs, in their order.

    Attributes:
        pairs: N pairs.
        corpus_of: (N,) the number of each pair's corpus.
        repeated: of each corpus, how many of its pairs are left out since an earlier pair has their caption.
    """

    pairs: Pairs
    corpus_of: np.ndarray
    repeated: list[int]


def corpus_names(paths: Sequence[Path]) -> list[str]:
    """A short name for each corpus, by its file or folder; a name that occurs again gets a number.

    >>> corpus_names([Path("a/news.csv.gz"), Path("b/news.csv"), Path("goemotions")])
    ['news', 'news-2', 'goemotions']
    """
    names: list[str] = []
    for path in paths:
        stem = path.name.split(".")[0] or path.name
        candidates = [stem, *(f"{stem}-{number}" for number in range(2, len(paths) + 1))]
        names.append(next(name for name in candidates if name not in names))
    return names


def join_corpora(corpora: Sequence[Pairs], names: Sequence[str]) -> Joined:
    """The pairs of all corpora, without those whose caption an earlier pair has.

    Captions are compared by `normalised_caption`. A pair with an image that can be seen is left out only where an
    earlier pair has its image and its caption. Images become relative to the folder that contains the folders of all;
    those of a corpus without a folder are named by the corpus, so that they are no other's.

    Args:
        corpora: one or more.
        names: of each corpus, which its pairs' ids and groups begin with; all are different.
    """
    roots = [pairs.image_root for pairs in corpora if pairs.image_root is not None]
    root = common_folder(roots) if roots else None
    tables = [_own_table(pairs, name, root) for pairs, name in zip(corpora, names, strict=True)]
    is_open = any(pairs.open_vocabulary for pairs in corpora)
    whole = Pairs(pa.concat_tables(tables), root, (), is_open)
    corpus_of = np.repeat(np.arange(len(corpora)), [len(pairs) for pairs in corpora])
    is_seen = np.array([pairs.image_root is not None for pairs in corpora])[corpus_of]
    rows = _first_rows(whole, is_seen)
    sizes, kept = (np.bincount(numbers, minlength=len(corpora)) for numbers in (corpus_of, corpus_of[rows]))
    return Joined(whole.select(rows), corpus_of[rows], (sizes - kept).tolist())


def _first_rows(pairs: Pairs, is_seen: np.ndarray) -> np.ndarray:
    """The numbers of the rows that no earlier row repeats; `is_seen` (N,) says of which rows images can be seen."""
    captions: set[str] = set()
    seen: set[tuple[str, str]] = set()
    rows = []
    for row, (image, caption) in enumerate(zip(pairs.images, pairs.captions, strict=True)):
        text, has_image = normalised_caption(caption), bool(image and is_seen[row])
        if (image, text) not in seen if has_image else text not in captions:
            rows.append(row)
        captions.add(text)
        if has_image:
            seen.add((image, text))
    return np.array(rows, dtype=np.int64)


def _own_table(pairs: Pairs, name: str, root: Path | None) -> pa.Table:
    """The table of one corpus with ids and groups that begin with its name, and images relative to `root`."""
    prefix = f"{name}.no-images/"
    if root is not None and pairs.image_root is not None:
        below = pairs.image_root.absolute().relative_to(root.absolute()).as_posix()
        prefix = "" if below == "." else f"{below}/"
    columns = {
        "pair_id": [f"{name}:{pair_id}" for pair_id in pairs.pair_ids],
        "image": [f"{prefix}{image}" if image else "" for image in pairs.images],
        "group": [None if group is None else f"{name}:{group}" for group in pairs.groups],
    }
    table = pairs.table
    for column, values in columns.items():
        place = SCHEMA.get_field_index(column)
        table = table.set_column(place, SCHEMA.field(column), pa.array(values, pa.string()))
    return table.cast(SCHEMA)
