"""Image vectors for the baselines: the mean of an image's region features, of length 1, centred and scaled.

Centring and one scale for all dimensions make the vectors of any extractor comparable with sentence vectors, so that
one strength of the penalty suits both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.errors import EmocapError


@dataclass(frozen=True, eq=False)
class ImageVectors:
    """A function from the region features of n images to their vectors.

    Attributes:
        mean: (D,) float32, of the training images' mean features, each of length 1.
        spread: root mean squared distance of the training images from it.
    """

    mean: np.ndarray
    spread: float

    @classmethod
    def fit(cls, features: Sequence[np.ndarray | None]) -> "ImageVectors":
        """The mean and spread of N training images; those without features are left out.

        Raises:
            EmocapError: no image has features.
        """
        vectors = [vector for vector in map(unit_mean, features) if vector is not None]
        if not vectors:
            raise EmocapError(
                "baseline: no training pair has region features; leave the baselines that read images out of "
                "baselines.names"
            )
        block = np.stack(vectors)
        mean = block.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = float(np.sqrt(np.square(block - mean, dtype=np.float64).sum(axis=1).mean()))
        return cls(mean, spread or 1.0)

    def __call__(self, features: Sequence[np.ndarray | None]) -> np.ndarray:
        """(n, D) float32 of n images; 0, the mean of the training images, for one without features.

        Args:
            features: per image (R_i, D), or None.
        """
        vectors = np.zeros((len(features), len(self.mean)), dtype=np.float32)
        for row in range(len(features)):
            if (vector := unit_mean(features[row])) is not None:
                vectors[row] = (vector - self.mean) / self.spread
        return vectors


def described_rows(features: Sequence[np.ndarray | None]) -> list[int]:
    """The rows of the images that have region features."""
    return [row for row in range(len(features)) if (found := features[row]) is not None and len(found)]


def unit_mean(features: np.ndarray | None) -> np.ndarray | None:
    """(D,) float32: the mean of (R, D) region features divided by its length; None without a region.

    Raises:
        EmocapError: a feature is NaN or infinite.

    >>> unit_mean(np.array([[3, 0], [3, 8]], dtype=np.float16)).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    if features is None or not len(features):
        return None
    mean = features.mean(axis=0, dtype=np.float32)
    if not np.isfinite(mean).all():
        raise EmocapError("the region features of an image contain NaN or infinity; extract or import them again")
    length = float(np.linalg.norm(mean))
    return mean / length if length > 0 else mean
