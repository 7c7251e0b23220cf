"""The tiny study of `tests/study`."""

from ..study.conftest import tiny_corpora, tiny_study

__all__ = ["tiny_corpora", "tiny_study"]
