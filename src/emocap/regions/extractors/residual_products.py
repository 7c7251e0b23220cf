"""Residual blocks over pooled regions as matrix products, for the CPU in float32.

The 3x3 convolutions of a stage with dilation 2 do not mix pixels of odd and even rows or columns: a map of 14 x 14 is
four independent maps of 7 x 7 without dilation. They are convolved by Winograd's minimal filtering (Lavin and Gray
2016, arXiv 1509.09308) with tiles of 4 and 3 outputs per side: 121 products for 49 outputs instead of 441. The
interpolation points are small, so that almost no float32 precision is lost.
"""

from collections.abc import Sequence

import numpy as np
import torch

Folded = tuple[torch.Tensor, torch.Tensor | None]
_SIDE = 7
_TILES = (4, 3)
_POINTS = (0.0, 1.0, -1.0, 0.5, -0.5)


def minimal_filter(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices A (n, n + 2), B (n + 2, n + 2) and G (n + 2, 3) with A ((G g) * (B d)) = the correlation of d with g.

    d has n + 2 values, g has 3, and the correlation n: y_i = d_i g_0 + d_(i+1) g_1 + d_(i+2) g_2.

    >>> A, B, G = minimal_filter(2)
    >>> A @ ((G @ [1, 2, 3]) * (B @ [4, 5, 6, 7])).round(9)
    array([32., 38.])
    """
    points = np.array(_POINTS[: n + 1])

    def evaluate(degree: int) -> np.ndarray:
        """The powers at the points, and the leading coefficient for the point at infinity."""
        matrix = np.zeros((n + 2, degree))
        matrix[:-1] = points[:, None] ** np.arange(degree)
        matrix[-1, -1] = 1.0
        return matrix

    return evaluate(n).T, np.linalg.inv(evaluate(n + 2)).T, evaluate(3)


class ResidualProducts:
    """A stage of bottleneck blocks with stride 1 and dilation 2, followed by the spatial mean.

    Args:
        blocks: for each block the weight (O, I, k, k) and bias (O,) of its 1x1, 3x3 and 1x1 convolution and, if it
            has one, of its shortcut, with batch norms folded.
    """

    RESOLUTION = 2 * _SIDE

    def __init__(self, blocks: Sequence[Sequence[Folded]]) -> None:
        outwards, inwards, kernels = _tile_matrices()
        self._inwards = torch.from_numpy(np.kron(inwards, inwards)).float()
        self._outwards = torch.from_numpy(np.kron(outwards, outwards)).float()
        self._blocks = [_Block(block, torch.from_numpy(kernels)) for block in blocks]

    def __call__(self, pooled: torch.Tensor) -> torch.Tensor:
        """(R, O): spatial means of the stage's output for pooled regions (R, I, 14, 14) float32."""
        n, channels = pooled.shape[:2]
        # Position, region, parity of row and column, channel: each step is then one product of large matrices.
        x = pooled.view(n, channels, _SIDE, 2, _SIDE, 2).permute(2, 4, 0, 3, 5, 1).reshape(-1, channels)
        for block in self._blocks:
            inner = torch.addmm(block.bias1, x, block.weight1).relu_()
            tiles = (self._inwards @ inner.view(_SIDE**2, -1)).view(len(self._inwards), -1, inner.shape[1])
            tiles = torch.bmm(tiles, block.kernels)
            inner = (self._outwards @ tiles.view(len(tiles), -1)).view(-1, tiles.shape[2]).add_(block.bias2).relu_()
            x = x.add_(block.bias3) if block.shortcut is None else torch.addmm(block.bias3, x, block.shortcut)
            x = x.addmm_(inner, block.weight3).relu_()
        return x.view(_SIDE**2, n, 4, -1).mean(dim=(0, 2))


class _Block:
    def __init__(self, convolutions: Sequence[Folded], kernels: torch.Tensor) -> None:
        folded = []
        for weight, bias in convolutions:
            assert bias is not None, "batch norms are folded into biases first"
            folded.append((weight.detach().double(), bias.detach()))
        (weight1, bias1), (weight2, bias2), (weight3, bias3), *shortcut = folded
        self.weight1, self.bias1 = _transpose(weight1), bias1
        spread = torch.einsum("pi,qj,ocij->pqco", kernels, kernels, weight2)
        self.kernels, self.bias2 = spread.flatten(0, 1).float().contiguous(), bias2
        self.weight3, self.bias3 = _transpose(weight3), bias3
        self.shortcut = _transpose(shortcut[0][0]) if shortcut else None
        if shortcut:
            self.bias3 = bias3 + shortcut[0][1]


def _transpose(weight: torch.Tensor) -> torch.Tensor:
    return weight.flatten(1).t().float().contiguous()


def _tile_matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A (7, 11), B (11, 7) and G (11, 3) for the tiles of a row of 7 pixels, zero-padded on both sides."""
    n = sum(_TILES) + 2 * len(_TILES)
    outwards, inwards, kernels = np.zeros((_SIDE, n)), np.zeros((n, _SIDE + 2)), np.zeros((n, 3))
    output, product = 0, 0
    for tile in _TILES:
        a, b, g = minimal_filter(tile)
        rows = slice(product, product + tile + 2)
        outwards[output : output + tile, rows] = a
        inwards[rows, output : output + tile + 2] = b
        kernels[rows] = g
        output, product = output + tile, product + tile + 2
    return outwards, inwards[:, 1:-1], kernels
