"""The descriptor of a grid cell of an image, 84 numbers: colour, texture, edges, position and surroundings.

Textures are uniform local binary patterns (Ojala et al. 2002), edges are orientation histograms (Dalal and Triggs
2005). Colours are looked up in tables of 64 levels per channel, computed once with scikit-image.
"""

from functools import cache

import numpy as np
from PIL import Image
from skimage.color import rgb2hsv, rgb2lab
from skimage.feature import local_binary_pattern
from skimage.filters import sobel_h, sobel_v

LONGEST_SIDE = 224
CELL_SIDE = 4
ORIENTATIONS = 8
LIGHTNESSES = 8
HUES = 8
GREYS = 4
PATTERNS = 10

# Rounded mean and standard deviation of every number over photographs; constants, so that the features do not depend
# on a data set.
FIELDS: dict[str, tuple[int, tuple[float, ...], tuple[float, ...]]] = {
    "lab_mean": (3, (50.0, 2.0, 6.0), (22.0, 10.0, 14.0)),
    "lab_deviation": (3, (15.0, 5.0, 8.0), (9.0, 5.0, 6.0)),
    "saturation": (2, (0.3, 0.15), (0.2, 0.1)),
    "hue": (2 * HUES + GREYS, (0.1,), (0.2,)),
    "lightness": (LIGHTNESSES, (0.25,), (0.25,)),
    "texture_fine": (PATTERNS, (0.2, 0.25, 0.2, 0.3, 0.4, 0.4, 0.25, 0.25, 0.4, 0.3), (0.1,)),
    "texture_coarse": (PATTERNS, (0.2, 0.25, 0.2, 0.3, 0.4, 0.4, 0.25, 0.25, 0.35, 0.35), (0.1,)),
    "orientation": (ORIENTATIONS, (0.4, 0.3, 0.3, 0.3, 0.4, 0.3, 0.3, 0.3), (0.12,)),
    "edge": (3, (-2.7, -2.6, 0.25), (0.8, 0.8, 0.2)),
    # A smaller scale than measured: in a model without position embeddings of regions, only these encode the position.
    "place": (6, (0.0,), (0.3,)),
    "surround": (3, (0.0,), (12.0, 5.0, 7.0)),
    "scene": (8, (50.0, 2.0, 6.0, 22.0, 8.0, 12.0, 0.3, -2.5), (15.0, 7.0, 10.0, 6.0, 5.0, 6.0, 0.15, 0.4)),
}
SIZE = sum(count for count, _, _ in FIELDS.values())


def describe_cells(image: Image.Image, rows: int, columns: int) -> dict[str, np.ndarray]:
    """The descriptor of each cell in natural units, by field.

    Args:
        image: RGB of any size; it is reduced to at most `LONGEST_SIDE` pixels on its longer side.
        rows, columns: the grid.

    Returns:
        For every name in `FIELDS` its (R, count) float64, R = rows * columns + 1: the cells row by row, then the whole
        image.
            lab_mean, lab_deviation: mean and standard deviation in CIELAB, L* from 0 to 100.
            saturation: mean and standard deviation, 0 to 1.
            hue: square roots of the fractions of 8 hues starting at red, each dark and light, and of 4 greys starting
                at black.
            lightness: square roots of the fractions of 8 equal bins of L*.
            texture_fine, texture_coarse: square roots of the fractions of the 10 uniform patterns of 8 neighbours at a
                distance of 1 pixel, at full and at half the working size.
            orientation: square roots of the fractions of edge magnitude by the direction of the gradient, 8 bins of
                22.5 degrees, starting at left to right.
            edge: logarithms of mean and standard deviation of the Sobel magnitude (0 to 1), fraction of pixels above
                0.1.
            place: centre x and y from -1 to 1, cos(pi x), cos(pi y), 1 for the whole image, log(width / height).
            surround: mean in CIELAB of the adjacent cells minus that of the cell.
            scene: the whole image's mean and standard deviation in CIELAB, mean saturation and first `edge`.
    """
    pixels = _working_pixels(image, rows, columns)
    colours, hues = _look_up_colours(pixels)
    grid = _Grid(hues, rows, columns)
    means, deviations = grid.moments(colours)
    lightness = colours[..., 0]
    edge, orientation = _edges(lightness / 100, grid)
    grey = np.round(lightness * 2.55).astype(np.uint8)
    half = _halved(grey)
    scene = np.concatenate([means[-1, :3], deviations[-1, :3], means[-1, 3:], edge[-1, :1]])
    return {
        "lab_mean": means[:, :3],
        "lab_deviation": deviations[:, :3],
        "saturation": np.stack([means[:, 3], deviations[:, 3]], axis=1),
        "hue": grid.fractions(hues, 2 * HUES + GREYS),
        "lightness": grid.fractions(np.minimum(lightness * (LIGHTNESSES / 100), LIGHTNESSES - 1), LIGHTNESSES),
        "texture_fine": grid.fractions(_patterns(grey), PATTERNS),
        "texture_coarse": _Grid(half, rows, columns).fractions(_patterns(half), PATTERNS),
        "orientation": orientation,
        "edge": edge,
        "place": _places(rows, columns, image.width / image.height),
        "surround": _surround(means[:, :3], rows, columns),
        "scene": np.tile(scene, (len(means), 1)),
    }


