"""The configuration of a bottom-up-attention Faster R-CNN, read from the `config.yaml` of its checkpoint."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from emocap.errors import EmocapError
from emocap.files import read_text
from emocap.validation import first_error

PUBLISHED = "unc-nlp/frcnn-vg-finetuned"  # on the hub
# Fields of DetectorConfig and their keys in the file. Files differ: sections are at the top level or below `model`, and
# keys are in lower or upper case.
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
# Settings for which the network supports one value only.
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
MAX_KEYS, MAX_LEVELS = 10_000, 20
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class DetectorConfig:
    """The network's configuration; the defaults are those of the published checkpoint.

    Attributes:
        min_size, max_size: an image's shorter side is scaled to `min_size`, unless its longer side would exceed
            `max_size`.
        pixel_mean, pixel_std: for the channels in the order of `channels`.
        channels: "BGR" or "RGB".
        stem_channels, res2_channels, width: output channels of the stem and of res2, and channels inside res2's blocks.
        blocks: residual blocks in res2 to res5.
        stride_in_1x1: whether the stride of a stage's first block is in its 1x1 convolution instead of its 3x3.
        caffe_maxpool: whether the stem pools as in Caffe: no padding, sizes rounded up.
        anchor_sizes, anchor_ratios, anchor_offset: square roots of areas in pixels, heights over widths, and the first
            centre in strides.
        rpn_channels, n_before_nms, n_proposals, rpn_nms, min_box_side: settings of the region proposal network.
        n_objects, n_attributes: numbers of classes, without the background and "no attribute".
        class_agnostic: whether all classes share a box.
        box_weights: divisors of a box's dx, dy, dw, dh.
        resolution: cells per side of a pooled region.
        res5_halve: whether res5 has a stride of 2; else it keeps the resolution and has a dilation of 2.
        nms: IoU thresholds of the final non-maximum suppression, tried in turn.
        min_boxes, max_boxes: bounds on the number of regions.
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
    """The configuration in a checkpoint's `config.yaml`, with defaults for omitted values.

    Raises:
        EmocapError: the file is missing or not YAML, or a value is not supported.
    """
    try:
        values = _Loader(read_text(path)).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise EmocapError(f"{path}: not valid YAML ({' '.join(str(error).split())[:80]})") from None
    if not isinstance(values, dict):
        raise EmocapError(f"{path}: holds a {type(values).__name__}, expected a detector's settings")
    flat: dict[str, Any] = {}
    try:
        _flatten(values, "", flat)
    except (ValueError, RecursionError):
        raise EmocapError(f"{path}: has too many keys or levels for a detector's settings") from None
    for key, expected in FIXED.items():
        value = flat.get(key, expected)
        if value != expected:
            raise EmocapError(f"{path}: {key} is {value!r:.40}, but this detector supports {expected!r} only")
    settings: dict[str, Any] = {field: flat[key] for field, key in KEYS.items() if key in flat}
    _simplify(settings, path)
    try:
        config = TypeAdapter(DetectorConfig).validate_python(settings)
    except ValidationError as error:
        raise EmocapError(f"{path}: {first_error(error.errors(), names=KEYS)}") from None
    _check_ranges(config, path)
    return config


class _Loader(yaml.SafeLoader):
    """Also reads the tuples that PyYAML's dumper writes, as lists."""


def _tuple(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def _flatten(values: dict[Any, Any], before: str, flat: dict[str, Any]) -> None:
    if len(flat) > MAX_KEYS or before.count(".") > MAX_LEVELS:
        raise ValueError("too many keys")
    for key, value in values.items():
        name = f"{before}{key}".lower()
        if isinstance(value, dict):
            _flatten(value, "" if name == "model" else f"{name}.", flat)
            if name == "model":
                flat.update({f"model.{k}".lower(): v for k, v in value.items() if not isinstance(v, dict)})
        else:
            flat[name] = value


def _simplify(settings: dict[str, Any], path: Path) -> None:
    """Convert lists for one feature map, depths and -1 to the values of the fields."""
    for field in ("anchor_sizes", "anchor_ratios"):
        value = settings.get(field)
        if isinstance(value, list) and value and isinstance(value[0], list):
            if len(value) != 1:
                raise EmocapError(f"{path}: {KEYS[field]} has {len(value)} lists, but there is one feature map")
            settings[field] = value[0]
    if "blocks" in settings:
        depth = settings["blocks"]
        if depth not in BLOCKS:
            raise EmocapError(f"{path}: {KEYS['blocks']} is {depth!r:.40}, expected one of {list(BLOCKS)}")
        settings["blocks"] = BLOCKS[depth]
    if "nms" in settings and not isinstance(settings["nms"], list):
        settings["nms"] = [settings["nms"]]
    if settings.get("rpn_channels") == -1:
        res2 = settings.get("res2_channels", DetectorConfig().res2_channels)
        settings["rpn_channels"] = res2 * 4 if isinstance(res2, int) else res2


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
            f"{path}: max_detections is {config.max_boxes}, but there are only {config.n_proposals} proposals"
        )
    if config.min_boxes > config.max_boxes:
        raise EmocapError(f"{path}: min_detections is {config.min_boxes}, more than max_detections, {config.max_boxes}")
