"""COCO captions (Chen et al. 2015, arXiv 1504.00325): the official JSON; no emotions."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from emocap.corpora.options import ReadOptions
from emocap.corpora.pairs import Pairs
from emocap.corpora.pairs_builder import PairsBuilder, plain_id
from emocap.errors import EmocapError
from emocap.files import read_json

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[][{}]')


def is_coco(start: bytes) -> bool:
    """Whether a file's first bytes are one object with lists of images and annotations, as far as they show.

    Where the object does not end within them, one of the lists is enough, if its objects have the fields of COCO. JSON
    lines are not COCO, whatever their keys.
    """
    keys, is_whole = _keys(start)
    if is_whole is not None:
        return is_whole and {b"images", b"annotations"} <= keys.keys()
    annotations, images = keys.get(b"annotations"), keys.get(b"images")
    if annotations:
        return b"image_id" in annotations
    if images:
        return b"file_name" in images and b"caption" not in images
    return b"licenses" in keys


def _keys(start: bytes) -> tuple[dict[bytes, set[bytes]], bool | None]:
    """The keys of the object that a file begins with, and for each those of the objects in its list.

    Also whether nothing follows the object; None if it does not end within the first bytes.
    """
    keys: dict[bytes, set[bytes]] = {}
    depth, last = 0, b""
    if not start.startswith(b"{"):
        return keys, False
    for token in _TOKEN.finditer(start):
        if (mark := token.group()) in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
        elif token.group(2) and depth == 1:
            last = token.group(1)
            keys[last] = set()
        elif token.group(2) and depth == 3:
            keys[last].add(token.group(1))
        if depth == 0:
            return keys, not start[token.end() :].strip()
    return keys, None


def read_coco(path: Path, images: Path | None = None, options: ReadOptions | None = None) -> Pairs:
    """`captions_{train,val}2017.json`, or a file of that form: one pair per caption, with its annotation id as pair id.

    Ids may be numbers or text; an annotation without an id of its own is named by its position.

    Raises:
        EmocapError: not JSON, not COCO captions, two images of one id, or no usable pair.
    """
    values = read_json(path)
    if not isinstance(values, dict) or not all(isinstance(values.get(key), list) for key in ("images", "annotations")):
        raise EmocapError(f"{path}: not COCO captions, expected an object with the lists 'images' and 'annotations'")
    if not any(isinstance(value, dict) and "caption" in value for value in values["annotations"]):
        raise EmocapError(f"{path}: no annotation has a caption, expected captions_*.json, not instances or keypoints")
    builder = PairsBuilder(path, images)
    names = _image_names(values["images"], builder)
    stem = path.name.split(".")[0]
    counts = Counter(_id(one.get("id")) for one in values["annotations"] if isinstance(one, dict))
    n_repeated = sum(count for own_id, count in counts.items() if own_id is not None and count > 1)
    if n_repeated:
        builder.notes.append(f"{n_repeated} annotations share their id with another; they are named by their position")
    for number, annotation in enumerate(values["annotations"]):
        if not isinstance(annotation, dict):
            builder.reject(f"annotations[{number}]", f"is {type(annotation).__name__}, expected an object")
            continue
        own_id, image_id = _id(annotation.get("id")), _id(annotation.get("image_id"))
        where = f"annotations[{number}]" if own_id is None else f"annotation {own_id}"
        if image_id is None or image_id not in names:
            builder.reject(where, "refers to an image that is not listed")
        else:
            pair_id = f"{stem}:{number}" if own_id is None or counts[own_id] > 1 else own_id
            builder.add(where, pair_id, names[image_id], annotation.get("caption"))
    return builder.build()


def _image_names(images: list[Any], builder: PairsBuilder) -> dict[str, str]:
    """Image id to file name.

    Raises:
        EmocapError: two file names have one id, so that nobody knows whose its captions are.
    """
    names: dict[str, str] = {}
    for number, image in enumerate(images):
        image_id = _id(image.get("id")) if isinstance(image, dict) else None
        if image_id is None or not isinstance(image.get("file_name"), str):
            builder.reject(f"images[{number}]", "has no id and file_name")
        elif names.setdefault(image_id, image["file_name"]) != image["file_name"]:
            raise EmocapError(
                f"{builder.source}: images {names[image_id]!r} and {image['file_name']!r} have one id, {image_id}; "
                "it is unknown whose its captions are, so give every image an id of its own"
            )
    return names


def _id(value: Any) -> str | None:
    """An id as text; None for what is none. The number 7 and the text "7" are one id, as annotations mix them."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not abs(value) < 2**53:  # NaN, or a number that lost digits
        return None
    return plain_id(value) or None
