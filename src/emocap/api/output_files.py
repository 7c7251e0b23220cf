"""Checks of the files that a command is to write, before it does any work; they import nothing heavy."""

import os
from collections.abc import Iterable
from pathlib import Path

from emocap.errors import EmocapError


def require_writable(out: Path, *, is_folder: bool = False) -> None:
    """Check that a file, or a folder, can be written under this name.

    Raises:
        EmocapError: the name is a folder's (or a file's, for a folder), it lies below a file, or its folder cannot be
            written.
    """
    if out.is_symlink() and not out.exists():
        raise EmocapError(f"{out}: is a link to {out.readlink()}, which does not exist; remove it or give another name")
    if out.is_dir() and not is_folder:
        raise EmocapError(f"{out}: is a folder; give the name of a file to write")
    if out.exists() and is_folder and not out.is_dir():
        raise EmocapError(f"{out}: is a file; give the name of a folder to write")
    folder = next(place for place in out.absolute().parents if os.path.lexists(place))
    if not folder.is_dir():
        raise EmocapError(f"{out}: cannot be written, since {folder} is not a folder; choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EmocapError(f"{out}: cannot be written, since {folder} allows no writing; choose another place")


def require_other_file(out: Path, inputs: Iterable[Path], what: str) -> None:
    """Check that a file to write is none of those that are read, under whatever name.

    Args:
        what: the files that are read are, such as "the corpus that is to be labelled".

    Raises:
        EmocapError: it is one of them, also through another spelling, a symbolic or a hard link.
    """
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise EmocapError(f"{out}: is {what}; choose another file to write")
