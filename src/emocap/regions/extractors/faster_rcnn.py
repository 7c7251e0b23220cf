"""The detector of bottom-up attention: Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) on ResNet-101 C4 with an
attribute head, trained on Visual Genome (Anderson et al. 2018, arXiv 1707.07998).

Parameters are named as in the published checkpoint `unc-nlp/frcnn-vg-finetuned`. Left out: training, and feature
pyramids. Images of a batch may differ in size: padding is kept at zero in every layer, so that an image's result does
not depend on the batch.
"""

from collections.abc import Sequence

import torch
from torch import nn

from emocap.regions.extractors.frcnn_config import DetectorConfig
from emocap.regions.extractors.frcnn_heads import Detections, RoiHeads
from emocap.regions.extractors.frcnn_rpn import ProposalGenerator
from emocap.regions.extractors.residual_products import ResidualProducts
from emocap.regions.extractors.resnet import MIN_SIDE, Backbone, Bottleneck, NormedConv, Size


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
