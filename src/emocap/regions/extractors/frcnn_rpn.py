"""The region proposal network of the Visual Genome detector (Ren et al. 2015, arXiv 1506.01497), for inference."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torchvision.ops import clip_boxes_to_image, nms, remove_small_boxes

from emocap.regions.extractors.frcnn_config import DetectorConfig
from emocap.regions.extractors.resnet import Size

STRIDE = 16
MAX_LOG_SCALE = math.log(1000 / 16)


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


def apply_deltas(boxes_xyxy: torch.Tensor, deltas: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Boxes (N, 4) moved and scaled by deltas (N, 4), which are dx, dy, dw, dh times `weights`.

    >>> apply_deltas(torch.tensor([[0., 0., 10., 20.]]), torch.tensor([[1., 0., 0., 0.]]), (10., 10., 5., 5.)).tolist()
    [[1.0, 0.0, 11.0, 20.0]]
    """
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    centres = boxes_xyxy[:, :2] + 0.5 * sides
    dx, dy, dw, dh = (deltas / deltas.new_tensor(weights)).unbind(dim=1)
    centres = centres + torch.stack([dx, dy], dim=1) * sides
    half = 0.5 * sides * torch.stack([dw, dh], dim=1).clamp(max=MAX_LOG_SCALE).exp()
    return torch.cat([centres - half, centres + half], dim=1)
