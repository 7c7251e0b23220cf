"""The on-disk format of a feature store: its files, its header, and the fingerprint of interchangeable features.

A store is a folder:
    header.json         schema, extractor, settings, weights_hash, computed_in, dim, n_images, n_regions, images per
                        shard, a detector's class names, SHA-256 of the files below, digest of all these fields
    features-00000.npy  (regions of shard 0, dim) float16; then features-00001.npy and so on
    boxes.npy           (n_regions, 4) float32, x0 y0 x1 y1 in pixels of the upright image
    objects.npy         (n_regions,) of `OBJECT`; only if the extractor predicts object classes
    offsets.npy         (n_images + 1,) int64; image i has regions offsets[i] to offsets[i + 1], counted over all shards
    sizes.npy           (n_images, 2) int32, width and height of each upright image in pixels
    keys.npy            (bytes,) uint8, the images' keys in UTF-8, concatenated
    key_ends.npy        (n_images,) int64, the end of each key in keys.npy
    hashes.npy          (n_images,) uint64, `key_hash` of the keys in ascending order
    rows.npy            (n_images,) int64, the image that each hash belongs to
    digests.npy         (n_images, 32) uint8, SHA-256 of each image's file; only if the store was extracted from files
    report.json         the images described, missing and rejected
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import read_json
from emocap.regions.extractors.base import Names

SCHEMA = 2
REPORT = "report.json"
INDEX_FILES = ("boxes.npy", "offsets.npy", "sizes.npy", "keys.npy", "key_ends.npy", "hashes.npy", "rows.npy")
DIGEST_BYTES = 32
OPTIONAL_FILES = {"objects.npy", "digests.npy"}
# The location of the weights, the precision and the imported file's format do not change what the features mean.
NOT_FINGERPRINTED = ("weights", "precision", "format")
EXTRACT_AGAIN = "delete the folder and extract the features again"
_FIELD_TYPES = {
    "extractor": str,
    "settings": dict,
    "weights_hash": str,
    "computed_in": str,
    "dim": int,
    "n_images": int,
    "n_regions": int,
    "shards": list,
    "objects": list,
    "attributes": list,
    "sha256": dict,
}


@dataclass(frozen=True)
class FeatureSource:
    """Where the features of a store come from.

    Attributes:
        extractor: its name.
        settings: JSON-able.
        weights_hash: hash of its weights; "" if it has none.
        dim: features per region.
        names: a detector's class names; None if the extractor predicts no classes, and the store then holds no objects.
        computed_in: dtype that the extractor computes in; "" if unknown.
    """

    extractor: str
    settings: Mapping[str, Any]
    weights_hash: str
    dim: int
    names: Names | None = None
    computed_in: str = ""


@dataclass(frozen=True)
class Header:
    """What a store holds and how it was made; the fields are those of `header.json`.

    Attributes:
        weights_hash: hash of the extractor's weights; "" if it has none.
        computed_in: dtype that the extractor computed in; "" if unknown.
        shards: number of images in each shard.
        objects, attributes: a detector's class names; empty if unknown.
        sha256: hash of each data file, in hexadecimal.
    """

    schema: int
    extractor: str
    settings: dict[str, Any]
    weights_hash: str
    computed_in: str
    dim: int
    n_images: int
    n_regions: int
    shards: list[int]
    objects: list[str]
    attributes: list[str]
    sha256: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """The `feature_fingerprint` of the store's features."""
        return feature_fingerprint(self.extractor, self.settings, self.weights_hash, self.dim)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields, which `header.json` stores too."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def feature_fingerprint(extractor: str, settings: Mapping[str, Any], weights_hash: str, dim: int) -> str:
    """16 hexadecimal digits, equal for features that can replace each other."""
    relevant = {key: value for key, value in settings.items() if key not in NOT_FINGERPRINTED}
    return hashlib.sha256(json.dumps([extractor, relevant, weights_hash, dim], sort_keys=True).encode()).hexdigest()[
        :16
    ]


def key_hash(key: bytes) -> int:
    """64 bits of a key, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def shard_file(number: int) -> str:
    """Name of a shard's features.

    >>> shard_file(3)
    'features-00003.npy'
    """
    return f"features-{number:05d}.npy"


def is_complete(path: Path) -> bool:
    """Whether a folder has the file that is written last."""
    return (path / "header.json").is_file()


def read_header(path: Path) -> Header:
    """The validated header of the store in a folder.

    Raises:
        EmocapError: the folder is not a store, or its header is damaged or has a different version.
    """
    where = path / "header.json"
    if not is_complete(path):
        raise EmocapError(f"{path}: not a feature store (it has no header.json); extract the features first")
    fields = read_json(where, EXTRACT_AGAIN)
    schema = fields.get("schema") if isinstance(fields, dict) else None
    if schema != SCHEMA:
        raise EmocapError(f"{where}: schema is {schema!r}, expected {SCHEMA}; extract the features again")
    for key, expected in _FIELD_TYPES.items():
        value = fields.get(key)
        if not isinstance(value, expected) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise EmocapError(f"{where}: {key} is {value!r:.80}, expected {expected.__name__}; {EXTRACT_AGAIN}")
    _check_shards(where, fields)
    return Header(schema=schema, **{key: fields[key] for key in _FIELD_TYPES})


def _check_shards(where: Path, fields: dict[str, Any]) -> None:
    """Require that the shards, the number of images and the checksummed files agree."""
    shards = fields["shards"]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shards):
        raise EmocapError(f"{where}: shards is {shards!r:.80}, expected numbers of images; {EXTRACT_AGAIN}")
    if sum(shards) != fields["n_images"]:
        raise EmocapError(
            f"{where}: its shards hold {sum(shards):,} images, n_images is {fields['n_images']:,}; {EXTRACT_AGAIN}"
        )
    if not all(isinstance(value, str) for value in fields["sha256"].values()):
        raise EmocapError(f"{where}: sha256 holds a value that is not a checksum; {EXTRACT_AGAIN}")
    files = {*INDEX_FILES, *(shard_file(number) for number in range(len(shards)))}
    if set(fields["sha256"]) - OPTIONAL_FILES != files:
        raise EmocapError(
            f"{where}: sha256 names {sorted(fields['sha256'])!s:.200}, expected {sorted(files)!s:.200}; {EXTRACT_AGAIN}"
        )
