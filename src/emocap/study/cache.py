"""A run directory: which stages are finished, under what configuration, inputs and code; one run at a time.

A finished stage is not run again unless its fingerprint changed: its part of the configuration, the identity of the
files it reads, the code of the rooms it depends on, and the fingerprints of the stages before it.
"""

import hashlib
import json
import logging
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import locked, read_json, sha256_of, write_json

logger = logging.getLogger("emocap")
PACKAGES = (
    "emocap",
    "torch",
    "torchvision",
    "transformers",
    "accelerate",
    "numpy",
    "pyarrow",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "iterative-stratification",
    "pillow",
)
HASH_WHOLE_BELOW = 512 * 2**20


@dataclass
class RunDir:
    """The folder of a run.

    Attributes:
        path: the folder; made if absent.
        fingerprints: of the stages gone through in this call, by name.
    """

    path: Path
    fingerprints: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder.

        Raises:
            EmocapError: another run holds it, or it cannot be made.
        """
        with locked(
            self.path / ".lock", f"{self.path}: another run is writing here; wait for it or give another --run-dir"
        ):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed run left half-written."""
        for pattern in (f"{'*/' * depth}.*.{kind}" for depth in range(4) for kind in ("part", "old")):
            for path in self.path.glob(pattern):
                _remove(path)

    def stage(
        self,
        name: str,
        work: Callable[[], None],
        *,
        config: Any,
        rooms: Sequence[str],
        after: Sequence[str] = (),
        files: Sequence[Path] = (),
        outputs: Sequence[str],
        outdates: Sequence[str] = (),
        grows: Any = None,
    ) -> bool:
        """Run a stage unless it is finished; what an outdated one left is removed first.

        What the same stage left before a kill, or before some of its outputs were lost, stays for it to go on with.

        Args:
            name: of the stage.
            work: writes every output; called again after a kill, it goes on or begins anew.
            config: JSON-able part of the configuration that it depends on.
            rooms: packages or modules below `emocap` whose code it depends on.
            after: stages whose outputs it reads.
            files: files outside the run directory that it reads.
            outputs: paths below the run directory.
            outdates: paths of later stages that are no longer true once this one runs; removed.
            grows: further part of the configuration that only adds to the work: the stage runs again where it changed,
                but what it left stays.

        Returns:
            Whether it ran.
        """
        inputs = {
            "config": config,
            "code": [code_hash(room) for room in rooms],
            "after": [self.fingerprints[s] for s in after],
        }
        basis = _hash([inputs, [file_identity(f) for f in files]])
        fingerprint = self.fingerprints[name] = basis if grows is None else _hash([basis, grows])
        done, begun = self.path / "stages" / f"{name}.json", self.path / "stages" / f"{name}.begun.json"
        if _fingerprint(done) == fingerprint and all(_whole(self.path / output) for output in outputs):
            logger.info("%s: done before", name)
            return False
        if basis not in (_fingerprint(begun, "basis"), _fingerprint(done, "basis")):
            for output in outputs:
                _remove(self.path / output)
        write_json(begun, {"fingerprint": fingerprint, "basis": basis})
        done.unlink(missing_ok=True)
        for output in outdates:
            _remove(self.path / output)
        logger.info("%s: begins", name)
        start = time.monotonic()
        work()
        seconds = round(time.monotonic() - start, 1)
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        marks = {"fingerprint": fingerprint, "basis": basis}
        write_json(done, marks | {"name": name, "seconds": seconds, "finished": finished})
        begun.unlink()
        logger.info("%s: done in %.1f s", name, seconds)
        return True

    def finished_stages(self) -> list[dict[str, Any]]:
        """Name, seconds and time of each finished stage, in the order they were gone through."""
        rows = []
        for name in self.fingerprints:
            path = self.path / "stages" / f"{name}.json"
            if path.is_file():
                rows.append(
                    {key: value for key, value in read_json(path).items() if key not in ("fingerprint", "basis")}
                )
        return rows


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _fingerprint(path: Path, key: str = "fingerprint") -> str | None:
    """What a stage's file says; None where it is absent or damaged, so that the stage runs again."""
    try:
        return read_json(path)[key] if path.is_file() else None
    except (EmocapError, KeyError, TypeError):
        return None


def _whole(path: Path) -> bool:
    """Whether a stage's output is there; a JSON file must hold an object that is not empty."""
    try:
        return isinstance(value := read_json(path), dict) and bool(value) if path.suffix == ".json" else path.exists()
    except EmocapError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def code_hash(room: str) -> str:
    """SHA-256 over the Python files of a package or module below `emocap`."""
    root = Path(__file__).parents[1]
    path = root / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [root / f"{room}.py"]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def file_identity(path: Path) -> list[Any]:
    """What tells a file or folder from a changed one: contents' hash, or size and time where it is very large.

    A folder is known by the names and sizes of what it holds.
    """
    if path.is_dir():
        return [str(path), sorted((str(f.relative_to(path)), f.stat().st_size) for f in path.rglob("*") if f.is_file())]
    if not path.exists():
        return [str(path), None]
    stat = path.stat()
    return [str(path), sha256_of(path) if stat.st_size < HASH_WHOLE_BELOW else [stat.st_size, stat.st_mtime_ns]]


def environment() -> dict[str, Any]:
    """Versions, machine and peak memory, for the manifest."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count(), "device": device},
        "peak_memory_gib": round(peak * unit / 2**30, 2),
    }
