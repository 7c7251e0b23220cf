"""A grid of cells and the whole image as regions: features of colour, texture and edges that need no weights."""

import math
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from emocap.errors import EmocapError
from emocap.regions.descriptor import LONGEST_SIDE, SIZE, descriptor

DESCRIPTOR = 1
MOST_CELLS = 1024
MOST_DIM = 65_536
_STEP = 2.0**-16
_BLOCK = 64


class GridExtractor:
    """Describes rows x columns cells, row by row, and then the whole image.

    Every region's 84 numbers (`emocap.regions.descriptor`) are turned into `dim` by a fixed random projection with
    orthogonal rows. Distances between regions are kept where dim >= 84, up to the factor sqrt(dim / 84). Over
    photographs each feature has about mean 0 and deviation 1, so that a region's norm is near sqrt(dim), as that of
    the pooled features of a Faster R-CNN.

    Args:
        rows, columns: the grid; 5 x 7 cells and the whole image are 36 regions.
        dim: numbers per region.
        seed: of the projection.
        descriptor: version of the descriptor; only the present one can be computed.

    Raises:
        EmocapError: a setting is out of range.
    """

    name = "grid"
    weights_hash = ""
    at_least = LONGEST_SIDE

    def __init__(
        self, rows: int = 5, columns: int = 7, dim: int = 2048, seed: int = 0, descriptor: int = DESCRIPTOR
    ) -> None:
        self.rows = _whole("rows", rows, 1, MOST_CELLS)
        self.columns = _whole("columns", columns, 1, MOST_CELLS)
        _whole("rows * columns", rows * columns, 1, MOST_CELLS)
        self.dim = _whole("dim", dim, 1, MOST_DIM)
        self.seed = _whole("seed", seed, 0, 2**63 - 1)
        _whole("descriptor", descriptor, DESCRIPTOR, DESCRIPTOR)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "columns": self.columns,
            "dim": self.dim,
            "seed": self.seed,
            "descriptor": DESCRIPTOR,
        }

    def describe(self, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
        """Features (R, dim) float32 and boxes_xyxy (R, 4) float32 in pixels of `image`; R = rows * columns + 1.

        Args:
            image: RGB, upright.
        """
        numbers = _on_steps(descriptor(image, self.rows, self.columns))
        blocks = np.moveaxis(numbers @ _blocks(self.dim, self.seed), 0, 1)
        features = blocks.reshape(len(numbers), -1)[:, : self.dim].astype(np.float32)
        return features, self._boxes(*image.size)

    def _boxes(self, width: int, height: int) -> np.ndarray:
        x = np.arange(self.columns + 1) * (width / self.columns)
        y = np.arange(self.rows + 1) * (height / self.rows)
        left, top = np.meshgrid(x[:-1], y[:-1])
        right, bottom = np.meshgrid(x[1:], y[1:])
        cells = np.stack([left, top, right, bottom], axis=-1).reshape(-1, 4)
        return np.concatenate([cells, [[0.0, 0.0, width, height]]]).astype(np.float32)


@cache
def projection(dim: int, seed: int) -> np.ndarray:
    """(84, dim) float64 with orthogonal rows of norm sqrt(dim / 84), or orthonormal columns where dim < 84.

    Its entries, like the numbers it is applied to, are multiples of 2**-16: all sums are then exact in float64, and
    neither threads nor the maker of the processor change a bit of the features.
    """
    normal = np.random.Generator(np.random.PCG64(seed)).standard_normal((max(dim, SIZE), min(dim, SIZE)))
    orthogonal, triangle = np.linalg.qr(normal)
    orthogonal *= np.sign(np.diag(triangle))
    matrix = orthogonal if dim < SIZE else orthogonal.T * math.sqrt(dim / SIZE)
    return _on_steps(matrix)


@cache
def _blocks(dim: int, seed: int) -> np.ndarray:
    """(B, 84, 64) float64: the projection in blocks of columns, the last filled up with 0.

    Products this small stay on one thread in OpenBLAS; its waiting threads would take the cores of other workers.
    """
    n_blocks = -(-dim // _BLOCK)
    padded = np.pad(projection(dim, seed), ((0, 0), (0, n_blocks * _BLOCK - dim)))
    return np.ascontiguousarray(padded.reshape(SIZE, n_blocks, _BLOCK).transpose(1, 0, 2))


def _on_steps(values: np.ndarray) -> np.ndarray:
    return np.round(values / _STEP) * _STEP


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        expected = f"{low:,}" if low == high else f"a whole number from {low:,} to {high:,}"
        raise EmocapError(f"extractor grid: {name} is {value!r}, expected {expected}")
    return value