def descriptor(image: Image.Image, rows: int, columns: int) -> np.ndarray:
    """(R, 84) float64: the numbers of `describe_cells`, standardised approximately over photographs."""
    fields = describe_cells(image, rows, columns)
    return np.concatenate(
        [(fields[name] - np.array(centre)) / np.array(spread) for name, (_, centre, spread) in FIELDS.items()], axis=1
    )


class _Grid:
    """The cells of an image of (H, W) pixels, for statistics of all cells at once."""

    def __init__(self, pixels: np.ndarray, rows: int, columns: int) -> None:
        height, width = pixels.shape
        self.row_starts = np.arange(rows) * height // rows
        self.column_starts = np.arange(columns) * width // columns
        self.n_cells = rows * columns
        row_of = np.repeat(np.arange(rows), np.diff(self.row_starts, append=height))
        column_of = np.repeat(np.arange(columns), np.diff(self.column_starts, append=width))
        self.cell_of = row_of[:, None] * columns + column_of[None, :]
        counts = np.bincount(self.cell_of.ravel(), minlength=self.n_cells)
        self.counts = np.append(counts, counts.sum()).astype(np.float64)[:, None]

    def moments(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, each (R, C) float64, of (H, W, C) values."""
        means = self._sums(values) / self.counts
        variances = self._sums(np.square(values)) / self.counts - np.square(means)
        return means, np.sqrt(np.maximum(variances, 0.0))

    def fractions(self, bins: np.ndarray, n_bins: int, weights: np.ndarray | None = None) -> np.ndarray:
        """(R, n_bins) float64: square roots of each bin's fraction of the pixels or weights; 0 if all weights are 0."""
        place = self.cell_of * n_bins + bins.astype(np.int64)
        flat = None if weights is None else weights.ravel()
        cells = np.bincount(place.ravel(), flat, self.n_cells * n_bins).reshape(self.n_cells, n_bins)
        counts = np.concatenate([cells, cells.sum(axis=0, keepdims=True)])
        totals = counts.sum(axis=1, keepdims=True)
        return np.sqrt(np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        by_row = np.add.reduceat(values, self.row_starts, axis=0, dtype=np.float64)
        cells = np.add.reduceat(by_row, self.column_starts, axis=1).reshape(self.n_cells, -1)
        return np.concatenate([cells, cells.sum(axis=0, keepdims=True)])


def _working_pixels(image: Image.Image, rows: int, columns: int) -> np.ndarray:
    """(H, W, 3) uint8, small enough to be fast and large enough for every cell to have pixels."""
    scale = min(1.0, LONGEST_SIDE / max(image.size))
    width = max(round(image.width * scale), columns * CELL_SIDE)
    height = max(round(image.height * scale), rows * CELL_SIDE)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)


@cache
def _colour_tables() -> tuple[np.ndarray, np.ndarray]:
    """For 64 levels of red, green and blue: (64**3, 4) float32 of L*, a*, b*, saturation, and (64**3,) uint8 hue bins.

    The colours are multiples of 1/256, so that sums over pixels are exact in any order.
    """
    levels = np.arange(64) / 63
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    hue, saturation, value = np.moveaxis(rgb2hsv(rgb)[0], -1, 0)
    colours = np.concatenate([rgb2lab(rgb)[0], saturation[:, None]], axis=1)
    grey = 2 * HUES + np.minimum(value * GREYS, GREYS - 1).astype(np.int64)
    coloured = np.round(hue * HUES).astype(np.int64) % HUES * 2 + (value >= 0.6)
    hues = np.where((saturation < 0.15) | (value < 0.1), grey, coloured)
    return (np.round(colours * 256) / 256).astype(np.float32), hues.astype(np.uint8)


def _look_up_colours(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) float32 of L*, a*, b*, saturation, and (H, W) uint8 hue bins of the pixels."""
    nearest = np.round(np.arange(256) * (63 / 255)).astype(np.int32)
    red, green, blue = np.moveaxis(nearest[pixels], -1, 0)
    place = (red * 64 + green) * 64 + blue
    colours, hues = _colour_tables()
    return colours[place], hues[place]


def _edges(lightness: np.ndarray, grid: _Grid) -> tuple[np.ndarray, np.ndarray]:
    """`edge` (R, 3) and `orientation` (R, 8) of (H, W) lightness from 0 to 1."""
    across, down = sobel_v(lightness), sobel_h(lightness)
    magnitude = np.hypot(across, down)
    step = np.round(np.arctan2(down, across) * (ORIENTATIONS / np.pi)).astype(np.int64) % ORIENTATIONS
    means, deviations = grid.moments(np.stack([magnitude, magnitude > 0.1], axis=-1))
    edge = np.stack([np.log(means[:, 0] + 0.005), np.log(deviations[:, 0] + 0.005), means[:, 1]], axis=1)
    return edge, grid.fractions(step, ORIENTATIONS, magnitude)


def _patterns(grey: np.ndarray) -> np.ndarray:
    """(H, W) uniform local binary patterns, 0 to 9, of (H, W) uint8."""
    # scikit-image pads with black, which would add an edge at the border; repeating the border pixels avoids it.
    padded = np.pad(grey, 1, mode="edge")
    return local_binary_pattern(padded, P=PATTERNS - 2, R=1, method="uniform")[1:-1, 1:-1]


def _halved(grey: np.ndarray) -> np.ndarray:
    """(H // 2, W // 2) uint8 means of 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in grey.shape)
    sums = grey[:height, :width].reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3), dtype=np.uint16)
    return ((sums + 2) // 4).astype(np.uint8)


def _places(rows: int, columns: int, aspect: float) -> np.ndarray:
    """(R, 6): `place`."""
    y = np.append(np.repeat((2 * np.arange(rows) + 1) / rows - 1, columns), 0.0)
    x = np.append(np.tile((2 * np.arange(columns) + 1) / columns - 1, rows), 0.0)
    whole = np.append(np.zeros(rows * columns), 1.0)
    shape = np.full(len(x), np.log(aspect))
    return np.stack([x, y, np.cos(np.pi * x), np.cos(np.pi * y), whole, shape], axis=1)


def _surround(means: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(R, C): mean over the up to 8 adjacent cells minus the cell's own; 0 for the whole image."""
    padded = np.zeros((rows + 2, columns + 2, means.shape[1] + 1))
    padded[1:-1, 1:-1, :-1] = means[:-1].reshape(rows, columns, -1)
    padded[1:-1, 1:-1, -1] = 1.0
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    neighbours = np.stack([padded[i : i + rows, j : j + columns] for i, j in shifts])
    around = neighbours.sum(axis=0).reshape(rows * columns, -1)
    known = around[:, -1:] > 0
    differences = np.where(known, around[:, :-1] / np.maximum(around[:, -1:], 1.0) - means[:-1], 0.0)
    return np.concatenate([differences, np.zeros((1, means.shape[1]))])
