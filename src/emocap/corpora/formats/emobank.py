"""EmoBank (Buechel and Hahn 2017): sentences with the valence, arousal and dominance that about five people gave.

The official `emobank.csv` has the columns `id,split,V,A,D,text`. The readers' half with its spread is read too:
`id,split,valence,arousal,dominance,std_valence,std_arousal,std_dominance,raters,text`. Scales run from 1 to 5.
"""

from dataclasses import replace
from pathlib import Path

from emocap.corpora.formats.file_starts import first_bytes, has_columns, header_of
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.table import read_table
from emocap.ratings import Ratings

RATINGS = Ratings.of({"valence": [1, 5], "arousal": [1, 5], "dominance": [1, 5]})
OFFICIAL = ("id", "split", "V", "A", "D", "text")
READERS = ("id", "split", *RATINGS.names, *(f"std_{name}" for name in RATINGS.names), "raters", "text")


def is_emobank(start: bytes) -> bool:
    """Whether the header of a table has the columns of either form."""
    return has_columns(start, *OFFICIAL) or has_columns(start, *READERS)


def read_emobank(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """One pair without emotions per sentence, with its ratings; columns and ratings that a user names count before.

    Raises:
        EmocapError: a column is missing, or no usable row.
    """
    options = options or ReadOptions()
    header, ratings = set(header_of(first_bytes(path))), options.ratings or RATINGS
    columns: dict[str, str] = {"pair_id": "id", "caption": "text"}
    for name in (name for name in ratings.names if name in RATINGS.names):
        short = name[0].upper()
        roles = {name: (name, short), f"{name}_sd": (f"std_{name}",), f"{name}_n": ("raters",)}
        for role, candidates in roles.items():
            if (column := next((column for column in candidates if column in header), None)) is not None:
                columns[role] = column
    return read_table(path, images, replace(options, columns={**columns, **options.columns}, ratings=ratings))
