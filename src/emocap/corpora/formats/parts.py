"""Corpora whose parts are files of their own: the folder of all of them is the corpus with its own split."""

from collections.abc import Sequence
from pathlib import Path

from emocap.errors import EmocapError


def part_files(path: Path, names: Sequence[str]) -> list[Path]:
    """The file itself, or those files of a folder that exist, in the order of `names`; each may end in `.gz`.

    Raises:
        EmocapError: the folder has none of them.
    """
    if not path.is_dir():
        return [path]
    files = [found for name in names if (found := existing(path / name)) is not None]
    if not files:
        raise EmocapError(f"{path}: contains none of {', '.join(names)}")
    return files


def part_of(file: Path, path: Path) -> str | None:
    """The part that a file of a folder is, by its name; None for a file given alone, which is no split of a corpus."""
    return None if file == path else file.name.split(".")[0]


def existing(path: Path) -> Path | None:
    """The file, or the same compressed with gzip, or None if there is neither."""
    return next((file for file in (path, path.with_name(f"{path.name}.gz")) if file.is_file()), None)
