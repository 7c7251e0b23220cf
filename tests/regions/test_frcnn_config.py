"""The configuration of the Visual Genome detector, read from YAML."""

import json
import time
from dataclasses import fields

import pytest
import yaml

from emocap.errors import EmocapError
from emocap.regions.extractors.frcnn_config import DetectorConfig, read_config

from ..small_detector import SMALL, small_config


def with_change(path, value):
    """`SMALL` with the value at "a.b" changed or added."""
    config = json.loads(json.dumps(SMALL))
    *sections, key = path.split(".")
    inner = config
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[key] = value
    return config


def test_configuration_may_nest_and_use_any_case(tmp_path):
    path = tmp_path / "config.yaml"
    lower = {key.lower(): {k.lower(): v for k, v in value.items()} for key, value in SMALL.items() if "_DET" not in key}
    nested = {"model": lower.pop("model") | lower, "min_detections": 6, "max_detections": 6, "version": 2}
    path.write_text(yaml.safe_dump(nested).replace("- 10.0", "- 10", 1))
    assert read_config(path) == small_config()
    path.write_text("rpn: {bbox_reg_weights: !!python/tuple [1.0, 1.0, 1.0, 1.0]}\n")
    assert read_config(path) == DetectorConfig()  # omitted values have the published defaults
    path.write_text(yaml.safe_dump(with_change("PROPOSAL_GENERATOR.HIDDEN_CHANNELS", -1)))
    assert read_config(path).rpn_channels == 64
    path.write_text(yaml.safe_dump(with_change("ROI_HEADS.NMS_THRESH_TEST", 0.5)))
    assert read_config(path).nms == (0.5,)


def test_every_value_of_configuration_is_read(tmp_path):
    values = {
        "input": {"min_size_test": 1, "max_size_test": 2, "format": "RGB"},
        "model": {"pixel_mean": [3, 4, 5], "pixel_std": [6, 7, 8], "max_pool": False},
        "resnets": {"stem_out_channels": 9, "res2_out_channels": 10, "width_per_group": 11, "depth": 152},
        "anchor_generator": {"sizes": [[12]], "aspect_ratios": [[13]], "offset": 0.5},
        "proposal_generator": {"hidden_channels": 14, "min_size": 15},
        "rpn": {"pre_nms_topk_test": 16, "post_nms_topk_test": 17, "nms_thresh": 0.18},
        "roi_heads": {"num_classes": 19, "nms_thresh_test": [0.2, 0.21]},
        "roi_box_head": {"num_attrs": 22, "cls_agnostic_bbox_reg": True, "bbox_reg_weights": [23, 24, 25, 26]},
        "min_detections": 2,
        "max_detections": 3,
    }
    values["resnets"]["stride_in_1x1"] = False
    values["roi_box_head"] |= {"pooler_resolution": 27, "res5halve": True}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    config, published = read_config(tmp_path / "config.yaml"), DetectorConfig()
    assert config == DetectorConfig(
        1,
        2,
        (3, 4, 5),
        (6, 7, 8),
        "RGB",
        9,
        10,
        11,
        (3, 8, 36, 3),
        False,
        False,
        (12,),
        (13,),
        0.5,
        14,
        16,
        17,
        0.18,
        15,
        19,
        22,
        True,
        (23, 24, 25, 26),
        27,
        True,
        (0.2, 0.21),
        2,
        3,
    )
    same = [field.name for field in fields(config) if getattr(config, field.name) == getattr(published, field.name)]
    assert same == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODEL.PIXEL_MEAN", [float("nan"), 1.0, 1.0], "model.pixel_mean is .*, expected finite numbers"),
        ("ANCHOR_GENERATOR.OFFSET", 5.0, "anchor_generator.offset is 5, expected from 0 to below 1"),
        ("MAX_DETECTIONS", 41, "max_detections is 41, but there are only 40 proposals"),
        ("RESNETS.DEPTH", 18, r"resnets\.depth is 18, expected one of \[50, 101, 152\]"),
        ("RESNETS.NORM", "GN", "resnets.norm is 'GN', but this detector supports 'BN' only"),
        ("RESNETS.RES5_DILATION", 2, "resnets.res5_dilation is 2"),
        ("ROI_BOX_HEAD.ATTR", False, "roi_box_head.attr is False"),
        ("ANCHOR_GENERATOR.SIZES", [[16], [32]], "anchor_generator.sizes has 2 lists, but there is one feature map"),
        ("ANCHOR_GENERATOR.SIZES", [["x"]], "anchor_generator.sizes.*: .*found 'x'"),
        ("RPN.NMS_THRESH", "high", "rpn.nms_thresh: .*found 'high'"),
        ("RPN.POST_NMS_TOPK_TEST", 0, "rpn.post_nms_topk_test is 0, expected more than 0"),
        ("MODEL.PIXEL_MEAN", [1.0, 2.0], "model.pixel_mean has 2 values, expected 3"),
        ("INPUT.FORMAT", "YUV", "input.format is 'YUV', expected BGR or RGB"),
        ("MIN_DETECTIONS", 9, "min_detections is 9, more than max_detections, 6"),
    ],
)
def test_refuses_unsupported_configuration(tmp_path, key, value, message):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(with_change(key, value)))
    with pytest.raises(EmocapError, match=message) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))


def test_refuses_exponential_yaml_aliases_quickly(tmp_path):
    levels = "".join(f"l{n}: &l{n} {{{', '.join(f'{k}: *l{n - 1}' for k in 'abcd')}}}\n" for n in range(1, 25))
    for text in (f"l0: &l0 {{x: 1}}\n{levels}", "a: &a {b: *a}\n"):
        (tmp_path / "config.yaml").write_text(text)
        started = time.monotonic()
        with pytest.raises(EmocapError, match="too many keys or levels"):
            read_config(tmp_path / "config.yaml")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("text", ["- 1", "a: [", "x: !!python/object/apply:os.system ['true']", ""])
def test_refuses_file_that_is_not_configuration(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(EmocapError, match=r"config\.yaml: (not valid YAML|holds)"):
        read_config(path)
