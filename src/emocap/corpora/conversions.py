"""The methods of `Pairs` that read and write the tables and datasets of other libraries."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self


class Conversions:
    """Pairs from and to pandas, polars, Hugging Face `datasets` and WebDataset.

    The options are those of `ReadOptions`: `columns`, `label_separator`, `label_threshold` and `labels`.
    """

    @classmethod
    def from_pandas(cls, frame: Any, images: str | Path | None = None, **options: Any) -> Self:
        """The pairs of a pandas data frame: see `emocap.corpora.interop.pandas_frame.from_pandas`."""
        return _module("pandas_frame").from_pandas(frame, images, **options)

    @classmethod
    def from_polars(cls, frame: Any, images: str | Path | None = None, **options: Any) -> Self:
        """The pairs of a polars data frame: see `emocap.corpora.interop.polars_frame.from_polars`."""
        return _module("polars_frame").from_polars(frame, images, **options)

    @classmethod
    def from_dataset(cls, dataset: Any, images: str | Path | None = None, **options: Any) -> Self:
        """The pairs of a Hugging Face dataset: see `emocap.corpora.interop.hf_dataset.from_dataset`."""
        return _module("hf_dataset").from_dataset(dataset, images, **options)

    @classmethod
    def from_webdataset(
        cls, paths: str | Path | Iterable[str | Path], names: Sequence[str] | None = None, **options: Any
    ) -> Self:
        """The pairs of WebDataset shards: see `emocap.corpora.interop.webdataset_shards.from_webdataset`."""
        return _module("webdataset_shards").from_webdataset(paths, names, **options)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`: see `emocap.corpora.interop.pandas_frame.to_pandas`."""
        return _module("pandas_frame").to_pandas(self)

    def to_polars(self) -> Any:
        """A `polars.DataFrame`: see `emocap.corpora.interop.polars_frame.to_polars`."""
        return _module("polars_frame").to_polars(self)

    def to_dataset(self, *, with_images: bool = False) -> Any:
        """A `datasets.Dataset`: see `emocap.corpora.interop.hf_dataset.to_dataset`."""
        return _module("hf_dataset").to_dataset(self, with_images=with_images)


def _module(name: str) -> Any:
    """A module of `interop`, by its name: those modules build on the table reader, which builds on `Pairs`."""
    return import_module(f"emocap.corpora.interop.{name}")
