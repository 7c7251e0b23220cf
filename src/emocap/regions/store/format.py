"""The files of a feature store: its header, what makes features interchangeable, and the names of its parts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emocap.errors import EmocapError
from emocap.files import read_json

SCHEMA = 2


INDEX_FILES = ("boxes.npy", "offsets.npy", "sizes.npy", "keys.npy", "key_ends.npy", "hashes.npy", "rows.npy")


# Where weights lie, how fast they are used and what file features came in do not change what the features are.
NOT_OF_THE_KIND = ("weights", "precision", "format")


_AGAIN = "delete the folder and extract the features again"


@dataclass(frozen=True)
class Header:
    """What a store holds and how it was made; the fields are those of `header.json`.

    Attributes:
        weights_hash: of the extractor's weights; "" where it has none.
        computed_in: number type that the extractor computed in; "" where it is not known.
        shards: number of images in each shard.
        objects, attributes: names of a detector's classes; empty where they are not known.
        sha256: of each data file, in hexadecimal.
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
    def kind(self) -> str:
        """`feature_fingerprint` this extractor."""
        return feature_fingerprint(self.extractor, self.settings, self.weights_hash, self.dim)

    @property
    def digest(self) -> str:
        """SHA-256 of all fields, which `header.json` holds beside them."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def feature_fingerprint(extractor: str, settings: Mapping[str, Any], weights_hash: str, dim: int) -> str:
    """16 hexadecimal digits that are the same for features that can take each other's place."""
    made = {key: value for key, value in settings.items() if key not in NOT_OF_THE_KIND}
    return hashlib.sha256(json.dumps([extractor, made, weights_hash, dim], sort_keys=True).encode()).hexdigest()[:16]


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
    """Whether a folder has what a store gets last."""
    return (path / "header.json").is_file()


def _read_header(path: Path) -> Header:
    where = path / "header.json"
    if not is_complete(path):
        raise EmocapError(f"{path}: no feature store (it has no header.json); extract the features first")
    found = read_json(where)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise EmocapError(f"{where}: schema is {schema!r}, expected {SCHEMA}; extract the features again")
    types = {
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
    for key, kind in types.items():
        value = found.get(key)
        if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise EmocapError(f"{where}: {key} is {value!r:.80}, expected {kind.__name__}; {_AGAIN}")
    shards = found["shards"]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shards):
        raise EmocapError(f"{where}: shards is {shards!r:.80}, expected numbers of images; {_AGAIN}")
    if sum(shards) != found["n_images"]:
        raise EmocapError(
            f"{where}: its shards hold {sum(shards):,} images, n_images is {found['n_images']:,}; {_AGAIN}"
        )
    if not all(isinstance(value, str) for value in found["sha256"].values()):
        raise EmocapError(f"{where}: sha256 holds what is no checksum; {_AGAIN}")
    expected = {*INDEX_FILES, *(shard_file(number) for number in range(len(shards)))}
    if set(found["sha256"]) - {"objects.npy"} != expected:
        raise EmocapError(
            f"{where}: sha256 names {sorted(found['sha256'])!s:.200}, expected {sorted(expected)!s:.200}; {_AGAIN}"
        )
    return Header(schema=schema, **{key: found[key] for key in types})
