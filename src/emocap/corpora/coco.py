"""COCO captions (Chen et al. 2015, arXiv 1504.00325): the official JSON; no emotions."""

from pathlib import Path
from typing import Any

from emocap.corpora.pairs import Pairs, PairsBuilder
from emocap.errors import EmocapError
from emocap.files import read_json


def is_coco(path: Path, start: bytes) -> bool:
    """Whether a file's name or first bytes indicate COCO captions."""
    keys = (b'"licenses"', b'"annotations"', b'"images"')
    return path.suffix == ".json" and (path.name.startswith("captions_") or any(key in start for key in keys))


def read_coco(path: Path, images: Path | None = None) -> Pairs:
    """`captions_{train,val}2017.json`: one pair per caption, with its annotation id as the pair id.

    Raises:
        EmocapError: not JSON, not COCO captions, or no usable pair.
    """
    values = read_json(path)
    if not isinstance(values, dict) or not all(isinstance(values.get(key), list) for key in ("images", "annotations")):
        raise EmocapError(f"{path}: not COCO captions, expected an object with the lists 'images' and 'annotations'")
    if not any(isinstance(value, dict) and "caption" in value for value in values["annotations"]):
        raise EmocapError(f"{path}: no annotation has a caption, expected captions_*.json, not instances or keypoints")
    builder = PairsBuilder(path)
    names: dict[Any, str] = {}
    for number, image in enumerate(values["images"]):
        if isinstance(image, dict) and isinstance(image.get("file_name"), str) and isinstance(image.get("id"), int):
            names[image["id"]] = image["file_name"]
        else:
            builder.reject(f"images[{number}]", "has no id and file_name")
    for number, annotation in enumerate(values["annotations"]):
        if not isinstance(annotation, dict) or not isinstance(annotation.get("id"), int):
            builder.reject(f"annotations[{number}]", "has no id")
        elif not isinstance(annotation.get("image_id"), int) or annotation["image_id"] not in names:
            builder.reject(f"annotation {annotation['id']}", "refers to an image that is not listed")
        else:
            name = names[annotation["image_id"]]
            builder.add(f"annotation {annotation['id']}", str(annotation["id"]), name, annotation.get("caption"))
    return builder.build(images)
