"""A grid of cells and the whole image as regions: features of colour, texture and edges that need no weights."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from emocap.regions.descriptor import LONGEST_SIDE, SIZE, descriptor
from emocap.regions.extractor import Regions, cell_boxes, whole_setting

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
    batch_size = 16
    in_processes = True
    names = None
    computed_in = "float64"

    def __init__(
        self, rows: int = 5, columns: int = 7, dim: int = 2048, seed: int = 0, descriptor: int = DESCRIPTOR
    ) -> None:
        self.rows = whole_setting(self.name, "rows", rows, 1, MOST_CELLS)
        self.columns = whole_setting(self.name, "columns", columns, 1, MOST_CELLS)
        whole_setting(self.name, "rows * columns", rows * columns, 1, MOST_CELLS)
        self.dim = whole_setting(self.name, "dim", dim, 1, MOST_DIM)
        self.seed = whole_setting(self.name, "seed", seed, 0, 2**63 - 1)
        whole_setting(self.name, "descriptor", descriptor, DESCRIPTOR, DESCRIPTOR)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "columns": self.columns,
            "dim": self.dim,
            "seed": self.seed,
            "descriptor": DESCRIPTOR,
        }

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(R, 84) float64, R = rows * columns + 1: what each region looks like."""
        return _on_steps(descriptor(image, self.rows, self.columns))

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The cells row by row, then the whole image."""
        blocks = _blocks(self.dim, self.seed)
        regions = []
        for numbers, size in zip(prepared, sizes, strict=True):
            projected = np.moveaxis(numbers @ blocks, 0, 1).reshape(len(numbers), -1)[:, : self.dim]
            cells = cell_boxes(self.rows, self.columns, size)
            boxes = np.concatenate([cells, np.array([[0, 0, *size]], np.float32)])
            regions.append(Regions(projected.astype(np.float32), boxes, size))
        return regions


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
