"""Writing a feature store shard by shard, so that what was committed survives a kill.

While it grows, a shard is `features-00000.npy` with `boxes-00000.bin`, `objects-00000.bin` and a journal
`images-00000.jsonl` of what became of each image; `finish_store` turns the shards of a folder into a store.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder, sha256_of, sync, write_json
from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.store.format import INDEX_FILES, SCHEMA, Header, is_complete, key_hash, shard_file

IMAGES_PER_SHARD = 4096
REPORT = "report.json"
_HEAD_BYTES = 128


@dataclass(frozen=True)
class FeatureSource:
    """What made the features of a store.

    Attributes:
        extractor: its name.
        settings: JSON-able.
        weights_hash: of its weights; "" where it has none.
        dim: numbers per region.
        names: of a detector's classes; None where it does not name what it sees, and the store then holds no objects.
        computed_in: number type that the extractor computes in; "" where it is not known.
    """

    extractor: str
    settings: Mapping[str, Any]
    weights_hash: str
    dim: int
    names: Names | None = None
    computed_in: str = ""


class FeatureFault(EmocapError):
    """Features of an image that a store cannot hold."""


@dataclass(frozen=True)
class Entry:
    """What became of an image: regions of a picture of this size, or the fault that kept it out.

    Attributes:
        image: its key.
        size: width and height in pixels; None where the image was kept out.
        n_regions: of the image.
        fault: why it was set aside; None where it was described or is missing.
    """

    image: str
    size: tuple[int, int] | None = None
    n_regions: int = 0
    fault: str | None = None


class ShardWriter:
    """A shard that is added to; `commit` makes what was added survive a kill, and a new writer goes on from there.

    Attributes:
        entries: what was added so far, committed or not.

    Raises:
        EmocapError: its files are damaged.
    """

    def __init__(self, folder: Path, number: int, maker: FeatureSource) -> None:
        self.maker = maker
        self._journal_path = folder / f"images-{number:05d}.jsonl"
        self.entries = _read_journal(self._journal_path)
        self._pending: list[Entry] = []
        n_regions = sum(entry.n_regions for entry in self.entries)
        self._files = ExitStack()
        row_bytes = {shard_file(number): 2 * maker.dim, f"boxes-{number:05d}.bin": 16}
        if maker.names is not None:
            row_bytes[f"objects-{number:05d}.bin"] = OBJECT.itemsize
        self._data: list[IO[bytes]] = []
        try:
            for name, size in row_bytes.items():
                head = _HEAD_BYTES if name.endswith(".npy") else 0
                self._data.append(self._opened(folder / name, head + size * n_regions if n_regions else 0, head))
            self._journal = self._opened(self._journal_path, self._journal_bytes(), 0)
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EmocapError(f"{self._journal_path}: another process is writing there; wait for it") from None
        except BaseException:
            self.close()
            raise

    def _opened(self, path: Path, n_bytes: int, head: int) -> IO[bytes]:
        """The file with exactly its committed bytes, or an empty head."""
        path.touch()
        file = self._files.enter_context(path.open("r+b"))
        found = file.seek(0, os.SEEK_END)
        if found < n_bytes:
            raise EmocapError(
                f"{path}: has {found:,} bytes, but {n_bytes:,} were committed; delete {path.parent} and begin again"
            )
        file.truncate(n_bytes)
        file.seek(0, os.SEEK_END)
        if not n_bytes and head:
            _write_head(file, 0, self.maker.dim)
        return file

    def _journal_bytes(self) -> int:
        return sum(len(_line(entry)) for entry in self.entries)

    def add(self, image: str, regions: Regions) -> None:
        """Append an image.

        Args:
            image: its key.
            regions: features (R, dim) float, R >= 0; boxes_xyxy (R, 4) float in pixels; objects (R,) where the maker
                names what it sees.

        Raises:
            FeatureFault: a value is not finite or beyond half precision.
            EmocapError: a shape is wrong.
        """
        features, boxes, objects = regions.features, regions.boxes_xyxy, regions.objects
        if features.ndim != 2 or features.shape[1] != self.maker.dim or boxes.shape != (len(features), 4):
            raise EmocapError(
                f"image {image!r}: features {features.shape} and boxes {boxes.shape}, "
                f"expected (R, {self.maker.dim}) and (R, 4); the extractor is at fault"
            )
        named = self.maker.names is not None
        if (objects is not None) != named or (objects is not None and objects.shape != (len(features),)):
            raise EmocapError(f"image {image!r}: objects are not those of its regions; the extractor is at fault")
        with np.errstate(over="ignore"):
            half, boxes = features.astype("<f2"), boxes.astype("<f4")
        if not np.isfinite(half).all() or not np.isfinite(boxes).all():
            raise FeatureFault(
                f"image {image!r}: a feature or box is not finite or beyond half precision (65,504), largest found "
                f"{np.abs(features).max(initial=0):.4g}; where the extractor computes in half precision, give it "
                "precision=float32"
            )
        columns = [half, boxes, *([objects.astype(OBJECT)] if objects is not None else [])]
        for file, column in zip(self._data, columns, strict=True):
            file.write(column.tobytes())
        width, height = map(int, regions.size)
        self._note(Entry(image, (width, height), len(features)))

    def leave_out(self, image: str, fault: str | None) -> None:
        """Note an image that has no file (`fault` None) or cannot be used."""
        self._note(Entry(image, fault=fault))

    def _note(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._pending.append(entry)

    def commit(self) -> None:
        """Make everything added so far survive a kill."""
        for file in self._data:
            file.flush()
            os.fsync(file.fileno())
        self._journal.write(b"".join(map(_line, self._pending)))
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


class StoreWriter:
    """Takes in images one by one; memory does not grow with their regions. `write_store` makes one.

    Attributes:
        folder: where the store takes shape; further files may be put there.
    """

    def __init__(self, folder: Path, maker: FeatureSource) -> None:
        self.folder = folder
        self._maker = maker
        self._images: set[str] = set()
        self._n_shards = 0
        self._shard: ShardWriter | None = None

    def add(self, image: str, regions: Regions) -> None:
        """Append an image; see `ShardWriter.add`.

        Raises:
            EmocapError: besides, the image is not new.
        """
        if image in self._images:
            raise EmocapError(f"image {image!r}: is in the store already; give each image once")
        if self._shard is not None and len(self._shard.entries) >= IMAGES_PER_SHARD:
            self._seal()
        if self._shard is None:
            self._shard = ShardWriter(self.folder, self._n_shards, self._maker)
            self._n_shards += 1
        self._shard.add(image, regions)
        self._images.add(image)

    def finish(self) -> None:
        """Turn what was taken in into a store."""
        self._seal()
        finish_store(self.folder, self._n_shards, self._maker)

    def close(self) -> None:
        """Close the open shard as it is."""
        if self._shard is not None:
            self._shard.close()

    def _seal(self) -> None:
        if self._shard is not None:
            self._shard.commit()
            self._shard.close()
            self._shard = None


@contextmanager
def write_store(path: Path, maker: FeatureSource) -> Iterator[StoreWriter]:
    """Give a writer; what it took in becomes the store at `path` when the block ends well, and nothing otherwise.

    Raises:
        EmocapError: the store cannot be written, or something is at `path`; nothing is left behind and what was at
            `path` stays.
    """
    require_free(Path(path))
    with atomic_folder(path, replace=False) as folder:
        writer = StoreWriter(folder, maker)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


def require_free(path: Path) -> None:
    """Refuse a place where something is.

    Raises:
        EmocapError: a file, a store, or a folder that is not empty is there.
    """
    if is_complete(path):
        raise EmocapError(f"{path}: a feature store is there already; give another place, or delete it first")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise EmocapError(f"{path}: exists and is no feature store; give another place for the features")


def read_entries(folder: Path, n_shards: int) -> list[Entry]:
    """What became of every image of the committed shards, in order."""
    return [entry for journal in _read_journals(folder, n_shards) for entry in journal]


def _read_journals(folder: Path, n_shards: int) -> list[list[Entry]]:
    return [_read_journal(folder / f"images-{number:05d}.jsonl") for number in range(n_shards)]


def finish_store(folder: Path, n_shards: int, maker: FeatureSource) -> None:
    """Turn the committed shards of a folder into a store; done again after a kill, it gives the same."""
    journals = _read_journals(folder, n_shards)
    kept = [entry for journal in journals for entry in journal if entry.size is not None]
    n_regions = sum(entry.n_regions for entry in kept)
    for number, journal in enumerate(journals):
        with (folder / shard_file(number)).open("r+b") as file:
            _write_head(file, sum(entry.n_regions for entry in journal), maker.dim)
    _join(folder / "boxes.npy", [folder / f"boxes-{n:05d}.bin" for n in range(n_shards)], (n_regions, 4), "<f4")
    if maker.names is not None:
        parts = [folder / f"objects-{n:05d}.bin" for n in range(n_shards)]
        _join(folder / "objects.npy", parts, (n_regions,), OBJECT.descr)
    for name, array in _index(kept).items():
        np.save(folder / name, array, allow_pickle=False)
    files = [*INDEX_FILES, *(["objects.npy"] if maker.names is not None else []), *map(shard_file, range(n_shards))]
    names = maker.names or Names()
    header = Header(
        schema=SCHEMA,
        extractor=maker.extractor,
        settings=dict(maker.settings),
        weights_hash=maker.weights_hash,
        computed_in=maker.computed_in,
        dim=maker.dim,
        n_images=len(kept),
        n_regions=n_regions,
        shards=[sum(entry.size is not None for entry in journal) for journal in journals],
        objects=list(names.objects),
        attributes=list(names.attributes),
        sha256={name: sha256_of(folder / name) for name in files},
    )
    for name in (*files, "."):  # before the header says that they are there, and before the journals go
        sync(folder / name)
    write_json(folder / "header.json", asdict(header) | {"digest": header.digest})
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove what a finished store does not need."""
    for pattern in ("images-*.jsonl", "boxes-*.bin", "objects-*.bin"):
        for file in folder.glob(pattern):
            file.unlink()


