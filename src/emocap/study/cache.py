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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

import grimp

from emocap.classifiers.evaluation_file import ADDED
from emocap.errors import EmocapError
from emocap.files import locked, read_json, write_json
from emocap.study.digests import RECORDS, KnownDigests, damaged, digests_of

logger = logging.getLogger("emocap")
PACKAGES = (
    "emocap",
    "torch",
    "torchvision",
    "transformers",
    "accelerate",
    "peft",
    "numpy",
    "pyarrow",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "pillow",
    "timm",
    "HanTa",
)
KNOWN = ".known-digests.json"
UNKNOWN = "unknown"  # in place of a SHA-256
DURATIONS = ("history.json", "words.json", "unit.json")


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
        recorded: Sequence[str] | None = None,
        adds: Sequence[str] = (),
        invalidates: Sequence[str] = (),
        additive_config: Any = None,
    ) -> bool:
        """Run a stage unless it is finished; outputs of another configuration, input or code are removed first.

        What the same stage left before it was killed, or before some of its outputs were lost or damaged, stays, and it
        resumes. Where it then writes the same bytes again, later stages stay valid; else they run again too.

        Args:
            name: of the stage.
            work: writes every output; called again after a kill, it resumes or begins anew.
            config: JSON-able part of the configuration that it depends on.
            code_deps: modules that its code starts from; what they import within emocap counts too.
            inputs: stages whose outputs it reads.
            files: files outside the run directory that it reads.
            outputs: paths below the run directory.
            recorded: paths whose files' SHA-256 are recorded and checked, by default the outputs; `work` itself
                replaces what is damaged outside the outputs.
            adds: names of files that it writes into the model folders of other stages; recorded too.
            invalidates: outputs of later stages that become wrong once this one runs; they are removed.
            additive_config: further configuration that only adds to the work: the stage runs again where it changed,
                but keeps what it has.

        Returns:
            Whether it ran.

        Raises:
            EmocapError: a folder is in the place of its record.
        """
        depends_on = {
            "config": config,
            "code": code_hash(code_deps),
            "inputs": [self.fingerprints[stage] for stage in inputs],
        }
        basis = _hash([depends_on, KnownDigests(self.path / KNOWN).of(files)])
        fingerprint = basis if additive_config is None else _hash([basis, additive_config])
        recorded = outputs if recorded is None else recorded
        self._require_no_folders(name)
        records = map(_record, self._records(name))
        before = next((record for record in records if record.get("basis") == basis), None)
        if before is None:
            self._remove_all(outputs)
            before = {"fingerprint": None, "lost": {}}
        else:
            before = self._checked(name, before, outputs, recorded, adds)
        if before["fingerprint"] == fingerprint and "finished" in before and not before["lost"]:
            self.fingerprints[name] = _salted(fingerprint, before)
            logger.info("%s: up to date", name)
            return False
        marks = {"fingerprint": fingerprint, "basis": basis, "salt": before.get("salt")}
        self.fingerprints[name] = self._run(name, work, before, marks, recorded, adds, invalidates)
        return True

    def _run(
        self,
        name: str,
        work: Callable[[], None],
        before: dict[str, Any],
        marks: dict[str, Any],
        recorded: Sequence[str],
        adds: Sequence[str],
        invalidates: Sequence[str],
    ) -> str:
        """Run a stage, with `marks` in its record; returns the fingerprint for later stages.

        A repair keeps what later stages made of the outputs, unless it gives other bytes than those that were lost.
        """
        done, begun = self._records(name)
        is_repair = bool(before["lost"]) and before["fingerprint"] == marks["fingerprint"]
        write_json(begun, marks | {"outputs": before.get("outputs", {}), "lost": before["lost"]})
        done.unlink(missing_ok=True)
        if not is_repair:
            self._remove_all(invalidates)
        logger.info("%s: started", name)
        start = time.monotonic()
        work()
        seconds = round(time.monotonic() - start, 1)
        written = self._written(name, recorded, adds)
        if is_repair and _differs(written, before["lost"]):
            self._remove_all(invalidates)
            marks["salt"] = _hash(written)
        finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_json(done, marks | {"name": name, "seconds": seconds, "finished": finished, "outputs": written})
        begun.unlink()
        logger.info("%s: finished in %.1f s", name, seconds)
        return _salted(marks["fingerprint"], marks)

    def _records(self, name: str) -> tuple[Path, Path]:
        """The record of a finished stage, and that of one that has begun."""
        folder = self.path / RECORDS
        return folder / f"{name}.json", folder / f"{name}.begun.json"

    def _require_no_folders(self, name: str) -> None:
        for path in self._records(name):
            if path.is_dir():
                raise EmocapError(f"{path}: is a folder, expected the record of a stage; remove it and run again")

    def _written(self, name: str, recorded: Sequence[str], adds: Sequence[str]) -> dict[str, str]:
        """The SHA-256 of a stage's files; not of those that a later stage has written among them."""
        others = set((self.path / RECORDS).glob("*.json")).difference(self._records(name))
        owned = {file for path in others for file in _record(path).get("outputs", {})}
        found = digests_of(self.path, recorded, adds, left_out=ADDED)
        return {file: digest for file, digest in found.items() if file not in owned}

    def _checked(
        self,
        name: str,
        record: dict[str, Any],
        outputs: Sequence[str],
        recorded: Sequence[str],
        adds: Sequence[str],
    ) -> dict[str, Any]:
        """A stage's record in which outputs that are missing or damaged are under `lost`; what is left is removed.

        A folder inside an output, such as one model or one feature store, is written as a whole, so removed as a whole.
        """
        if "finished" in record and "outputs" not in record:
            return self._first_checked(name, record, outputs, recorded, adds)
        kept, lost = dict(record.get("outputs", {})), dict(record.get("lost", {}))
        bad = damaged(self.path, kept)
        absent = [output for output in outputs if not (self.path / output).exists()]
        for file in bad:
            whole = _written_as_one(file, outputs)
            lost |= {other: kept.pop(other) for other in list(kept) if PurePath(other).is_relative_to(whole)}
            if any(PurePath(file).is_relative_to(output) for output in outputs):
                _remove(self.path / whole)
        if "finished" in record:
            missing = [output for output in outputs if not (self.path / output).exists()]
            lost |= {output: "" for output in missing if output not in lost}
            held = {path for file in bad for path in (file, *map(str, PurePath(file).parents))}
            self._warn(name, [*bad, *(output for output in absent if output not in held)])
        return record | {"outputs": kept, "lost": lost}

    def _first_checked(
        self,
        name: str,
        record: dict[str, Any],
        outputs: Sequence[str],
        recorded: Sequence[str],
        adds: Sequence[str],
    ) -> dict[str, Any]:
        """The record of a stage that an earlier version finished, with the SHA-256 that its outputs have now."""
        missing = [output for output in outputs if not _whole(self.path / output)]
        if missing:
            self._warn(name, missing)
            return record | {"lost": dict.fromkeys(missing, UNKNOWN)}
        logger.info("%s: an earlier version recorded no SHA-256 of its outputs; they are taken as they are", name)
        record |= {"outputs": self._written(name, recorded, adds)}
        write_json(self._records(name)[0], record)
        return record | {"lost": {}}

    def _warn(self, name: str, lost: Sequence[str]) -> None:
        if lost:
            others = f" and {len(lost) - 1} other{'s' if len(lost) > 2 else ''}" if len(lost) > 1 else ""
            message = "%s: %s%s deleted or changed since the stage finished; the stage runs again for what is lost"
            logger.warning(message, name, self.path / lost[0], f"{others} were" if others else " was")

    def _remove_all(self, outputs: Sequence[str]) -> None:
        for output in outputs:
            _remove(self.path / output)

    def finished_stages(self) -> list[dict[str, Any]]:
        """Name, seconds and time of each finished stage, in the order they were gone through."""
        rows = []
        for name in self.fingerprints:
            path = self.path / RECORDS / f"{name}.json"
            if path.is_file():
                record = read_json(path)
                rows.append({key: record[key] for key in ("name", "seconds", "finished")})
        return rows


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _record(path: Path) -> dict[str, Any]:
    """What a stage's file says; nothing where it is absent or damaged, so that the stage runs again."""
    try:
        value = read_json(path) if path.is_file() else {}
    except EmocapError:
        return {}
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("fingerprint", "basis")):
        return {}
    parts = [value.get(key, {}) for key in ("outputs", "lost")]
    digests_are_text = all(isinstance(part, dict) and all(map(str.__instancecheck__, part.values())) for part in parts)
    return value if digests_are_text else {}


