"""What a Faster R-CNN of bottom-up attention is: its settings, and how its checkpoint's `config.yaml` gives them."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from emocap.errors import EmocapError
from emocap.files import read_text
from emocap.validation import first_error

# Fields of DetectorConfig and where the file has them. It was written by several hands: sections lie at the top or
# below `model`, and the case of keys differs.
KEYS = {
    "min_size": "input.min_size_test",
    "max_size": "input.max_size_test",
    "channels": "input.format",
    "pixel_mean": "model.pixel_mean",
    "pixel_std": "model.pixel_std",
    "caffe_maxpool": "model.max_pool",
    "stem_channels": "resnets.stem_out_channels",
    "res2_channels": "resnets.res2_out_channels",
    "width": "resnets.width_per_group",
    "blocks": "resnets.depth",
    "stride_in_1x1": "resnets.stride_in_1x1",
    "anchor_sizes": "anchor_generator.sizes",
    "anchor_ratios": "anchor_generator.aspect_ratios",
    "anchor_offset": "anchor_generator.offset",
    "rpn_channels": "proposal_generator.hidden_channels",
    "min_box_side": "proposal_generator.min_size",
    "n_before_nms": "rpn.pre_nms_topk_test",
    "n_proposals": "rpn.post_nms_topk_test",
    "rpn_nms": "rpn.nms_thresh",
    "n_objects": "roi_heads.num_classes",
    "nms": "roi_heads.nms_thresh_test",
    "n_attributes": "roi_box_head.num_attrs",
    "class_agnostic": "roi_box_head.cls_agnostic_bbox_reg",
    "box_weights": "roi_box_head.bbox_reg_weights",
    "resolution": "roi_box_head.pooler_resolution",
    "res5_halve": "roi_box_head.res5halve",
    "min_boxes": "min_detections",
    "max_boxes": "max_detections",
}
# What the network has no other form of.
FIXED = {
    "resnets.norm": "BN",
    "resnets.num_groups": 1,
    "resnets.res5_dilation": 1,
    "rpn.bbox_reg_weights": [1.0, 1.0, 1.0, 1.0],
    "roi_box_head.attr": True,
    "roi_box_head.pooler_type": "ROIPool",
    "size_divisibility": 0,
    "pad_value": 0,
}
MOST_KEYS, MOST_LEVELS = 10_000, 20
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class DetectorConfig:
    """What the network is; the defaults are those of the published checkpoint.

    Attributes:
        min_size, max_size: an image's short side is scaled to the first, unless its long one would pass the second.
        pixel_mean, pixel_std: of the channels in the order of `channels`.
        channels: "BGR" or "RGB".
        stem_channels, res2_channels, width: channels behind the stem, behind res2, and inside res2's blocks.
        blocks: residual blocks in res2 to res5.
        stride_in_1x1: whether a stage's first block strides in its 1x1 convolution, and not in its 3x3.
        caffe_maxpool: the stem's pooling as in Caffe: no padding, sizes rounded up.
        anchor_sizes, anchor_ratios, anchor_offset: square roots of areas in pixels, heights over widths, and the first
            centre in strides.
        rpn_channels, n_before_nms, n_proposals, rpn_nms, min_box_side: of the proposals.
        n_objects, n_attributes: classes; the background and "no attribute" come on top.
        class_agnostic: whether all classes share a box.
        box_weights: divisors of a box's dx, dy, dw, dh.
        resolution: cells a side of a pooled region.
        res5_halve: whether res5 strides as usual; else it keeps the resolution and dilates by 2.
        nms: thresholds of the last suppression, tried in turn.
        min_boxes, max_boxes: regions kept.
    """

    min_size: int = 800
    max_size: int = 1333
    pixel_mean: tuple[float, ...] = (102.9801, 115.9465, 122.7717)
    pixel_std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channels: str = "BGR"
    stem_channels: int = 64
    res2_channels: int = 256
    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 23, 3)
    stride_in_1x1: bool = True
    caffe_maxpool: bool = True
    anchor_sizes: tuple[float, ...] = (64, 128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_offset: float = 0.0
    rpn_channels: int = 512
    n_before_nms: int = 6000
    n_proposals: int = 300
    rpn_nms: float = 0.7
    min_box_side: float = 0.0
    n_objects: int = 1600
    n_attributes: int = 400
    class_agnostic: bool = False
    box_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    resolution: int = 14
    res5_halve: bool = False
    nms: tuple[float, ...] = (0.6,)
    min_boxes: int = 36
    max_boxes: int = 36


def read_config(path: Path) -> DetectorConfig:
    """The detector that a checkpoint's `config.yaml` describes; what it leaves out is as published.

    Raises:
        EmocapError: missing, not YAML, or a value that cannot be used.
    """
    try:
        values = _Loader(read_text(path)).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise EmocapError(f"{path}: not valid YAML ({' '.join(str(error).split())[:80]})") from None
    if not isinstance(values, dict):
        raise EmocapError(f"{path}: holds {type(values).__name__}, expected a detector's settings")
    flat: dict[str, Any] = {}
    try:
        _flatten(values, "", flat)
    except (ValueError, RecursionError):
        raise EmocapError(f"{path}: has too many keys or levels for a detector's settings") from None
    for key, expected in FIXED.items():
        found = flat.get(key, expected)
        if found != expected:
            raise EmocapError(f"{path}: {key} is {found!r:.40}, but this detector knows {expected!r} only")
    given: dict[str, Any] = {field: flat[key] for field, key in KEYS.items() if key in flat}
    _simplify(given, path)
    try:
        config = TypeAdapter(DetectorConfig).validate_python(given)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors(), names=KEYS)}") from None
    _check_ranges(config, path)
    return config


class _Loader(yaml.SafeLoader):
    """Also takes the tuples that Python's dumper writes, as lists."""