def _index(kept: Sequence[Entry]) -> dict[str, np.ndarray]:
    """The arrays by which images are found."""
    keys = [entry.image.encode(errors="surrogatepass") for entry in kept]
    hashes = np.array([key_hash(key) for key in keys], dtype="<u8")
    order = np.argsort(hashes, kind="stable")
    return {
        "offsets.npy": np.cumsum([0, *(entry.n_regions for entry in kept)], dtype="<i8"),
        "sizes.npy": np.array([entry.size for entry in kept], dtype="<i4").reshape(-1, 2),
        "keys.npy": np.frombuffer(b"".join(keys), dtype=np.uint8),
        "key_ends.npy": np.cumsum([len(key) for key in keys], dtype="<i8"),
        "hashes.npy": hashes[order],
        "rows.npy": order.astype("<i8"),
    }


def _join(path: Path, parts: Sequence[Path], shape: tuple[int, ...], dtype: Any) -> None:
    """Write the bytes of several files as one .npy file."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for part in parts:
            file.write(part.read_bytes())


def _write_head(file: IO[bytes], n_regions: int, dim: int) -> None:
    # numpy pads the head so that the first axis may grow without moving the data.
    file.seek(0)
    head = {"descr": "<f2", "fortran_order": False, "shape": (n_regions, dim)}
    np.lib.format.write_array_header_1_0(file, head)
    assert file.tell() == _HEAD_BYTES, "numpy's head has another size than ever"


def _line(entry: Entry) -> bytes:
    return json.dumps([entry.image, entry.size, entry.n_regions, entry.fault]).encode() + b"\n"


def _read_journal(path: Path) -> list[Entry]:
    """The entries of a journal up to a line that a kill cut short."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            image, size, n_regions, fault = json.loads(line)
            entry = Entry(image, tuple(size) if size is not None else None, n_regions, fault)
        except (ValueError, TypeError):
            break
        if _line(entry) != line:
            break
        entries.append(entry)
    return entries
