"""Baselines that copy captions of training images: a random one, the nearest image's, and the consensus of several.

Images are compared by the cosine of their mean regions, not centred. The consensus caption has the highest mean
similarity to the other captions of the nearest images (Devlin et al. 2015, arXiv 1505.04467). Similarity is the mean
over orders 1 to 4 of the cosine of TF-IDF vectors of n-grams, times the length penalty of CIDEr-D. Left out: the
clipping of repeated n-grams, and the outliers that Devlin et al. remove by considering subsets of captions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from emocap.captioning.tokenization import tokenize_all

N_NEAREST = 15
ORDERS = 4
SIGMA = 6
Features = Sequence[np.ndarray | None]


@dataclass(frozen=True, eq=False)
class CaptionRetrieval:
    """Captions of the training images that have region features.

    Attributes:
        captions: N captions.
        image_of: (N,) index of each caption's image.
        vectors: (M, D) mean regions of the images, of length 1.
    """

    captions: list[str]
    image_of: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, images: Sequence[str], captions: Sequence[str], features: Any) -> "CaptionRetrieval":
        """From pairs and a mapping of image keys to regions, such as a `FeatureStore`; other images are left out.

        Args:
            images: N keys, in the order of their captions.
            captions: N captions.
            features: a store whose `[image][0]` is (R, D), or None.
        """
        known = [row for row, image in enumerate(images) if features is not None and image in features]
        numbers = {image: number for number, image in enumerate(dict.fromkeys(images[row] for row in known))}
        vectors = np.stack([unit_mean(features[image][0]) for image in numbers]) if numbers else np.zeros((0, 1))
        image_of = np.array([numbers[images[row]] for row in known], dtype=np.int64)
        return cls([captions[row] for row in known], image_of, vectors)

    def __bool__(self) -> bool:
        return len(self.captions) > 0

    def random(self, n: int, seed: int) -> list[str]:
        """n captions of random training images."""
        rows = np.random.default_rng([seed, 9]).integers(len(self.captions), size=n)
        return [self.captions[row] for row in rows]

    def nearest(self, features: Features) -> list[str]:
        """For each image the first caption of its nearest training image; without features that of the first image."""
        first = np.unique(self.image_of, return_index=True)[1]
        return [self.captions[first[images[0]]] for images in self._nearest_images(features, 1)]

    def consensus(self, features: Features, k: int = N_NEAREST) -> list[str]:
        """For each image the consensus of the captions of its k nearest training images.

        Of equally similar captions the one of the nearer image is taken, then the first one.
        """
        order = np.argsort(self.image_of, kind="stable")
        rows_of = np.split(order, np.flatnonzero(np.diff(self.image_of[order])) + 1)
        chosen = []
        for images in self._nearest_images(features, k):
            rows = np.concatenate([rows_of[image] for image in images])
            grams, lengths = self._grams[rows], self._lengths[rows]
            similarity = (grams @ grams.T).toarray() / ORDERS
            similarity *= np.exp(-((lengths[:, None] - lengths) ** 2) / (2 * SIGMA**2))
            np.fill_diagonal(similarity, 0)
            chosen.append(self.captions[rows[int(np.argmax(similarity.sum(axis=1).round(9)))]])
        return chosen

    def _nearest_images(self, features: Features, k: int) -> list[np.ndarray]:
        """For each image the indices of its k nearest training images, the nearest first."""
        k = min(k, len(self.vectors))
        nearest = []
        for regions in features:
            if regions is None:
                nearest.append(np.arange(k))
            else:
                similarity = self.vectors @ unit_mean(regions)
                nearest.append(np.argsort(-similarity, kind="stable")[:k])
        return nearest

    @cached_property
    def _lengths(self) -> np.ndarray:
        return np.array([len(words) for words in self._words], dtype=np.float64)

    @cached_property
    def _words(self) -> list[list[str]]:
        return tokenize_all(self.captions)

    @cached_property
    def _grams(self) -> csr_matrix:
        """(N, G) TF-IDF vectors of n-grams, of length 1 for each order; documents are the images."""
        return hstack([self._grams_of(order) for order in range(1, ORDERS + 1)]).tocsr()

    def _grams_of(self, order: int) -> csr_matrix:
        counts = [Counter(zip(*(words[start:] for start in range(order)), strict=False)) for words in self._words]
        column: dict[tuple[str, ...], int] = {}
        columns = [column.setdefault(gram, len(column)) for own in counts for gram in own]
        rows = np.repeat(np.arange(len(counts)), [len(own) for own in counts])
        values = np.array([value for own in counts for value in own.values()], dtype=np.float64)
        matrix = csr_matrix((values, (rows, columns)), shape=(len(counts), max(len(column), 1)))
        n_images = len(self.vectors)
        by_image = csr_matrix((np.ones(len(rows)), (self.image_of[rows], columns)), shape=(n_images, matrix.shape[1]))
        frequency = np.asarray((by_image > 0).sum(axis=0)).ravel()
        weighted = matrix.multiply(np.log(n_images / np.maximum(frequency, 1))).tocsr()
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        return weighted.multiply(1 / np.where(norms > 0, norms, 1)[:, None]).tocsr()


def unit_mean(regions: np.ndarray) -> np.ndarray:
    """(D,) float32: the mean of an image's regions (R, D), divided by its length."""
    mean = regions.astype(np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)
