"""The cache of a run directory: which stages are finished, for what configuration, inputs and code; one run at a time.

A finished stage runs again only if an output is missing or damaged or its fingerprint changed: its part of the
configuration, the identity of the files it reads, the code that it can reach by imports, and the fingerprints of the
stages whose outputs it reads.
"""

import ast
import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grimp

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
        code_deps: Sequence[str],
        inputs: Sequence[str] = (),
        files: Sequence[Path] = (),
        outputs: Sequence[str],
        invalidates: Sequence[str] = (),
        additive_config: Any = None,
    ) -> bool:
        """Run a stage unless it is finished; outputs of another configuration, input or code are removed first.

        What the same stage left before it was killed, or before some of its outputs were lost, stays, and it resumes.

        Args:
            name: of the stage.
            work: writes every output; called again after a kill, it resumes or begins anew.
            config: JSON-able part of the configuration that it depends on.
            code_deps: modules that its code starts from; what they import within emocap counts too.
            inputs: stages whose outputs it reads.
            files: files outside the run directory that it reads.
            outputs: paths below the run directory.
            invalidates: outputs of later stages that become wrong once this one runs; they are removed.
            additive_config: further configuration that only adds to the work: the stage runs again where it changed,
                but keeps what it has.

        Returns:
            Whether it ran.
        """
        depends_on = {
            "config": config,
            "code": code_hash(code_deps),
            "inputs": [self.fingerprints[stage] for stage in inputs],
        }
        basis = _hash([depends_on, [file_identity(f) for f in files]])
        fingerprint = self.fingerprints[name] = basis if additive_config is None else _hash([basis, additive_config])
        done, begun = self.path / "stages" / f"{name}.json", self.path / "stages" / f"{name}.begun.json"
        if _fingerprint(done) == fingerprint and all(_whole(self.path / output) for output in outputs):
            logger.info("%s: up to date", name)
            return False
        if basis not in (_fingerprint(begun, "basis"), _fingerprint(done, "basis")):
            for output in outputs:
                _remove(self.path / output)
        write_json(begun, {"fingerprint": fingerprint, "basis": basis})
        done.unlink(missing_ok=True)
        for output in invalidates:
            _remove(self.path / output)
        logger.info("%s: started", name)
        start = time.monotonic()
        work()
        seconds = round(time.monotonic() - start, 1)
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        marks = {"fingerprint": fingerprint, "basis": basis}
        write_json(done, marks | {"name": name, "seconds": seconds, "finished": finished})
        begun.unlink()
        logger.info("%s: finished in %.1f s", name, seconds)
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


def code_hash(modules: Sequence[str]) -> str:
    """SHA-256 over the code of modules of emocap and all that they import within it, directly or not.

    Comments, docstrings, layout and the names of the modules do not count.
    """
    digests = sorted(_digest_of(_source(module)) for module in reachable_modules(modules))
    return _hash(digests)


def reachable_modules(modules: Sequence[str]) -> set[str]:
    """These modules and all modules of emocap that they import, directly or through others."""
    graph = _import_graph()
    return {*modules, *(found for module in modules for found in graph.find_upstream_modules(module))}


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("emocap", cache_dir=None, exclude_type_checking_imports=True)


@cache
def _digest_of(source: bytes) -> str:
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _source(module: str) -> bytes:
    spec = find_spec(module)
    assert spec is not None, "it is a module of emocap"
    assert spec.origin is not None, "it is a file"
    return Path(spec.origin).read_bytes()


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
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count(), "device": device},
        "peak_memory_gib": _peak_memory(),
    }


def _peak_memory() -> float | None:
    """GiB that this process or one of its children held at most; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if platform.system() == "Darwin" else 1024
    return round(peak * unit / 2**30, 2)
