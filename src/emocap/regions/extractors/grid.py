"""The grid extractor: cells or windows of cells, and the whole image, described by colour, texture and edges."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from emocap.regions.extractors.base import Regions, cell_boxes, integer_setting
from emocap.regions.extractors.grid_descriptor import LONGEST_SIDE, SIZE, descriptor

DESCRIPTOR = 1
MAX_CELLS = 1024
MAX_DIM = 65_536
MAX_WINDOW = 5
_STEP = 2.0**-16
_BLOCK = 64
_MIN_BLOCK = 8


class GridExtractor:
    """Describes rows x columns cells, row by row, and then the whole image.

    Every region's n = 84 numbers (see `grid_descriptor`) are mapped to `dim` features by a fixed random projection with
    orthogonal rows. It preserves distances between regions if dim >= n, up to the factor sqrt(dim / n). Over
    photographs each feature has mean 0 and standard deviation 1 approximately, so that a region's norm is close to
    sqrt(dim), like that of the pooled features of a Faster R-CNN.

    An object usually covers more than one cell. A region of `window` x `window` cells is as large as an object, and its
    n = 84 * window**2 numbers, concatenated cell by cell, encode the spatial layout, like the spatial envelope of a
    scene (Oliva and Torralba 2001). Windows have a stride of one cell; the whole image is described as a window whose
    cells all have the descriptor of the whole image.

    Args:
        rows, columns: the grid; 5 x 7 cells and the whole image are 36 regions.
        window: cells per side of a region; with 3 on 5 x 7 cells there are 15 windows and the whole image.
        dim: features per region.
        seed: seed of the projection.
        descriptor: version of the descriptor; only the current one can be computed.

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
        self,
        rows: int = 5,
        columns: int = 7,
        dim: int = 2048,
        seed: int = 0,
        window: int = 1,
        descriptor: int = DESCRIPTOR,
    ) -> None:
        self.rows = integer_setting(self.name, "rows", rows, 1, MAX_CELLS)
        self.columns = integer_setting(self.name, "columns", columns, 1, MAX_CELLS)
        integer_setting(self.name, "rows * columns", rows * columns, 1, MAX_CELLS)
        self.dim = integer_setting(self.name, "dim", dim, 1, MAX_DIM)
        self.seed = integer_setting(self.name, "seed", seed, 0, 2**63 - 1)
        self.window = integer_setting(self.name, "window", window, 1, min(self.rows, self.columns, MAX_WINDOW))
        integer_setting(self.name, "descriptor", descriptor, DESCRIPTOR, DESCRIPTOR)

    @property
    def settings(self) -> dict[str, Any]:
        settings = {"rows": self.rows, "columns": self.columns, "dim": self.dim, "seed": self.seed}
        if self.window > 1:
            settings["window"] = self.window
        return settings | {"descriptor": DESCRIPTOR}

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(R, 84 * window**2) float64: descriptors of the regions; R is 1 + the number of windows."""
        descriptors = _quantize(descriptor(image, self.rows, self.columns))
        cells = descriptors[:-1].reshape(self.rows, self.columns, SIZE)
        windows = sliding_window_view(cells, (self.window, self.window), axis=(0, 1))
        n_numbers = SIZE * self.window**2
        return np.concatenate(
            [np.moveaxis(windows, 2, -1).reshape(-1, n_numbers), np.tile(descriptors[-1], self.window**2)[None]]
        )

    def describe(self, prepared: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[Regions]:
        """The windows row by row, then the whole image."""
        blocks = _blocks(self.dim, self.seed, SIZE * self.window**2)
        regions = []
        for numbers, size in zip(prepared, sizes, strict=True):
            projected = np.moveaxis(numbers @ blocks, 0, 1).reshape(len(numbers), -1)[:, : self.dim]
            cells = cell_boxes(self.rows, self.columns, size).reshape(self.rows, self.columns, 4)
            first = cells[: self.rows - self.window + 1, : self.columns - self.window + 1, :2]
            last = cells[self.window - 1 :, self.window - 1 :, 2:]
            windows = np.concatenate([first, last], axis=-1).reshape(-1, 4)
            boxes = np.concatenate([windows, np.array([[0, 0, *size]], np.float32)])
            regions.append(Regions(projected.astype(np.float32), boxes, size))
        return regions


@cache
def projection(dim: int, seed: int, n_numbers: int = SIZE) -> np.ndarray:
    """(n_numbers, dim) float64 with orthogonal rows of norm sqrt(dim / n_numbers), or orthonormal columns if dim is
    smaller.

    Its entries, like the descriptors it is applied to, are multiples of 2**-16: all sums are then exact in float64, and
    the features are bit-identical for any number of threads and any processor.
    """
    longer, shorter = max(dim, n_numbers), min(dim, n_numbers)
    orthogonal, triangle = np.linalg.qr(np.random.Generator(np.random.PCG64(seed)).standard_normal((longer, shorter)))
    orthogonal *= np.sign(np.diag(triangle))
    matrix = orthogonal if dim < n_numbers else orthogonal.T * math.sqrt(dim / n_numbers)
    return _quantize(matrix)


@cache
def _blocks(dim: int, seed: int, n_numbers: int) -> np.ndarray:
    """(B, n_numbers, C) float64: the projection in blocks of C columns, 64 for 84 numbers, the last padded with 0.

    OpenBLAS computes products this small on one thread; its idle threads would occupy the cores of other workers.
    """
    width = max(_MIN_BLOCK, _BLOCK * SIZE // n_numbers)
    n_blocks = -(-dim // width)
    padded = np.pad(projection(dim, seed, n_numbers), ((0, 0), (0, n_blocks * width - dim)))
    return np.ascontiguousarray(padded.reshape(n_numbers, n_blocks, width).transpose(1, 0, 2))


def _quantize(values: np.ndarray) -> np.ndarray:
    return np.round(values / _STEP) * _STEP