def _tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def _flatten(values: dict[Any, Any], before: str, flat: dict[str, Any]) -> None:
    if len(flat) > MOST_KEYS or before.count(".") > MOST_LEVELS:
        raise ValueError("too many keys")
    for key, value in values.items():
        name = f"{before}{key}".lower()
        if isinstance(value, dict):
            _flatten(value, "" if name == "model" else f"{name}.", flat)
            if name == "model":
                flat.update({f"model.{k}".lower(): v for k, v in value.items() if not isinstance(v, dict)})
        else:
            flat[name] = value


def _simplify(given: dict[str, Any], path: Path) -> None:
    """Bring lists of one feature map, depths and -1 to what the fields hold."""
    for field in ("anchor_sizes", "anchor_ratios"):
        value = given.get(field)
        if isinstance(value, list) and value and isinstance(value[0], list):
            if len(value) != 1:
                raise EmocapError(f"{path}: {KEYS[field]} has {len(value)} lists, but there is one feature map")
            given[field] = value[0]
    if "blocks" in given:
        if given["blocks"] not in BLOCKS:
            raise EmocapError(f"{path}: {KEYS['blocks']} is {given['blocks']!r:.40}, expected one of {list(BLOCKS)}")
        given["blocks"] = BLOCKS[given["blocks"]]
    if "nms" in given and not isinstance(given["nms"], list):
        given["nms"] = [given["nms"]]
    if given.get("rpn_channels") == -1:
        res2 = given.get("res2_channels", DetectorConfig().res2_channels)
        given["rpn_channels"] = res2 * 4 if isinstance(res2, int) else res2


def _check_ranges(config: DetectorConfig, path: Path) -> None:
    if config.channels not in ("BGR", "RGB"):
        raise EmocapError(f"{path}: {KEYS['channels']} is {config.channels!r:.40}, expected BGR or RGB")
    for field in fields(config):
        value = getattr(config, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(math.isfinite(number) for number in numbers if isinstance(number, (int, float))):
            raise EmocapError(f"{path}: {KEYS[field.name]} is {value!r:.40}, expected finite numbers")
        positive = field.name not in (
            "pixel_mean",
            "anchor_offset",
            "min_box_side",
            "class_agnostic",
            "res5_halve",
            "stride_in_1x1",
            "caffe_maxpool",
            "channels",
        )
        if positive and (not numbers or not all(number > 0 for number in numbers)):
            raise EmocapError(f"{path}: {KEYS[field.name]} is {value!r:.40}, expected more than 0")
    for name, count in (("pixel_mean", 3), ("pixel_std", 3), ("box_weights", 4)):
        if len(getattr(config, name)) != count:
            raise EmocapError(f"{path}: {KEYS[name]} has {len(getattr(config, name))} values, expected {count}")
    if not 0 <= config.anchor_offset < 1:
        raise EmocapError(f"{path}: {KEYS['anchor_offset']} is {config.anchor_offset:g}, expected from 0 to below 1")
    if config.max_boxes > config.n_proposals:
        raise EmocapError(
            f"{path}: max_detections is {config.max_boxes}, but there are {config.n_proposals} proposals to choose from"
        )
    if config.min_boxes > config.max_boxes:
        raise EmocapError(f"{path}: min_detections is {config.min_boxes}, more than max_detections, {config.max_boxes}")
