"""The detector of bottom-up attention: Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) on ResNet-101 C4 with an
attribute head, trained on Visual Genome (Anderson et al. 2018, arXiv 1707.07998).

Parameters are named as in the published checkpoint `unc-nlp/frcnn-vg-finetuned`. Left out: training, and feature
pyramids. Images of a batch may differ in size: padding is kept at zero in every layer, so that an image's result does
not depend on the batch.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes, roi_pool

from emocap.regions.extractors.frcnn_config import DetectorConfig
from emocap.regions.extractors.network import best_boxes
from emocap.regions.extractors.residual_products import ResidualProducts
from emocap.regions.extractors.resnet import MIN_SIDE, Backbone, Bottleneck, NormedConv, Size

STRIDE = 16
LARGEST_SCALING = math.log(1000 / 16)


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


class AnchorGenerator(nn.Module):
    """Anchor boxes of every size and ratio at every cell of a feature map."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.offset = config.anchor_offset
        cells = []
        for size in config.anchor_sizes:
            for ratio in config.anchor_ratios:
                width = math.sqrt(size**2 / ratio)
                height = ratio * width
                cells.append([-width / 2, -height / 2, width / 2, height / 2])
        self.cell_anchors = nn.ParameterList([nn.Parameter(torch.tensor(cells), requires_grad=False)])

    def forward(self, height: int, width: int) -> torch.Tensor:
        """(height * width * A, 4) xyxy in pixels of the image, row by row, with the A anchors of a cell adjacent."""
        cells = self.cell_anchors[0]
        y, x = (
            (torch.arange(n, device=cells.device, dtype=torch.float32) + self.offset) * STRIDE for n in (height, width)
        )
        y, x = torch.meshgrid(y, x, indexing="ij")
        return (torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4) + cells).reshape(-1, 4)


class ProposalHead(nn.Module):
    """Objectness and box deltas of each anchor."""

    def __init__(self, n_in: int, n_hidden: int, n_anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_hidden, 3, padding=1)
        self.objectness_logits = nn.Conv2d(n_hidden, n_anchors, 1)
        self.anchor_deltas = nn.Conv2d(n_hidden, n_anchors * 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, H, W) to logits (B, H, W, A) and deltas (B, H, W, 4 A)."""
        hidden = self.conv(x).relu_()
        return self.objectness_logits(hidden).permute(0, 2, 3, 1), self.anchor_deltas(hidden).permute(0, 2, 3, 1)


class ProposalGenerator(nn.Module):
    """The region proposal network."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        n_in = config.res2_channels * 4
        n_anchors = len(config.anchor_sizes) * len(config.anchor_ratios)
        self.anchor_generator = AnchorGenerator(config)
        self.rpn_head = ProposalHead(n_in, config.rpn_channels, n_anchors)

    def forward(self, x: torch.Tensor, sizes: Sequence[Size], image_sizes: Sequence[Size]) -> list[torch.Tensor]:
        """The best proposals of each image, best first.

        Args:
            x: (B, C, H, W).
            sizes, image_sizes: height and width of each image in the feature map and in pixels.

        Returns:
            For each image (N, 4) xyxy in pixels, N <= n_proposals.
        """
        # In half precision many anchors would have equal logits, and their order would be arbitrary.
        with torch.autocast(x.device.type, enabled=False):
            logits, deltas = self.rpn_head(x.float())
        proposals = []
        for i, ((height, width), image_size) in enumerate(zip(sizes, image_sizes, strict=True)):
            inside = slice(height), slice(width)
            scores, moves = logits[i][inside].flatten(), deltas[i][inside].reshape(-1, 4)
            proposals.append(self._select(scores, moves, (height, width), image_size))
        return proposals

    def _select(self, logits: torch.Tensor, deltas: torch.Tensor, size: Size, image_size: Size) -> torch.Tensor:
        config = self.config
        scores, best = logits.sort(descending=True)
        scores, best = scores[: config.n_before_nms], best[: config.n_before_nms]
        boxes = apply_deltas(self.anchor_generator(*size)[best], deltas[best], (1.0, 1.0, 1.0, 1.0))
        boxes = clip_boxes_to_image(boxes, image_size)
        wide = remove_small_boxes(boxes, config.min_box_side)
        wide = wide[(boxes[wide, 2:] > boxes[wide, :2]).all(dim=1)]
        boxes, scores = boxes[wide], scores[wide]
        return boxes[nms(boxes, scores, config.rpn_nms)[: config.n_proposals]]


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


