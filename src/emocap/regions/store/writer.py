"""Writing a feature store: `write_store` for images one by one, `finish_store` for committed shards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import atomic_folder, sha256_of, sync, write_json
from emocap.regions.extractors.base import OBJECT, Names, Regions
from emocap.regions.store.format import (
    DIGEST_BYTES,
    INDEX_FILES,
    SCHEMA,
    FeatureSource,
    Header,
    is_complete,
    key_hash,
    shard_file,
)
from emocap.regions.store.journal import Entry, read_journals
from emocap.regions.store.shard import ShardWriter, write_npy_header

IMAGES_PER_SHARD = 4096


class StoreWriter:
    """Takes images one by one; memory does not grow with their regions. `write_store` makes one.

    Attributes:
        folder: temporary folder of the store; further files may be added to it.
    """

    def __init__(self, folder: Path, source: FeatureSource) -> None:
        self.folder = folder
        self._source = source
        self._images: set[str] = set()
        self._n_shards = 0
        self._shard: ShardWriter | None = None

    def add(self, image: str, regions: Regions) -> None:
        """Append an image; see `ShardWriter.add`.

        Raises:
            EmocapError: also if the image was added before.
        """
        if image in self._images:
            raise EmocapError(f"image {image!r}: is already in the store; give each image once")
        if self._shard is not None and len(self._shard.entries) >= IMAGES_PER_SHARD:
            self._commit_shard()
        if self._shard is None:
            self._shard = ShardWriter(self.folder, self._n_shards, self._source)
            self._n_shards += 1
        self._shard.add(image, regions)
        self._images.add(image)

    def finish(self) -> None:
        """Turn everything added into a store."""
        self._commit_shard()
        finish_store(self.folder, self._n_shards, self._source)

    def close(self) -> None:
        """Close the open shard without committing it."""
        if self._shard is not None:
            self._shard.close()

    def _commit_shard(self) -> None:
        if self._shard is not None:
            self._shard.commit()
            self._shard.close()
            self._shard = None


@contextmanager
def write_store(path: Path, source: FeatureSource) -> Iterator[StoreWriter]:
    """Give a writer; when the block ends without an error, the images added become the store at `path`.

    Raises:
        EmocapError: the store cannot be written, or `path` exists; nothing is left behind and `path` stays as it was.
    """
    require_free(Path(path))
    with atomic_folder(path, replace=False) as folder:
        writer = StoreWriter(folder, source)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


def require_free(path: Path) -> None:
    """Require that a new store can be written to `path`.

    Raises:
        EmocapError: it is a file, a store, or a folder that is not empty.
    """
    if is_complete(path):
        raise EmocapError(f"{path}: a feature store exists there already; give a different path, or delete it first")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise EmocapError(f"{path}: exists and is not a feature store; give a different path for the features")


def finish_store(folder: Path, n_shards: int, source: FeatureSource) -> None:
    """Turn the committed shards in a folder into a store; repeating it after an interruption gives the same store."""
    journals = read_journals(folder, n_shards)
    described = [entry for journal in journals for entry in journal if entry.size is not None]
    _write_arrays(folder, journals, described, source)
    optional = ["objects.npy"] if source.names is not None else []
    if described and all(entry.digest for entry in described):
        digests = np.frombuffer(bytes.fromhex("".join(str(entry.digest) for entry in described)), np.uint8)
        np.save(folder / "digests.npy", digests.reshape(-1, DIGEST_BYTES), allow_pickle=False)
        optional.append("digests.npy")
    files = [*INDEX_FILES, *optional, *map(shard_file, range(n_shards))]
    names = source.names or Names()
    header = Header(
        schema=SCHEMA,
        extractor=source.extractor,
        settings=dict(source.settings),
        weights_hash=source.weights_hash,
        computed_in=source.computed_in,
        dim=source.dim,
        n_images=len(described),
        n_regions=sum(entry.n_regions for entry in described),
        shards=[sum(entry.size is not None for entry in journal) for journal in journals],
        objects=list(names.objects),
        attributes=list(names.attributes),
        sha256={name: sha256_of(folder / name) for name in files},
    )
    for name in (*files, "."):  # before the header marks them as complete, and before the journals are removed
        sync(folder / name)
    write_json(folder / "header.json", asdict(header) | {"digest": header.digest})
    remove_temporary_files(folder)


def remove_temporary_files(folder: Path) -> None:
    """Remove the files that a finished store does not need."""
    for pattern in ("images-*.jsonl", ".images-*.lock", "boxes-*.bin", "objects-*.bin"):
        for file in folder.glob(pattern):
            file.unlink()


def _write_arrays(
    folder: Path, journals: Sequence[Sequence[Entry]], described: Sequence[Entry], source: FeatureSource
) -> None:
    """Write the arrays of all shards together, and the final header of each shard's features."""
    n_regions = sum(entry.n_regions for entry in described)
    for number, journal in enumerate(journals):
        with (folder / shard_file(number)).open("r+b") as file:
            write_npy_header(file, sum(entry.n_regions for entry in journal), source.dim)
    numbers = range(len(journals))
    _concatenate(folder / "boxes.npy", [folder / f"boxes-{n:05d}.bin" for n in numbers], (n_regions, 4), "<f4")
    if source.names is not None:
        parts = [folder / f"objects-{n:05d}.bin" for n in numbers]
        _concatenate(folder / "objects.npy", parts, (n_regions,), OBJECT.descr)
    for name, array in index_arrays(described).items():
        np.save(folder / name, array, allow_pickle=False)


def index_arrays(described: Sequence[Entry]) -> dict[str, np.ndarray]:
    """The arrays by which images are looked up, by file name."""
    keys = [entry.image.encode(errors="surrogatepass") for entry in described]
    hashes = np.array([key_hash(key) for key in keys], dtype="<u8")
    order = np.argsort(hashes, kind="stable")
    return {
        "offsets.npy": np.cumsum([0, *(entry.n_regions for entry in described)], dtype="<i8"),
        "sizes.npy": np.array([entry.size for entry in described], dtype="<i4").reshape(-1, 2),
        "keys.npy": np.frombuffer(b"".join(keys), dtype=np.uint8),
        "key_ends.npy": np.cumsum([len(key) for key in keys], dtype="<i8"),
        "hashes.npy": hashes[order],
        "rows.npy": order.astype("<i8"),
    }


def _concatenate(path: Path, parts: Sequence[Path], shape: tuple[int, ...], dtype: Any) -> None:
    """Write the bytes of several files as one .npy file."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for part in parts:
            file.write(part.read_bytes())
