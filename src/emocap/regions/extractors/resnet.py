"""ResNet (He et al. 2015, arXiv 1512.03385) up to res4, for images of several sizes in one batch.

Padding is set to zero before every layer with a receptive field beyond one pixel, so that an image's result does not
depend on the batch.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from emocap.regions.extractors.frcnn_config import DetectorConfig

# With fewer pixels per side the stem's pooling, which does not pad, would give an empty map.
MIN_SIDE = 5
Size = tuple[int, int]


class NormedConv(nn.Conv2d):
    """A convolution without bias and its batch normalisation, which `fold` merges into the weights."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(n_in, n_out, kernel, stride, padding=kernel // 2 * dilation, dilation=dilation, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, n_in, H, W) to (B, n_out, H', W')."""
        x = super().forward(x)
        return self.norm(x) if self.norm is not None else x

    def fold(self) -> None:
        """Merge the batch normalisation into the convolution, for inference only."""
        norm = self.norm
        if norm is None:
            return
        assert norm.running_mean is not None, "batch norm keeps running statistics"
        assert norm.running_var is not None, "batch norm keeps running statistics"
        self.weight, self.bias = fuse_conv_bn_weights(
            self.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        self.norm = None


class Bottleneck(nn.Module):
    """A residual block of 1x1, 3x3 and 1x1 convolutions."""

    def __init__(
        self, n_in: int, width: int, n_out: int, stride: int = 1, dilation: int = 1, stride_in_1x1: bool = True
    ) -> None:
        super().__init__()
        in_1x1, in_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.shortcut = NormedConv(n_in, n_out, 1, stride) if n_in != n_out else None
        self.conv1 = NormedConv(n_in, width, 1, in_1x1)
        self.conv2 = NormedConv(width, width, 3, in_3x3, dilation)
        self.conv3 = NormedConv(width, n_out, 1)

    def forward(self, x: torch.Tensor, sizes: list[Size] | None = None) -> tuple[torch.Tensor, list[Size] | None]:
        """(B, n_in, H, W) to (B, n_out, H', W').

        Args:
            x: images of `sizes` in the upper left corner; the padding is ignored, and its output is undefined.
            sizes: height and width of each image; None if none is padded.
        """
        inner = self.conv1(x).relu_()
        if sizes is not None:
            sizes = [_strided(size, self.conv1.stride[0]) for size in sizes]
            zero_padding(inner, sizes)
        inner = self.conv2(inner).relu_()
        if sizes is not None:
            sizes = [_strided(size, self.conv2.stride[0]) for size in sizes]
        inner = self.conv3(inner)
        inner += x if self.shortcut is None else self.shortcut(x)
        return inner.relu_(), sizes

    def folded(self) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Weight and bias of its convolutions and, if it has one, of its shortcut."""
        convolutions = [self.conv1, self.conv2, self.conv3, *([self.shortcut] if self.shortcut is not None else [])]
        return [(convolution.weight, convolution.bias) for convolution in convolutions]


class Stem(nn.Module):
    """7x7 convolution and pooling, each with stride 2."""

    def __init__(self, n_out: int, caffe_maxpool: bool) -> None:
        super().__init__()
        self.conv1 = NormedConv(3, n_out, 7, 2)
        self.caffe_maxpool = caffe_maxpool

    def forward(self, x: torch.Tensor, sizes: list[Size] | None) -> tuple[torch.Tensor, list[Size] | None]:
        """(B, 3, H, W), zero in the padding, to (B, n_out, H', W')."""
        x = self.conv1(x).relu_()
        if sizes is not None:
            sizes = [_strided(size, 2) for size in sizes]
            zero_padding(x, sizes)  # activations are non-negative here, so zeros do not change the maxima
        if not self.caffe_maxpool:
            x = nn.functional.max_pool2d(x, 3, 2, padding=1)
            return x, None if sizes is None else [_strided(size, 2) for size in sizes]
        x = nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)
        return x, None if sizes is None else [(height // 2, width // 2) for height, width in sizes]


class Backbone(nn.Module):
    """ResNet up to res4, with a total stride of 16."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.stem = Stem(config.stem_channels, config.caffe_maxpool)
        n_in = config.stem_channels
        for index, n_blocks in enumerate(config.blocks[:3]):
            width, n_out, stride = config.width << index, config.res2_channels << index, 1 if index == 0 else 2
            blocks = [
                Bottleneck(
                    n_in if number == 0 else n_out,
                    width,
                    n_out,
                    stride if number == 0 else 1,
                    stride_in_1x1=config.stride_in_1x1,
                )
                for number in range(n_blocks)
            ]
            self.add_module(f"res{index + 2}", nn.ModuleList(blocks))
            n_in = n_out

    def forward(self, x: torch.Tensor, sizes: list[Size] | None) -> tuple[torch.Tensor, list[Size]]:
        """The feature map (B, C, H / 16, W / 16), zero in the padding, and each image's height and width in it."""
        x, sizes = self.stem(x, sizes)
        for stage in ("res2", "res3", "res4"):
            for block in self.get_submodule(stage).children():
                x, sizes = block(x, sizes)
        if sizes is None:
            return x, [(x.shape[2], x.shape[3])] * len(x)
        zero_padding(x, sizes)
        return x, sizes


def zero_padding(x: torch.Tensor, sizes: Sequence[Size]) -> None:
    """Set the padding of (B, C, H, W) beyond each image's height and width to zero, in place."""
    for image, (height, width) in zip(x, sizes, strict=True):
        if height < x.shape[2]:
            image[:, height:] = 0
        if width < x.shape[3]:
            image[:, :, width:] = 0


def _strided(size: Size, stride: int) -> Size:
    return (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1
