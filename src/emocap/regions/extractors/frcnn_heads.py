"""The second stage of the Visual Genome detector: features, classes, attributes and boxes of the proposals."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torchvision.ops import clip_boxes_to_image, roi_pool

from emocap.regions.extractors.frcnn_config import DetectorConfig
from emocap.regions.extractors.frcnn_rpn import STRIDE, apply_deltas
from emocap.regions.extractors.network import best_boxes
from emocap.regions.extractors.residual_products import ResidualProducts
from emocap.regions.extractors.resnet import Bottleneck, Size


class Detections(NamedTuple):
    """The K best regions of an image, best first.

    Attributes:
        features: (K, 8 * res2_channels) float32.
        boxes_xyxy: (K, 4) float32 in pixels of the scaled image.
        objects, attributes: (K,) int64 class ids.
        object_probabilities, attribute_probabilities: (K,) float32.
    """

    features: torch.Tensor
    boxes_xyxy: torch.Tensor
    objects: torch.Tensor
    object_probabilities: torch.Tensor
    attributes: torch.Tensor
    attribute_probabilities: torch.Tensor


class BoxPredictor(nn.Module):
    """Object class, attribute and box of a region from its features."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        n_in = config.res2_channels * 8
        self.class_agnostic = config.class_agnostic
        self.cls_score = nn.Linear(n_in, config.n_objects + 1)
        self.bbox_pred = nn.Linear(n_in, 4 if config.class_agnostic else 4 * config.n_objects)
        self.cls_embedding = nn.Embedding(config.n_objects + 1, n_in // 8)
        self.fc_attr = nn.Linear(n_in + n_in // 8, n_in // 4)
        self.attr_score = nn.Linear(n_in // 4, config.n_attributes + 1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of features (N, C): objects (N,), their probabilities (N,), deltas (N, 4), attributes (N,), probabilities."""
        logits = self.cls_score(features)
        # The background, the last class, may be chosen for the attribute's embedding but never as the object.
        embedded = self.cls_embedding(logits.argmax(dim=1))
        attribute_logits = self.attr_score(self.fc_attr(torch.cat([features, embedded], dim=1)).relu_())
        probabilities, objects = logits.softmax(dim=1)[:, :-1].max(dim=1)
        attribute_probabilities, attributes = attribute_logits[:, :-1].softmax(dim=1).max(dim=1)
        deltas = self.bbox_pred(features)
        if not self.class_agnostic:
            deltas = deltas.view(len(features), deltas.shape[1] // 4, 4)[
                torch.arange(len(features), device=deltas.device), objects
            ]
        return objects, probabilities, deltas, attributes, attribute_probabilities


class RoiHeads(nn.Module):
    """Pools every proposal, computes its features with res5, and selects the best regions."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        width, n_out = config.width * 8, config.res2_channels * 8
        stride, dilation = (2, 1) if config.res5_halve else (1, 2)
        blocks = [
            Bottleneck(
                n_out // 2 if number == 0 else n_out,
                width,
                n_out,
                stride if number == 0 else 1,
                dilation,
                config.stride_in_1x1,
            )
            for number in range(config.blocks[3])
        ]
        self.res5 = nn.ModuleList(blocks)
        self.box_predictor = BoxPredictor(config)
        self.products: ResidualProducts | None = None
        self.memory_format = torch.contiguous_format

    def describe(self, x: torch.Tensor, proposals: Sequence[torch.Tensor], n_at_once: int) -> torch.Tensor:
        """(N, C) float32: the features of the proposals of all images.

        Args:
            x: (B, C / 2, H, W), zero in the padding.
            proposals: B tensors (N_i, 4) xyxy in pixels of the images.
            n_at_once: regions pooled at once; affects only speed and memory.
        """
        dtype, x = x.dtype, x.float().contiguous()  # half precision would round the corners of regions
        numbers = [boxes.new_full((len(boxes), 1), i) for i, boxes in enumerate(proposals)]
        regions = torch.cat([torch.cat([n, boxes], dim=1) for n, boxes in zip(numbers, proposals, strict=True)])
        features = x.new_empty(len(regions), self.config.res2_channels * 8, dtype=torch.float32)
        for start in range(0, len(regions), n_at_once):
            pooled = roi_pool(x, regions[start : start + n_at_once], self.config.resolution, 1 / STRIDE)
            features[start : start + n_at_once] = self._res5_features(pooled.to(dtype))
        return features

    def _res5_features(self, pooled: torch.Tensor) -> torch.Tensor:
        if self.products is not None:
            return self.products(pooled)
        pooled = pooled.contiguous(memory_format=self.memory_format)
        for block in self.res5:
            pooled, _ = block(pooled)
        return pooled.mean(dim=(2, 3))

    def choose(self, features: torch.Tensor, proposals: torch.Tensor, image_size: Size) -> Detections:
        """The best regions of an image with features (N, C) and proposals (N, 4)."""
        config = self.config
        objects, probabilities, deltas, attributes, attribute_probabilities = self.box_predictor(features)
        boxes = clip_boxes_to_image(apply_deltas(proposals, deltas, config.box_weights), image_size)
        kept = best_boxes(boxes, probabilities, config.nms, config.min_boxes, config.max_boxes)
        return Detections(
            features=features[kept],
            boxes_xyxy=boxes[kept],
            objects=objects[kept],
            object_probabilities=probabilities[kept],
            attributes=attributes[kept],
            attribute_probabilities=attribute_probabilities[kept],
        )