def _salted(fingerprint: str, record: dict[str, Any]) -> str:
    """The fingerprint for later stages: another one once a repair gave other outputs than those that they read."""
    return fingerprint if record.get("salt") is None else _hash([fingerprint, record["salt"]])


def _differs(written: dict[str, str], lost: dict[str, str]) -> bool:
    """Whether a repair gave other outputs than those that were lost; files that hold durations do not count."""
    return any(written.get(file, "") != digest for file, digest in lost.items() if PurePath(file).name not in DURATIONS)


def _written_as_one(file: str, outputs: Sequence[str]) -> str:
    """The folder that holds a file where this is deeper than an output's top, else the file itself.

    >>> _written_as_one("features/target/boxes.npy", ["features"]), _written_as_one("AnB/history.json", ["AnB"])
    ('features/target', 'AnB/history.json')
    """
    folder = PurePath(file).parent
    tops = {PurePath(output).parts[0] for output in outputs}
    return folder.as_posix() if len(folder.parts) > 1 and folder.parts[0] in tops else file


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


def environment() -> dict[str, Any]:
    """Versions, machine and peak memory, for the manifest."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {
        "versions": {"python": platform.python_version()} | _installed_versions(),
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count(), "device": device},
        "peak_memory_gib": _peak_memory(),
    }


def _installed_versions() -> dict[str, str]:
    """Of those of `PACKAGES` that are installed; some belong to extras."""
    versions = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _peak_memory() -> float | None:
    """GiB that this process or one of its children held at most; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if platform.system() == "Darwin" else 1024
    return round(peak * unit / 2**30, 2)
