"""Writing one shard of a feature store, so that committed images survive an interruption.

Until the store is finished, a shard is `features-00000.npy` with `boxes-00000.bin`, `objects-00000.bin` and the journal
`images-00000.jsonl`.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from emocap.errors import EmocapError
from emocap.files import locked
from emocap.regions.extractors.base import OBJECT, Regions
from emocap.regions.store.format import FeatureSource, shard_file
from emocap.regions.store.journal import Entry, journal_file, journal_line, read_journal

NPY_HEADER_BYTES = 128


class FeatureFault(EmocapError):
    """Features of an image that a store cannot hold."""


class ShardWriter:
    """Appends images to a shard; `commit` makes them survive an interruption, and a new writer resumes after them.

    Attributes:
        entries: everything added so far, committed or not.

    Raises:
        EmocapError: the shard's files are damaged, or another process is writing to them.
    """

    def __init__(self, folder: Path, number: int, source: FeatureSource) -> None:
        self.source = source
        self._journal_path = journal_file(folder, number)
        self._pending: list[Entry] = []
        self._files = ExitStack()
        self._data: list[IO[bytes]] = []
        try:
            lock = folder / f".images-{number:05d}.lock"
            busy = f"{self._journal_path}: another process is writing there; wait for it"
            self._files.enter_context(locked(lock, busy))
            self.entries = read_journal(self._journal_path)
            n_regions = sum(entry.n_regions for entry in self.entries)
            row_bytes = {shard_file(number): 2 * source.dim, f"boxes-{number:05d}.bin": 16}
            if source.names is not None:
                row_bytes[f"objects-{number:05d}.bin"] = OBJECT.itemsize
            for name, size in row_bytes.items():
                header = NPY_HEADER_BYTES if name.endswith(".npy") else 0
                self._data.append(self._open(folder / name, header + size * n_regions if n_regions else 0, header))
            n_bytes = sum(len(journal_line(entry)) for entry in self.entries)
            self._journal = self._open(self._journal_path, n_bytes, 0)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path, n_bytes: int, header: int) -> IO[bytes]:
        """The file truncated to its committed bytes; a new .npy file gets a header for no regions."""
        path.touch()
        file = self._files.enter_context(path.open("r+b"))
        actual = file.seek(0, os.SEEK_END)
        if actual < n_bytes:
            raise EmocapError(
                f"{path}: has {actual:,} bytes, but {n_bytes:,} were committed; delete {path.parent} and start again"
            )
        file.truncate(n_bytes)
        file.seek(0, os.SEEK_END)
        if not n_bytes and header:
            write_npy_header(file, 0, self.source.dim)
        return file

    def add(self, image: str, regions: Regions, digest: str | None = None) -> None:
        """Append an image.

        Args:
            image: its key.
            regions: features (R, dim) float, R >= 0; boxes_xyxy (R, 4) float in pixels; objects (R,) if the source has
                class names.
            digest: SHA-256 of the image's file.

        Raises:
            FeatureFault: a value is not finite or exceeds half precision.
            EmocapError: a shape is wrong.
        """
        features, boxes, objects = regions.features, regions.boxes_xyxy, regions.objects
        if features.ndim != 2 or features.shape[1] != self.source.dim or boxes.shape != (len(features), 4):
            raise EmocapError(
                f"image {image!r}: features {features.shape} and boxes {boxes.shape}, "
                f"expected (R, {self.source.dim}) and (R, 4); this is a bug of the extractor"
            )
        expected = self.source.names is not None
        if (objects is not None) != expected or (objects is not None and objects.shape != (len(features),)):
            raise EmocapError(f"image {image!r}: objects do not match its regions; this is a bug of the extractor")
        with np.errstate(over="ignore"):
            half, boxes = features.astype("<f2"), boxes.astype("<f4")
        if not np.isfinite(half).all() or not np.isfinite(boxes).all():
            raise FeatureFault(
                f"image {image!r}: a feature or box is not finite or exceeds half precision (65,504), largest found "
                f"{np.abs(features).max(initial=0):.4g}; if the extractor computes in half precision, set "
                "precision=float32"
            )
        columns = [half, boxes, *([objects.astype(OBJECT)] if objects is not None else [])]
        for file, column in zip(self._data, columns, strict=True):
            file.write(column.tobytes())
        width, height = map(int, regions.size)
        self._record(Entry(image, (width, height), len(features), digest=digest))

    def leave_out(self, image: str, fault: str | None, digest: str | None = None) -> None:
        """Record an image that has no file (`fault` None) or cannot be used; `digest` as for `add`."""
        self._record(Entry(image, fault=fault, digest=digest))

    def _record(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._pending.append(entry)

    def commit(self) -> None:
        """Make everything added so far survive an interruption."""
        for file in self._data:
            file.flush()
            os.fsync(file.fileno())
        self._journal.write(b"".join(map(journal_line, self._pending)))
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._pending = []

    def close(self) -> None:
        """Close its files; what was not committed is lost."""
        self._files.close()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def write_npy_header(file: IO[bytes], n_regions: int, dim: int) -> None:
    """Write the .npy header of float16 features (n_regions, dim) in place."""
    # numpy pads the header so that the first axis can grow without moving the data.
    file.seek(0)
    header = {"descr": "<f2", "fortran_order": False, "shape": (n_regions, dim)}
    np.lib.format.write_array_header_1_0(file, header)
    assert file.tell() == NPY_HEADER_BYTES, "numpy changed the size of its header"
