"""Region features on disk, memory-mapped and in half precision, found by image.

A store is a folder:
    header.json     schema, extractor, settings, weights_hash, dim, n_images, n_regions, sha256 of the files below
    features.npy    (n_regions, dim) float16
    boxes.npy       (n_regions, 4) float32, x0 y0 x1 y1 in pixels of the upright image
    offsets.npy     (n_images + 1,) int64; image i has regions offsets[i] to offsets[i + 1]
    images.json     {"images": [key, ...], "widths": [pixels, ...], "heights": [pixels, ...]}
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of, whole_folder, write_json

SCHEMA = 1
DATA_FILES = ("features.npy", "boxes.npy", "offsets.npy", "images.json")
_AGAIN = "delete the folder and extract the features again"


@dataclass(frozen=True)
class Header:
    """What a store holds and how it was made; the fields are those of `header.json`.

    Attributes:
        weights_hash: of the extractor's weights; "" where it has none.
        sha256: of each of `DATA_FILES`, in hexadecimal.
    """

    schema: int
    extractor: str
    settings: dict[str, Any]
    weights_hash: str
    dim: int
    n_images: int
    n_regions: int
    sha256: dict[str, str]

    @property
    def kind(self) -> str:
        """`kind_of` this extractor."""
        return kind_of(self.extractor, self.settings, self.weights_hash, self.dim)


def kind_of(extractor: str, settings: Mapping[str, Any], weights_hash: str, dim: int) -> str:
    """16 hexadecimal digits that are the same for features that can take each other's place."""
    made = json.dumps([extractor, dict(settings), weights_hash, dim], sort_keys=True)
    return hashlib.sha256(made.encode()).hexdigest()[:16]


class FeatureStore:
    """Region features of images; `store[image]` is ((R, dim) float16, (R, 4) float32 boxes_xyxy), memory-mapped.

    Both are read-only. An image that the store does not hold raises EmocapError; `image in store` asks before. A store
    crosses to another process by its path, never by its data.

    Attributes:
        header: what it holds.
        kind: a model records it and refuses another.
        images: the keys, in the order in which they were written.
        sizes: (n_images, 2) int64, width and height of each image in pixels.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.kind = header.kind
        self.images, self.sizes = _read_images(path / "images.json", header.n_images)
        self._row = {image: row for row, image in enumerate(self.images)}
        if len(self._row) != header.n_images:
            raise EmocapError(f"{path / 'images.json'}: an image occurs twice; {_AGAIN}")
        self._features = _read_array(path / "features.npy", (header.n_regions, header.dim), np.float16)
        self._boxes = _read_array(path / "boxes.npy", (header.n_regions, 4), np.float32)
        self._offsets = np.array(_read_array(path / "offsets.npy", (header.n_images + 1,), np.int64))
        if (
            self._offsets[0] != 0
            or self._offsets[-1] != header.n_regions
            or bool(np.any(self._offsets[1:] < self._offsets[:-1]))
        ):
            raise EmocapError(
                f"{path / 'offsets.npy'}: does not run from 0 to {header.n_regions} without a step back; {_AGAIN}"
            )

    @classmethod
    def open(cls, path: Path) -> "FeatureStore":
        """The store in this folder; its data are not read yet.

        Raises:
            EmocapError: the folder is no store, is of another version, or its files do not fit together.
        """
        path = Path(path)
        return cls(path, _read_header(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore.open, (self.path,)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image: object) -> bool:
        return image in self._row

    def __getitem__(self, image: str) -> tuple[np.ndarray, np.ndarray]:
        row = self._row.get(image)
        if row is None:
            raise EmocapError(f"{self.path}: holds no image {image!r}; extract its features, or leave it out")
        regions = slice(self._offsets[row], self._offsets[row + 1])
        return self._features[regions], self._boxes[regions]

    def verify(self) -> None:
        """Read all data and compare their checksums.

        Raises:
            EmocapError: a file is not what was written.
        """
        for name in DATA_FILES:
            try:
                found = sha256_of(self.path / name)
            except OSError as error:
                raise EmocapError(
                    f"{self.path / name}: cannot be read ({error.strerror or error}); {_AGAIN}"
                ) from error
            if found != self.header.sha256[name]:
                raise EmocapError(
                    f"{self.path / name}: SHA-256 is {found[:16]}..., expected {self.header.sha256[name][:16]}...: "
                    f"the file has changed since it was written; {_AGAIN}"
                )


class StoreWriter:
    """Takes in images one by one; memory does not grow with their regions. `write_store` makes one.

    Attributes:
        folder: where the store takes shape; further files may be put there.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self._sizes: dict[str, tuple[int, int]] = {}
        self._offsets = [0]
        self._files = ExitStack()
        self._features = self._files.enter_context((folder / "features.npy").open("wb"))
        self._boxes = self._files.enter_context((folder / "boxes.npy").open("wb"))
        self._write_heads()

    def add(self, image: str, features: np.ndarray, boxes_xyxy: np.ndarray, size: tuple[int, int]) -> None:
        """Append an image.

        Args:
            image: its key, new to this store.
            features: (R, dim) float, R >= 0.
            boxes_xyxy: (R, 4) float, in pixels.
            size: width and height in pixels.

        Raises:
            EmocapError: the key is not new, a shape is wrong, or a value is not finite or beyond half precision.
        """
        if image in self._sizes:
            raise EmocapError(f"image {image!r}: is in the store already; give each image once")
        if features.ndim != 2 or features.shape[1] != self.dim or boxes_xyxy.shape != (len(features), 4):
            raise EmocapError(
                f"image {image!r}: features {features.shape} and boxes {boxes_xyxy.shape}, "
                f"expected (R, {self.dim}) and (R, 4); the extractor is at fault"
            )
        with np.errstate(over="ignore"):
            half = features.astype("<f2")
        if not np.isfinite(half).all() or not np.isfinite(boxes_xyxy).all():
            raise EmocapError(
                f"image {image!r}: a feature is not finite or beyond half precision (65,504), largest found "
                f"{np.abs(features).max():.4g}; the extractor is at fault"
            )
        self._features.write(half.tobytes())
        self._boxes.write(boxes_xyxy.astype("<f4").tobytes())
        self._offsets.append(self._offsets[-1] + len(features))
        self._sizes[image] = size

    def finish(self, extractor: str, settings: Mapping[str, Any], weights_hash: str) -> None:
        """Write what is known only at the end: shapes, offsets, keys, checksums, header."""
        self._write_heads()
        self.close()
        np.save(self.folder / "offsets.npy", np.array(self._offsets, dtype="<i8"), allow_pickle=False)
        columns = {
            "images": list(self._sizes),
            "widths": [width for width, _ in self._sizes.values()],
            "heights": [height for _, height in self._sizes.values()],
        }
        with (self.folder / "images.json").open("w", encoding="utf-8") as file:
            json.dump(columns, file, ensure_ascii=False)
        header = Header(
            schema=SCHEMA,
            extractor=extractor,
            settings=dict(settings),
            weights_hash=weights_hash,
            dim=self.dim,
            n_images=len(self._sizes),
            n_regions=self._offsets[-1],
            sha256={name: sha256_of(self.folder / name) for name in DATA_FILES},
        )
        write_json(self.folder / "header.json", asdict(header))

    def close(self) -> None:
        self._files.close()

    def _write_heads(self) -> None:
        _write_head(self._features, (self._offsets[-1], self.dim), "<f2")
        _write_head(self._boxes, (self._offsets[-1], 4), "<f4")


