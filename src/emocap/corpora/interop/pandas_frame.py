"""Pairs from and to a pandas data frame."""

from pathlib import Path
from typing import Any

from emocap.corpora.interop.columns import (
    library,
    named_columns,
    new_builder,
    pairs_of_columns,
    plain,
    require_exact_ids,
)
from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError

SOURCE = "data frame"
INDEX_COLUMN = "pair_id"


def from_pandas(frame: Any, images: str | Path | None = None, **options: Any) -> Pairs:
    """One pair per row of a `pandas.DataFrame`, read as `read_table` reads a file.

    Missing values are None, NaN, `pandas.NA` and NaT. Cells of labels may be lists, tuples, sets, arrays, objects of
    scores, or text in any notation. The index is ignored, except one named pair_id.

    Args:
        frame: with the columns `caption` and, optionally, `image`, `emotions`, `pair_id`, `annotator`, `group` and
            `split`, or others that `columns` name.
        images: folder of the images; None for captions alone.
        options: those of `ReadOptions`: `columns`, `label_separator`, `label_threshold`, `labels`.

    Raises:
        EmocapError: not a data frame, columns of several levels or of the same name, ids that lost digits as floats,
            or as `read_table`.
    """
    if not isinstance(frame, library("pandas").DataFrame):
        raise EmocapError(f"{SOURCE}: is {type(frame).__name__}, expected pandas.DataFrame")
    if frame.columns.nlevels > 1:
        raise EmocapError(
            f"{SOURCE}: columns have {frame.columns.nlevels} levels, expected one; join their names to one, such as "
            "frame.columns = ['_'.join(names) for names in frame.columns]"
        )
    read_options = ReadOptions(**options)
    builder = new_builder(SOURCE, images)
    series = named_columns(builder, frame.items())
    for name in frame.index.names:
        if name == INDEX_COLUMN and INDEX_COLUMN not in series:
            series[INDEX_COLUMN] = frame.index.get_level_values(name)
        elif name is not None:
            builder.notes.append(f"the index {name!r} is not read; frame.reset_index() makes it a column")
    columns = {name: list(map(plain, values.tolist())) for name, values in series.items()}
    dtypes = {name: str(values.dtype).lower() for name, values in series.items()}
    require_exact_ids(builder.source, columns, dtypes, read_options)
    return pairs_of_columns(builder, columns, read_options)


def to_pandas(pairs: Pairs) -> Any:
    """A `pandas.DataFrame` with the columns of `SCHEMA`, which `from_pandas` reads back without loss.

    Emotions and annotations are Python lists, which `to_csv` writes readably, or None; not numpy arrays, which it
    writes without commas.

    Raises:
        EmocapError: pandas is not installed.
    """
    pandas = library("pandas")
    nested = ("emotions", "annotations", "ratings")
    frame = pairs.table.drop_columns(list(nested)).to_pandas()
    for name in nested:
        cells = pandas.Series(pairs.table[name].to_pylist(), index=frame.index, dtype=object)
        frame.insert(pairs.table.column_names.index(name), name, cells)
    return frame
