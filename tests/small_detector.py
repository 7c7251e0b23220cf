"""A small detector with every part of the published one, random weights and their `config.yaml`."""

from dataclasses import replace
from pathlib import Path

import torch
import yaml

from emocap.regions.extractors.frcnn_config import DetectorConfig

SMALL = {
    "INPUT": {"FORMAT": "BGR", "MIN_SIZE_TEST": 96, "MAX_SIZE_TEST": 160},
    "MODEL": {"PIXEL_MEAN": [102.9801, 115.9465, 122.7717], "PIXEL_STD": [1.0, 1.0, 1.0], "MAX_POOL": True},
    "RESNETS": {
        "DEPTH": 50,
        "NORM": "BN",
        "NUM_GROUPS": 1,
        "STEM_OUT_CHANNELS": 8,
        "RES2_OUT_CHANNELS": 16,
        "WIDTH_PER_GROUP": 4,
        "STRIDE_IN_1X1": True,
        "RES5_DILATION": 1,
    },
    "ANCHOR_GENERATOR": {"SIZES": [[16, 48]], "ASPECT_RATIOS": [[0.5, 1.0, 2.0]], "OFFSET": 0.0},
    "PROPOSAL_GENERATOR": {"HIDDEN_CHANNELS": 12, "MIN_SIZE": 0},
    "RPN": {"PRE_NMS_TOPK_TEST": 120, "POST_NMS_TOPK_TEST": 40, "NMS_THRESH": 0.7},
    "ROI_HEADS": {"NUM_CLASSES": 9, "NMS_THRESH_TEST": [0.6]},
    "ROI_BOX_HEAD": {
        "ATTR": True,
        "NUM_ATTRS": 5,
        "BBOX_REG_WEIGHTS": [10.0, 10.0, 5.0, 5.0],
        "CLS_AGNOSTIC_BBOX_REG": False,
        "POOLER_RESOLUTION": 14,
        "RES5HALVE": False,
    },
    "MIN_DETECTIONS": 6,
    "MAX_DETECTIONS": 6,
}


def small_config(**changes) -> DetectorConfig:
    """The configuration that `SMALL` describes."""
    config = DetectorConfig(
        min_size=96,
        max_size=160,
        stem_channels=8,
        res2_channels=16,
        width=4,
        blocks=(3, 4, 6, 3),
        anchor_sizes=(16, 48),
        rpn_channels=12,
        n_before_nms=120,
        n_proposals=40,
        n_objects=9,
        n_attributes=5,
        min_boxes=6,
        max_boxes=6,
    )
    return replace(config, **changes)


def small_detector(config: DetectorConfig | None = None):
    """The network with random weights scaled so that activations stay distinct in every layer."""
    from emocap.regions.extractors.faster_rcnn import FasterRCNN

    network = FasterRCNN(config or small_config())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator) if tensor.is_floating_point() else None
            if noise is None or "cell_anchors" in name:
                continue
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif name.endswith(("norm.weight", "norm.bias", "running_mean", ".bias")):
                tensor.copy_(0.1 * noise + (1.0 if name.endswith("norm.weight") else 0.0))
            else:
                tensor.copy_(noise * (2 / max(1, tensor[0].numel())) ** 0.5)
        network.backbone.stem.conv1.weight /= 64
        network.proposal_generator.rpn_head.anchor_deltas.weight *= 0.1
        predictor = network.roi_heads.box_predictor
        for layer, scale in ((predictor.cls_score, 0.05), (predictor.bbox_pred, 0.02), (predictor.fc_attr, 0.05)):
            # Regions share most of their features; centred rows distinguish them.
            layer.weight -= layer.weight.mean(dim=1, keepdim=True)
            layer.weight *= scale
    return network


def write_detector(folder: Path) -> Path:
    """A checkpoint of the small detector with the files of the published one, including class names."""
    folder.mkdir(exist_ok=True)
    torch.save(small_detector().state_dict(), folder / "pytorch_model.bin")
    (folder / "config.yaml").write_text(yaml.safe_dump(SMALL))
    (folder / "objects_vocab.txt").write_text("".join(f"thing{n},synonym\n" for n in range(9)))
    (folder / "attributes_vocab.txt").write_text("".join(f"Kind{n}\n" for n in range(5)))
    return folder
