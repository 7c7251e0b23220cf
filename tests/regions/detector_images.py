"""Images for the detector: coloured noise of several sizes."""

import numpy as np
import torch

from emocap.regions.extractors.faster_rcnn import scaled_image


def pixels(height, width, seed=0):
    """Coloured noise of several sizes, so that no two places look alike."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cell in (4, 16, 64):
        grid = rng.uniform(0, 85, (height // cell + 1, width // cell + 1, 3))
        total += grid.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return torch.from_numpy(total.astype(np.uint8))


def images_of(sizes, config):
    return [scaled_image(pixels(height, width, seed), config) for seed, (height, width) in enumerate(sizes)]


SIZES = [(96, 128), (150, 90), (60, 140), (96, 128), (33, 33)]