class FasterRCNN(nn.Module):
    """The complete detector, for inference."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.proposal_generator = ProposalGenerator(config)
        self.roi_heads = RoiHeads(config)
        self.regions_at_once = 1024
        self.eval()

    def speed_up(self, dtype: torch.dtype = torch.float32) -> "FasterRCNN":
        """Fold batch norms, use channels-last memory and, on the CPU in float32, compute res5 by matrix products.

        The results stay the same up to rounding. The network must not be moved to another device afterwards.

        Args:
            dtype: that it will compute in.
        """
        for module in self.modules():
            if isinstance(module, NormedConv):
                module.fold()
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        heads = self.roi_heads
        heads.memory_format = torch.channels_last
        if next(self.parameters()).device.type == "cpu":
            self.regions_at_once = 32  # the activations of this many fit into the processor's cache
            fits = dtype == torch.float32 and heads.products is None and not self.config.res5_halve
            if fits and self.config.resolution == ResidualProducts.RESOLUTION:
                heads.products = ResidualProducts(
                    [block.folded() for block in heads.res5 if isinstance(block, Bottleneck)]
                )
                heads.res5 = nn.ModuleList()
        return self

    def forward(self, images: Sequence[torch.Tensor]) -> list[Detections]:
        """The best regions of each image.

        Args:
            images: (3, H_i, W_i) float32, from `scaled_image`.
        """
        if not images:
            return []
        image_sizes: list[Size] = [(image.shape[1], image.shape[2]) for image in images]
        largest = [max(MIN_SIDE, *sides) for sides in zip(*image_sizes, strict=True)]
        padded = images[0].new_zeros(len(images), 3, *largest)
        for i, image in enumerate(images):
            padded[i, :, : image.shape[1], : image.shape[2]] = image
        sizes = [(max(MIN_SIDE, height), max(MIN_SIDE, width)) for height, width in image_sizes]
        same = all(size == tuple(largest) for size in sizes)
        padded = padded.contiguous(memory_format=self.roi_heads.memory_format)
        x, map_sizes = self.backbone(padded, None if same else sizes)
        proposals = self.proposal_generator(x, map_sizes, image_sizes)
        features = self.roi_heads.describe(x, proposals, self.regions_at_once)
        with torch.autocast(x.device.type, enabled=False):
            return [
                self.roi_heads.choose(of_image, boxes, size)
                for of_image, boxes, size in zip(
                    features.split([len(boxes) for boxes in proposals]), proposals, image_sizes, strict=True
                )
            ]


def scaled_size(height: int, width: int, config: DetectorConfig) -> Size:
    """Height and width in pixels that an image is scaled to; halves are rounded up.

    >>> scaled_size(480, 640, DetectorConfig()), scaled_size(300, 600, DetectorConfig())
    ((800, 1067), (667, 1333))
    """
    scale = config.min_size / min(height, width)
    sides = (scale * height, scale * width)
    if max(sides) > config.max_size:
        shrink = config.max_size / max(sides)
        sides = (sides[0] * shrink, sides[1] * shrink)
    return max(1, int(sides[0] + 0.5)), max(1, int(sides[1] + 0.5))


def scaled_image(pixels: torch.Tensor, config: DetectorConfig) -> torch.Tensor:
    """RGB pixels (H, W, 3) uint8, scaled and normalised to (3, H', W') float32."""
    channels = pixels.permute(2, 0, 1).float()
    if config.channels == "BGR":
        channels = channels.flip(0)
    size = scaled_size(pixels.shape[0], pixels.shape[1], config)
    scaled = nn.functional.interpolate(channels[None], size, mode="bilinear", align_corners=False)[0]
    mean, std = (scaled.new_tensor(values).view(3, 1, 1) for values in (config.pixel_mean, config.pixel_std))
    return (scaled - mean) / std


def apply_deltas(boxes_xyxy: torch.Tensor, deltas: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Boxes (N, 4) moved and scaled by deltas (N, 4), which are dx, dy, dw, dh times `weights`.

    >>> apply_deltas(torch.tensor([[0., 0., 10., 20.]]), torch.tensor([[1., 0., 0., 0.]]), (10., 10., 5., 5.)).tolist()
    [[1.0, 0.0, 11.0, 20.0]]
    """
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    centres = boxes_xyxy[:, :2] + 0.5 * sides
    dx, dy, dw, dh = (deltas / deltas.new_tensor(weights)).unbind(dim=1)
    centres = centres + torch.stack([dx, dy], dim=1) * sides
    half = 0.5 * sides * torch.stack([dw, dh], dim=1).clamp(max=LARGEST_SCALING).exp()
    return torch.cat([centres - half, centres + half], dim=1)
