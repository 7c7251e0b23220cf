"""Reading a feature store: region features on disk, memory-mapped, in half precision and looked up by image.

All files are memory-mapped: opening a store reads only the header, and looking up an image is a binary search.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.files import read_json, sha256_of
from emocap.progress import logger
from emocap.regions.extractors.base import OBJECT, Names
from emocap.regions.store.format import DIGEST_BYTES, EXTRACT_AGAIN, Header, key_hash, read_header, shard_file

MOST_VERIFIED_BYTES = 2**30  # read and hashed within about a second and a half


class FeatureStore:
    """Region features of images; `store[image]` is ((R, dim) float16, (R, 4) float32 boxes_xyxy), memory-mapped.

    Both arrays are read-only. An image that is not in the store raises EmocapError; `image in store` checks first. A
    store is pickled as its path, never as its data.

    Attributes:
        header: what the store holds.
        fingerprint: a model records it and refuses stores with a different one.
        sizes: (n_images, 2) int32, width and height of each image in pixels.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.fingerprint = header.fingerprint
        n_images, n_regions = header.n_images, header.n_regions
        self.sizes = _map(path / "sizes.npy", (n_images, 2), np.int32)
        self._boxes = _map(path / "boxes.npy", (n_regions, 4), np.float32)
        has_objects = "objects.npy" in header.sha256
        self._objects = _map(path / "objects.npy", (n_regions,), OBJECT) if has_objects else None
        has_digests = "digests.npy" in header.sha256
        self._digests = _map(path / "digests.npy", (n_images, DIGEST_BYTES), np.uint8) if has_digests else None
        self._offsets = _map(path / "offsets.npy", (n_images + 1,), np.int64)
        self._key_ends = _map(path / "key_ends.npy", (n_images,), np.int64)
        self._keys = _map(path / "keys.npy", (int(self._key_ends[-1]) if n_images else 0,), np.uint8)
        self._hashes = _map(path / "hashes.npy", (n_images,), np.uint64)
        self._rows = _map(path / "rows.npy", (n_images,), np.int64)
        self._first_images = np.cumsum([0, *header.shards]).tolist()
        if self._offsets[0] != 0 or self._offsets[-1] != n_regions:
            raise EmocapError(f"{path / 'offsets.npy'}: does not run from 0 to {n_regions:,}; {EXTRACT_AGAIN}")
        self._first_regions = self._offsets[self._first_images].tolist()
        if self._first_regions != sorted(self._first_regions):
            raise EmocapError(f"{path / 'offsets.npy'}: decreases; {EXTRACT_AGAIN}")
        for number in range(len(header.shards)):
            _check_size(path / shard_file(number), self._shard_shape(number), np.float16)
        self._shards: dict[int, np.ndarray] = {}
        self._row_of: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path) -> "FeatureStore":
        """The store in this folder; its data is not read yet.

        Raises:
            EmocapError: the folder is not a store, has a different version, or its files are inconsistent.
        """
        path = Path(path)
        return cls(path, read_header(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore.open, (self.path,)

    def __len__(self) -> int:
        return self.header.n_images

    def __contains__(self, image: object) -> bool:
        return isinstance(image, str) and self._row(image) is not None

    def __getitem__(self, image: str) -> tuple[np.ndarray, np.ndarray]:
        row = self._known_row(image)
        start, end = self._regions_of(row)
        shard = bisect_right(self._first_images, row) - 1
        first = self._first_regions[shard]
        features = self._shards.get(shard)
        if features is None:
            features = _map(self.path / shard_file(shard), self._shard_shape(shard), np.float16)
            self._shards[shard] = features
        return features[start - first : end - first], self._boxes[start:end]

    @property
    def images(self) -> list[str]:
        """The keys, in the order in which they were written."""
        text = self._keys.tobytes()
        ends = self._key_ends.tolist()
        spans = zip([0, *ends[:-1]], ends, strict=True)
        try:
            return [text[start:end].decode(errors="surrogatepass") for start, end in spans]
        except UnicodeDecodeError as error:
            raise EmocapError(f"{self.path / 'keys.npy'}: holds a key that is not text; {EXTRACT_AGAIN}") from error

    def digest(self, image: str) -> str | None:
        """SHA-256 of the file that an image was described from, in hexadecimal; None if the store has none.

        Raises:
            EmocapError: the image is not in the store.
        """
        row = self._known_row(image)
        return self._digests[row].tobytes().hex() if self._digests is not None else None

    @property
    def names(self) -> Names:
        """The detector's class names; empty if unknown."""
        return Names(tuple(self.header.objects), tuple(self.header.attributes))

    def size(self, image: str) -> tuple[int, int]:
        """Width and height of an image in pixels.

        Raises:
            EmocapError: the image is not in the store.
        """
        width, height = self.sizes[self._known_row(image)].tolist()
        return width, height

    def objects(self, image: str) -> np.ndarray | None:
        """(R,) of `OBJECT`: the predicted class of each region; None if the store holds no objects.

        Raises:
            EmocapError: the image is not in the store.
        """
        start, end = self._regions_of(self._known_row(image))
        return self._objects[start:end] if self._objects is not None else None

    def summary(self) -> dict[str, Any]:
        """What the store holds, as text for display."""
        header = self.header
        counts = np.diff(self._offsets) if len(self) else np.zeros(1, np.int64)
        return {
            "extractor": header.extractor,
            "settings": json.dumps(header.settings),
            "weights": header.weights_hash or "none",
            "computed in": header.computed_in or "unknown",
            "fingerprint": self.fingerprint,
            "images": f"{len(self):,}",
            "regions": f"{header.n_regions:,}, {counts.min()} to {counts.max()} per image",
            "features": f"{header.dim:,}, float16",
            "objects": "named" if header.objects else "class ids only" if self._objects is not None else "none",
            "size": f"{self._n_bytes() / 2**20:,.1f} MiB in {len(header.shards)} shards",
        }

    def verify(self) -> None:
        """Read all data and compare its checksums and the header's.

        Raises:
            EmocapError: a file has changed since it was written.
        """
        self._verify(self.header.sha256)

    def verify_before_use(self) -> None:
        """As `verify`, but of a store above 1 GiB the files beside the features alone, which is logged.

        Raises:
            EmocapError: a file has changed since it was written.
        """
        features = {shard_file(number) for number in range(len(self.header.shards))}
        if self._n_bytes() <= MOST_VERIFIED_BYTES:
            features = set()
        else:
            logger.info(
                "%s: above 1 GiB, so its features are not compared with their checksums; "
                "'emocap store verify %s' does so",
                self.path,
                self.path,
            )
        self._verify(name for name in self.header.sha256 if name not in features)

    def _n_bytes(self) -> int:
        return sum((self.path / name).stat().st_size for name in self.header.sha256)

    def _verify(self, names: Iterable[str]) -> None:
        if read_json(self.path / "header.json").get("digest") != self.header.digest:
            raise EmocapError(f"{self.path / 'header.json'}: has changed since it was written; {EXTRACT_AGAIN}")
        for name in names:
            expected = self.header.sha256[name]
            try:
                actual = sha256_of(self.path / name)
            except OSError as error:
                raise EmocapError(
                    f"{self.path / name}: cannot be read ({error.strerror or error}); {EXTRACT_AGAIN}"
                ) from error
            if actual != expected:
                raise EmocapError(
                    f"{self.path / name}: SHA-256 is {actual[:16]}..., expected {expected[:16]}...: "
                    f"the file has changed since it was written; {EXTRACT_AGAIN}"
                )

    def _row(self, image: str) -> int | None:
        row = self._row_of.get(image)
        if row is None:
            key = image.encode(errors="surrogatepass")
            place = int(np.searchsorted(self._hashes, np.uint64(key_hash(key))))
            for row in self._rows[
                place : place + 8
            ].tolist():  # more than eight keys with the same 64-bit hash do not occur
                if 0 <= row < len(self) and self._key(row) == key:
                    self._row_of[image] = row
                    return row
            return None
        return row

    def _key(self, row: int) -> bytes:
        start = int(self._key_ends[row - 1]) if row else 0
        return self._keys[start : int(self._key_ends[row])].tobytes()

    def _known_row(self, image: str) -> int:
        row = self._row(image)
        if row is None:
            raise EmocapError(f"{self.path}: has no image {image!r}; extract its features, or leave it out")
        return row

    def _regions_of(self, row: int) -> tuple[int, int]:
        start, end = self._offsets[row : row + 2].tolist()
        if not 0 <= start <= end <= self.header.n_regions:
            raise EmocapError(f"{self.path / 'offsets.npy'}: image {row} has regions {start} to {end}; {EXTRACT_AGAIN}")
        return start, end

    def _shard_shape(self, number: int) -> tuple[int, int]:
        return self._first_regions[number + 1] - self._first_regions[number], self.header.dim


def _map(path: Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A read-only array of a file, memory-mapped; nothing is unpickled."""
    offset = _check_size(path, shape, dtype)
    if 0 in shape:
        array = np.empty(shape, dtype)
        array.flags.writeable = False
        return array
    return np.memmap(path, dtype, "r", offset, shape).view(np.ndarray)


def _check_size(path: Path, shape: tuple[int, ...], dtype: Any) -> int:
    """The offset of the data in a .npy file.

    Raises:
        EmocapError: the file is missing or truncated, or holds an array of a different shape or dtype.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version}")
            actual_shape, fortran, actual_dtype = np.lib.format.read_array_header_1_0(file)
            offset, size = file.tell(), path.stat().st_size
    except FileNotFoundError:
        raise EmocapError(f"{path}: no such file; {EXTRACT_AGAIN}") from None
    except Exception as error:  # numpy parses the header as Python source, which raises many types
        words = " ".join(str(error).split())[:80]
        raise EmocapError(f"{path}: truncated or damaged ({words}); {EXTRACT_AGAIN}") from error
    dtype = np.dtype(dtype)
    if actual_shape != shape or actual_dtype != dtype or fortran:
        raise EmocapError(f"{path}: holds {actual_shape} {actual_dtype}, expected {shape} {dtype}; {EXTRACT_AGAIN}")
    expected = offset + dtype.itemsize * math.prod(shape)
    if size != expected:
        raise EmocapError(f"{path}: has {size:,} bytes, expected {expected:,}; {EXTRACT_AGAIN}")
    return offset
