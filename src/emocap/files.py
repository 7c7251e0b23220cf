"""Files written whole or not at all (temporary name, fsync, rename), locks, and file hashes."""

import gzip
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from emocap.errors import EmocapError

_SYSTEM_FILES = (".ds_store", "thumbs.db", "desktop.ini")
_SYSTEM_FOLDER = "__MACOSX"

PART, OLD = ".emocap.part", ".emocap.old"
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)(?:-\w+)?\.emocap\.(?:part|old)")
SECONDS_OF_A_DAY = 86_400

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path next to `path`; what is written there becomes `path` if the block succeeds.

    Raises:
        EmocapError: the file cannot be written (no space, no permission); nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    with _write_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Give a temporary folder next to `path` that becomes `path` if the block succeeds.

    Args:
        replace: whether an existing folder is replaced; otherwise it is an error.

    Raises:
        EmocapError: the folder cannot be written; nothing is left behind and an older `path` stays.
    """
    path = Path(path)
    temporary = None
    with _write_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            prefix = f".{path.name}.{os.getpid()}-"
            temporary = Path(tempfile.mkdtemp(prefix=prefix, suffix=PART, dir=path.parent))
            yield temporary
            for file in [*temporary.rglob("*"), temporary]:
                sync(file)
            temporary.chmod(0o755)
            if replace:
                _replace_folder(temporary, path)
            else:
                temporary.rename(path)
            sync(path.parent)
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder within `parent` for the time of the block; those that killed processes left are removed.

    Args:
        name: of the work that the folder is for.

    Raises:
        EmocapError: it cannot be created.
    """
    with _write_errors(parent):
        _leftovers.cache_clear()
        _remove_leftovers(parent / name)
        folder = tempfile.TemporaryDirectory(prefix=f".{name}.{os.getpid()}-", suffix=PART, dir=parent)
    with folder as path:
        yield Path(path)


def _remove_leftovers(path: Path) -> None:
    """Remove what killed processes had not finished writing to `path`, and put an older folder back in its place."""
    for leftover in _leftovers(path.parent).pop(path.name, []):
        if leftover.name.endswith(OLD) and not path.exists():
            leftover.rename(path)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@cache
def _leftovers(folder: Path) -> dict[str, list[Path]]:
    """The temporary files and folders in a folder whose processes have ended, by the name they were to have.

    Looked up once, since folders of images are large.
    """
    found: dict[str, list[Path]] = {}
    for entry in os.scandir(folder):
        if (match := _TEMPORARY.fullmatch(entry.name)) and _has_ended(int(match["process"]), entry):
            found.setdefault(match["name"], []).append(folder / entry.name)
    return found


def _has_ended(process: int, entry: os.DirEntry[str]) -> bool:
    if os.name != "posix":  # where asking would end the process
        return entry.stat().st_mtime < time.time() - SECONDS_OF_A_DAY
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass
    return False


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmocapError(
            f"{path}: cannot be written ({error.strerror or error}); free space or choose another place"
        ) from error


def sync(path: Path) -> None:
    """Flush a file's contents, or a folder's names, to the disk; a no-op for a folder where none can be opened."""
    folders_can_be_opened = hasattr(os, "O_DIRECTORY")  # Windows cannot, and flushes writable descriptors only
    if path.is_dir() and not folders_can_be_opened:
        return
    descriptor = os.open(path, os.O_RDONLY if folders_can_be_opened else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_folder(new: Path, path: Path) -> None:
    """Replace a folder; if that fails the older one stays, and after a kill the next write puts it back."""
    if not path.exists():
        new.rename(path)
        return
    old = path.with_name(f".{path.name}.{os.getpid()}{OLD}")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


@contextmanager
def locked(path: Path, busy: str, timeout_s: float = 0) -> Iterator[None]:
    """Hold a lock file; the lock ends with the process, and the file stays.

    Args:
        path: the lock file; created with its folder if absent.
        busy: message of the error if the lock is held elsewhere.
        timeout_s: for how long to wait for it.

    Raises:
        EmocapError: another process or thread holds it, or the file cannot be created.
    """
    lock = FileLock(path, timeout=timeout_s)  # a new instance each time: one instance would be reentrant
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise EmocapError(busy) from None
    except OSError as error:
        raise EmocapError(
            f"{path.parent}: cannot be used as a folder to write in ({error.strerror or error})"
        ) from error
    try:
        yield
    finally:
        lock.release()


def cache_folder() -> Path:
    """Where files are kept that can be made again: `$EMOCAP_CACHE`, by default `~/.cache/emocap`."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emocap"
    return Path(os.environ.get("EMOCAP_CACHE") or default)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON whole or not at all; NaN is refused, since JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(value, indent=2, allow_nan=False)  # file names that are not UTF-8
    write_text(path, text + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path) -> np.ndarray:
    """The array in a .npy file, read without pickle.

    Raises:
        EmocapError: missing, cut short or damaged.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EmocapError(f"{path}: missing, cut short or damaged; delete it and run again") from error


def read_text(path: Path) -> str:
    """The UTF-8 text of a file, without a byte-order mark; one compressed with gzip is decompressed.

    Raises:
        EmocapError: the file is missing, unreadable, damaged or not UTF-8.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == GZIP_MAGIC
        if is_gzip:
            with gzip.open(path, "rt", encoding="utf-8-sig") as text:
                return text.read()
        return path.read_text(encoding="utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise EmocapError(f"{path}: damaged gzip file ({error}); download it again") from None
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8 (in Excel: CSV UTF-8)"
        raise EmocapError(f"{path}: not UTF-8 text at byte {error.start}; {hint}") from None
    except OSError as error:
        raise EmocapError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_json(path: Path, remedy: str = "") -> Any:
    """The value in a JSON file.

    Args:
        remedy: what to do where the file is not JSON, which ends the message.

    Raises:
        EmocapError: the file is missing, unreadable or not JSON; the line is named.
    """
    ending = f"; {remedy}" if remedy else ""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        place = f"at line {error.lineno}, column {error.colno}: {error.msg}"
        raise EmocapError(f"{path}: not valid JSON {place}{ending}") from None
    except (RecursionError, ValueError):
        raise EmocapError(f"{path}: JSON nested too deeply or with a number too long to read{ending}") from None


def is_system_file(path: PurePath) -> bool:
    """Whether macOS or Windows made this file: `._a.jpg`, `__MACOSX/a.jpg`, `.DS_Store`, `Thumbs.db`, `desktop.ini`.

    Args:
        path: relative to the folder that is searched; folders above it do not count.

    >>> is_system_file(PurePath("train/._a.npy")), is_system_file(PurePath("train/a.npy"))
    (True, False)
    """
    return path.name.startswith("._") or path.name.lower() in _SYSTEM_FILES or _SYSTEM_FOLDER in path.parts


def is_temporary(path: PurePath) -> bool:
    """Whether a file or folder, or one above it, is what `atomic_file` or `atomic_folder` had not finished.

    >>> is_temporary(PurePath("model/.a.json.71.part")), is_temporary(PurePath("model/a.part"))
    (True, False)
    """
    return any(part.startswith(".") and part.endswith((".part", ".old")) for part in path.parts)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
