"""SHA-256 of files: of a finished stage's outputs, which are checked on resume, and of the files that stages read.

A stage's outputs are always read in full, since a damaged disk changes no time stamp. Input files, such as images, are
hashed again only where size, time stamps or inode changed.
"""

import fnmatch
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import is_system_file, is_temporary, read_json, sha256_of, write_text

THREADS = 4
RECORDS = "stages"
HASHED_BELOW = 512 * 2**20
SETTLED_NS = 2 * 10**9  # a file changed twice within one tick of the file system's clock has one time stamp


def digests_of(
    root: Path, outputs: Iterable[str], adds: Iterable[str] = (), *, left_out: Sequence[str] = ()
) -> dict[str, str]:
    """The SHA-256 of every file at or below the outputs of a stage.

    Args:
        root: the run directory, or the folder of a unit.
        outputs: paths below `root`, files or folders.
        adds: names of files that the stage writes into the model folders of other stages.
        left_out: names of such files of other stages.

    Returns:
        By path relative to `root`, sorted; records and temporary files are left out.
    """
    files: set[Path] = set()
    for output in outputs:
        path = root / output
        below = {path} if path.is_file() else {file for file in path.rglob("*") if file.is_file()}
        files |= {file for file in below if file.name not in left_out}
    files |= {file for name in adds for file in root.rglob(name)}
    names = sorted(name for file in files if _is_output(name := file.relative_to(root)))
    digests = _digests(root / name for name in names)
    return {name.as_posix(): digest for name, digest in zip(names, digests, strict=True) if digest is not None}


def _is_output(path: Path) -> bool:
    return RECORDS not in path.parts[:-1] and path.name != ".lock" and not is_temporary(path)


def damaged(root: Path, recorded: Mapping[str, str]) -> list[str]:
    """The recorded files that are missing or whose content has changed since their stage finished.

    Args:
        root: the folder that the names are relative to.
        recorded: SHA-256 by relative path, as `digests_of` gives it.
    """
    actual = _digests(root / name for name in recorded)
    return [name for name, digest in zip(recorded, actual, strict=True) if digest != recorded[name]]


def recorded_outputs(record: Path) -> dict[str, str] | None:
    """The outputs in the record of a finished stage, `stages/NAME.json`; None where it has none or is damaged."""
    try:
        outputs = read_json(record)["outputs"] if record.is_file() else None
    except (EmocapError, KeyError, TypeError):
        return None
    is_valid = isinstance(outputs, dict) and all(isinstance(digest, str) for digest in outputs.values())
    return outputs if is_valid else None


def require_undamaged(run_dir: Path, stage: str, patterns: Sequence[str]) -> None:
    """Refuse files of a run that are not what a stage wrote; a run of an earlier version recorded nothing to check.

    Args:
        run_dir: the run directory.
        stage: that wrote the files.
        patterns: of their paths relative to `run_dir`, as in `fnmatch`; files that are not recorded are not checked.

    Raises:
        EmocapError: a file is missing or has changed; running the study again writes it again.
    """
    recorded = recorded_outputs(run_dir / RECORDS / f"{stage}.json") or {}
    checked = {name: recorded[name] for pattern in patterns for name in fnmatch.filter(recorded, pattern)}
    for name in damaged(run_dir, checked):
        raise EmocapError(
            f"{run_dir / name}: missing or changed since the stage {stage} wrote it; "
            "run the study again with the same --run-dir, which writes it again"
        )


def _digests(paths: Iterable[Path]) -> list[str | None]:
    """The SHA-256 of files by several threads, None of one that cannot be read."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(_digest, paths))


def _digest(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None


class KnownDigests:
    """The SHA-256 of files that stages read, by path, each kept until its size, time stamps or inode change.

    Args:
        path: where they are kept from run to run; a damaged file is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, list[Any]] = {}
        try:
            value = read_json(path) if path.is_file() else {}
            if value.get("sha256") == _hash_of(value.get("files")):
                self._known = value.get("files") or {}
        except (EmocapError, AttributeError):
            pass

    def of(self, paths: Iterable[Path]) -> list[list[Any]]:
        """For each file its path and SHA-256, for each folder those of all files in it; None for what is missing.

        Files of 512 MiB and more, such as videos beside the images, are known by size and time instead.
        """
        files = [file for path in paths for file in (_files_below(path) if path.is_dir() else [path])]
        now = time.time_ns()
        stamps = {str(file): _stamp(file) for file in files}
        present = {name: stamp for name, stamp in stamps.items() if stamp is not None}
        new = [name for name, stamp in present.items() if self._digest(name, stamp) is None]
        digests = dict(zip(new, _digests(map(Path, new)), strict=True))
        found = [
            [name, digests[name] if name in digests else stamp and self._digest(name, stamp)]
            for name, stamp in stamps.items()
        ]
        settled = [name for name in new if digests[name] and max(present[name][1:3]) < now - SETTLED_NS]
        if settled:
            self._known |= {name: [*present[name], digests[name]] for name in settled}
            write_text(self.path, json.dumps({"sha256": _hash_of(self._known), "files": self._known}))
        return found

    def _digest(self, name: str, stamp: Sequence[int]) -> str | None:
        if stamp[0] >= HASHED_BELOW:
            return " ".join(map(str, stamp[:2]))
        known = self._known.get(name)
        return known[-1] if known is not None and known[:-1] == list(stamp) else None


def _hash_of(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _files_below(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if not is_system_file(file.relative_to(folder)))
    return sorted(file for file in files if file.is_file())


def _stamp(path: Path) -> list[int] | None:
    """Size, times of change of content and of inode in nanoseconds, and inode; None where there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116  half the time of Path.stat, for folders of 100,000 images
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