@contextmanager
def write_store(
    path: Path, extractor: str, settings: Mapping[str, Any], weights_hash: str, dim: int
) -> Iterator[StoreWriter]:
    """Give a writer; what it took in becomes the store at `path` when the block ends well, and nothing otherwise.

    Raises:
        EmocapError: the store cannot be written, or `path` is something else than a store; nothing is left behind and
            what was at `path` stays.
    """
    path = Path(path)
    if path.exists() and not (path / "header.json").is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise EmocapError(f"{path}: exists and is no feature store; choose another place for the features")
    with whole_folder(path) as folder:
        writer = StoreWriter(folder, dim)
        try:
            yield writer
            writer.finish(extractor, settings, weights_hash)
        finally:
            writer.close()


def _write_head(file: IO[bytes], shape: tuple[int, int], dtype: str) -> None:
    # numpy pads the head so that the first axis may grow without moving the data.
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})


def _read_header(path: Path) -> Header:
    where = path / "header.json"
    if not where.is_file():
        raise EmocapError(f"{path}: no feature store (it has no header.json); extract the features first")
    found = read_json(where)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise EmocapError(f"{where}: schema is {schema!r}, expected {SCHEMA}; extract the features again")
    types = {
        "extractor": str,
        "settings": dict,
        "weights_hash": str,
        "dim": int,
        "n_images": int,
        "n_regions": int,
        "sha256": dict,
    }
    for key, kind in types.items():
        value = found.get(key)
        if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise EmocapError(f"{where}: {key} is {value!r:.80}, expected {kind.__name__}; {_AGAIN}")
    if set(found["sha256"]) != set(DATA_FILES):
        raise EmocapError(f"{where}: sha256 names {sorted(found['sha256'])}, expected {sorted(DATA_FILES)}; {_AGAIN}")
    return Header(schema=schema, **{key: found[key] for key in types})


def _read_images(path: Path, n_images: int) -> tuple[list[str], np.ndarray]:
    found = read_json(path)
    columns = []
    for name, kind in (("images", str), ("widths", int), ("heights", int)):
        column = found.get(name) if isinstance(found, dict) else None
        if not isinstance(column, list) or not all(isinstance(value, kind) for value in column):
            raise EmocapError(f"{path}: {name} is not a list of {kind.__name__}; {_AGAIN}")
        if len(column) != n_images:
            raise EmocapError(f"{path}: {name} has {len(column)} entries, the header says {n_images}; {_AGAIN}")
        columns.append(column)
    return columns[0], np.array(columns[1:], dtype=np.int64).T


def _read_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        size = path.stat().st_size
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file; {_AGAIN}") from None
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        words = " ".join(str(error).split())[:80]
        raise EmocapError(f"{path}: cut short or damaged ({words}); {_AGAIN}") from error
    if not isinstance(array, np.memmap) or array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        found = f"{getattr(array, 'shape', None)} {getattr(array, 'dtype', None)}"
        raise EmocapError(f"{path}: holds {found}, the header says {shape} {np.dtype(dtype)}; {_AGAIN}")
    if size != array.offset + array.nbytes:
        raise EmocapError(f"{path}: has {size:,} bytes, expected {array.offset + array.nbytes:,}; {_AGAIN}")
    return array.view(np.ndarray)
