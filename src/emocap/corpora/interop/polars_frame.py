"""Pairs from and to a polars data frame."""

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
from emocap.corpora.options import ReadOptions, may_have_role
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError

SOURCE = "data frame"


def from_polars(frame: Any, images: str | Path | None = None, **options: Any) -> Pairs:
    """One pair per row of a `polars.DataFrame`, or of a `LazyFrame`, which is collected; read as `read_table` does.

    A row with an empty list of emotions is a pair that evokes none. Mind that `explode` in polars 2 removes such rows
    unless `empty_as_null=True`, so that grouping the rows again does not bring them back.

    Args:
        frame: as for `from_pandas`.
        images: folder of the images; None for captions alone.
        options: those of `ReadOptions`.

    Raises:
        EmocapError: not a data frame, ids that lost digits as floats, or as `read_table`.
    """
    polars = library("polars")
    if isinstance(frame, polars.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, polars.DataFrame):
        raise EmocapError(f"{SOURCE}: is {type(frame).__name__}, expected polars.DataFrame or LazyFrame")
    read_options = ReadOptions(**options)
    builder = new_builder(SOURCE, images)
    kept = [one for one in frame.get_columns() if not _is_vector(one.dtype) or may_have_role(one.name, read_options)]
    series = named_columns(builder, ((one.name, one) for one in kept))
    columns = {name: list(map(plain, values.to_list())) for name, values in series.items()}
    dtypes = {name: str(values.dtype).lower() for name, values in series.items()}
    require_exact_ids(builder.source, columns, dtypes, read_options)
    return pairs_of_columns(builder, columns, read_options)


def _is_vector(dtype: Any) -> bool:
    """Whether cells are vectors of floats, such as embeddings, which have no role."""
    inner = getattr(dtype, "inner", None)
    return inner is not None and inner.is_float()


def to_polars(pairs: Pairs) -> Any:
    """A `polars.DataFrame` with the columns of `SCHEMA`, which `from_polars` reads back without loss.

    Raises:
        EmocapError: polars is not installed.
    """
    return library("polars").from_arrow(pairs.table)
