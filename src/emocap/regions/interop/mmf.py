"""The dict of NumPy arrays that MMF (Singh et al. 2020) and Pythia store for an image.

Layouts: facebookresearch/mmf, `tools/scripts/features` (features, bbox, num_boxes, image_width, image_height, objects,
cls_prob) and the older ones that its `feature_readers.py` reads. Objects are left out: whether 0 is the background
depends on an option of MMF's extractor, which is not recorded.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.regions.interop.boxes import boxes_in_pixels
from emocap.regions.interop.records import HEIGHT, WIDTH, Record, parse_size, require_count

FEATURES = ("features", "image_feat", "image_feature", "feature")
_BOXES = ("bbox", "boxes", "image_bboxes")
_NUMBER = ("num_boxes", "num_bbox")


def parse_arrays(where: str, id_: str, fields: Mapping[str, Any]) -> Record:
    """The record of a dict with the features as an array; boxes and sizes are optional.

    All features are regions, as in MMF, also those beyond `num_boxes`, except rows of zeros there, which are padding.

    Args:
        where: place for messages.
        id_: of the image.
        fields: by name.

    Raises:
        EmocapError: there are no features, or the shapes of the arrays do not match.
    """
    features, boxes = _first(fields, FEATURES), _first(fields, _BOXES)
    if not isinstance(features, np.ndarray):
        names = ", ".join(str(name)[:20] for name in list(fields)[:8])
        raise EmocapError(f"has {names or 'no field'}, expected an array as one of {', '.join(FEATURES)}")
    if features.ndim != 2 or features.dtype.kind not in "fiu":
        raise EmocapError(f"features are {features.shape} {features.dtype}, expected (regions, numbers) of numbers")
    if boxes is not None and not isinstance(boxes, np.ndarray):
        raise EmocapError(f"boxes are of type {type(boxes).__name__}, expected an array")
    count = _first(fields, _NUMBER)
    number = len(features) if count is None else require_count(count, "num_boxes")
    if number > len(features):
        raise EmocapError(f"num_boxes is {number}, but features has {len(features)} rows")
    if not features[number:].any():
        features = features[:number]
        boxes = boxes[:number] if boxes is not None and boxes.ndim else boxes
    size = parse_size(_first(fields, WIDTH) or 0, _first(fields, HEIGHT) or 0)
    if boxes is not None:
        boxes, size = boxes_in_pixels(boxes, size)
    return Record(where, id_, features, boxes, size)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these fields that is present and not None."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)
