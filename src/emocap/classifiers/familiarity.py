"""How unlike its training data an image or a caption is: `familiarity.safetensors` in a model folder.

An image is the mean of its region features. Its distance is that of Mahalanobis from the training images, within their
first principal components (Lee et al. 2018, arXiv 1807.03888). Photographs vary so much that drawn scenes are hardly
further away than the most unusual photographs, so a second score is the log-odds of a logistic regression that tells
training images from a few drawn scenes (outlier exposure, Hendrycks et al. 2019, arXiv 1812.04606). A caption's
distance is the mean surprisal of its words in the training captions; where these have many words, a caption is also
unlike them if nearly all its words are new, which tells short ones in another language. A limit is a percentile of what
images or captions have that were held out from the statistics. Left out: whether image and caption fit together.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from emocap.classifiers.arrays import read_arrays, write_arrays
from emocap.corpora.languages import words
from emocap.corpora.summary import sample_rows
from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.progress import logger

FILE = "familiarity.safetensors"
MIN_EXAMPLES = 100  # of fewer no 99th percentile is known
MAX_IMAGES, MAX_CAPTIONS = 1000, 20_000
MAX_WORDS = 20_000
AXES = 64
FOLDS = 5
PERCENTILE = 99.0
IMAGE_PERCENTILE = 99.75  # of either score, so that about half a percent exceed one of them
MIN_WORDS_KNOWN = 5000  # of fewer, new words are common in any caption
MAX_SHARE_NEW = 0.75
PSEUDO_WORDS = 3  # words of mean surprisal added to each caption, since short ones vary most
_DTYPES = {
    "image_mean": "float32", "image_axes": "float32", "image_limit": "float32", "drawn_weights": "float32",
    "drawn_bias": "float32", "drawn_limit": "float32", "words": "uint8", "word_counts": "int32",
    "caption_limit": "float32",
}  # fmt: skip


@dataclass(frozen=True)
class ImageStatistics:
    """What the training images look like.

    Attributes:
        mean: (D,) float32.
        axes: (A, D) float32, the first principal components divided by the standard deviation along them.
        limit: Mahalanobis distances beyond it are unlike the training images.
        drawn_weights, drawn_bias: (A,) float32 and a number, the logistic regression on the whitened components.
        drawn_limit: log-odds beyond it are unlike the training images; infinite without drawn scenes.
    """

    mean: np.ndarray
    axes: np.ndarray
    limit: float
    drawn_weights: np.ndarray
    drawn_bias: float = 0.0
    drawn_limit: float = math.inf

    def scores(self, signatures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) Mahalanobis distances and (N,) log-odds of a drawn scene, of (N, D) mean region features."""
        whitened = (signatures - self.mean) @ self.axes.T
        return np.linalg.norm(whitened, axis=1), whitened @ self.drawn_weights + self.drawn_bias

    def is_unlike(self, signatures: np.ndarray) -> np.ndarray:
        """(N,) bool: which of (N, D) mean region features are unlike the training images."""
        distances, log_odds = self.scores(signatures)
        return (distances > self.limit) | (log_odds > self.drawn_limit)


@dataclass(frozen=True)
class CaptionStatistics:
    """How often words occur in the training captions.

    Attributes:
        counts: of at most `MAX_WORDS` words, the most frequent ones.
        limit: mean surprisals beyond it, in nats, are unlike the training captions.
    """

    counts: dict[str, int]
    limit: float = math.inf

    def distances(self, captions: Sequence[str]) -> np.ndarray:
        """(N,) mean surprisals in nats per word; one is added to every count, that of an unknown word is 1."""
        surprisal, unknown, mean = self._surprisal
        found = [[surprisal.get(word, unknown) for word in words(caption)] for caption in captions]
        return np.array([(sum(row) + PSEUDO_WORDS * mean) / (len(row) + PSEUDO_WORDS) for row in found])

    @cached_property
    def _surprisal(self) -> tuple[dict[str, float], float, float]:
        """In nats: of each word, of an unknown word, and the mean over the words of the training captions."""
        n_words = sum(self.counts.values())
        total = n_words + len(self.counts) + 1
        surprisal = {word: math.log(total / (count + 1)) for word, count in self.counts.items()}
        mean = sum(count * surprisal[word] for word, count in self.counts.items()) / max(1, n_words)
        return surprisal, math.log(total), mean

    def is_unlike(self, captions: Sequence[str]) -> np.ndarray:
        """(N,) bool: which captions are unlike the training captions."""
        return (self.distances(captions) > self.limit) | self._are_new(captions)

    def _are_new(self, captions: Sequence[str]) -> np.ndarray:
        """(N,) bool: which captions have at least two words, nearly all of which are in no training caption."""
        if len(self.counts) < MIN_WORDS_KNOWN:
            return np.zeros(len(captions), bool)
        is_new = [[word not in self.counts for word in words(caption)] for caption in captions]
        return np.array([len(row) > 1 and sum(row) >= MAX_SHARE_NEW * len(row) for row in is_new], bool)


@dataclass(frozen=True)
class Familiarity:
    """The statistics of a model's training images and captions; None where there are too few."""

    images: ImageStatistics | None
    captions: CaptionStatistics | None


def signature(features: np.ndarray) -> np.ndarray:
    """(D,) float32: the mean of an image's region features (R, D)."""
    return features.mean(axis=0, dtype=np.float32)


def fit_images(signatures: np.ndarray, drawn: np.ndarray | None = None) -> ImageStatistics | None:
    """Statistics of training images; None of fewer than `MIN_EXAMPLES`.

    Args:
        signatures: (N, D) mean region features of distinct images.
        drawn: (M, D) of drawn scenes; None if the training images are drawn themselves.
    """
    signatures = signatures[sample_rows(len(signatures), MAX_IMAGES)]
    if len(signatures) < MIN_EXAMPLES:
        return None

    def fit(rows: np.ndarray) -> ImageStatistics:
        return _fit_images(signatures[rows], drawn)

    held_out = [fit(training).scores(signatures[rows]) for training, rows in _folds(np.arange(len(signatures)))]
    distances, log_odds = (np.concatenate(values) for values in zip(*held_out, strict=True))
    whole = fit(np.arange(len(signatures)))
    percentile = PERCENTILE if drawn is None else IMAGE_PERCENTILE
    return ImageStatistics(
        whole.mean,
        whole.axes,
        float(np.percentile(distances, percentile)),
        whole.drawn_weights,
        whole.drawn_bias,
        math.inf if drawn is None else float(np.percentile(log_odds, percentile)),
    )


def _fit_images(signatures: np.ndarray, drawn: np.ndarray | None) -> ImageStatistics:
    """The statistics without limits."""
    mean = signatures.mean(axis=0)
    centred = (signatures - mean).astype(np.float64)
    variances, vectors = np.linalg.eigh(centred @ centred.T / len(centred))  # of N by N, as N is less than D mostly
    kept = [place for place in reversed(range(len(variances))) if variances[place] > 1e-6 * variances[-1]][:AXES]
    n_axes = len(kept)
    axes = vectors[:, kept].T @ centred / (variances[kept, None] * math.sqrt(len(centred)))
    statistics = ImageStatistics(mean, axes.astype(np.float32), math.inf, np.zeros(n_axes, np.float32))
    if drawn is None:
        return statistics
    from sklearn.linear_model import LogisticRegression

    whitened = (np.concatenate([signatures, drawn]) - mean) @ axes.T
    is_drawn = np.repeat([0, 1], [len(signatures), len(drawn)])
    fitted = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500).fit(whitened, is_drawn)
    weights = fitted.coef_[0].astype(np.float32)
    return ImageStatistics(mean, statistics.axes, math.inf, weights, float(fitted.intercept_[0]))


def fit_captions(captions: Sequence[str], groups: Sequence[str]) -> CaptionStatistics | None:
    """Statistics of training captions; None of fewer than `MIN_EXAMPLES`.

    Args:
        captions: N texts.
        groups: N names; captions of one group, such as those of one image, are held out together.
    """
    rows = sample_rows(len(captions), MAX_CAPTIONS)
    captions, groups = [captions[row] for row in rows], [groups[row] for row in rows]
    if len(captions) < MIN_EXAMPLES:
        return None

    def fit(training: Sequence[int] | np.ndarray) -> CaptionStatistics:
        counts = Counter(word for row in training for word in words(captions[row]))
        return CaptionStatistics(dict(counts.most_common(MAX_WORDS)))

    numbers = np.unique(np.array(groups), return_inverse=True)[1]
    distances = [fit(training).distances([captions[row] for row in held]) for training, held in _folds(numbers)]
    limit = float(np.percentile(np.concatenate(distances), PERCENTILE))
    return CaptionStatistics(fit(range(len(captions))).counts, limit)


def _folds(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held-out rows of each fold; `groups` (N,) are numbers from 0, each in one fold."""
    fold = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % FOLDS
    folds = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(FOLDS)]
    return [(training, held) for training, held in folds if len(training) and len(held)]


def write_familiarity(folder: Path, familiarity: Familiarity, *, is_compact: bool = False) -> None:
    """Write the statistics into a model folder.

    Args:
        is_compact: store the axes of images, nearly all of the file, as float16.
    """
    images, captions = familiarity.images, familiarity.captions
    no_axes = np.zeros((0, 0), np.float32)
    infinity = float(np.finfo(np.float32).max)
    numbers = {
        "image_limit": infinity if images is None else images.limit,
        "drawn_bias": 0.0 if images is None else images.drawn_bias,
        "drawn_limit": infinity if images is None else min(infinity, images.drawn_limit),
        "caption_limit": infinity if captions is None else min(infinity, captions.limit),
    }
    counts = {} if captions is None else captions.counts
    arrays = {name: np.array([number], np.float32) for name, number in numbers.items()} | {
        "image_mean": np.zeros(0, np.float32) if images is None else images.mean.astype(np.float32),
        "image_axes": no_axes if images is None else images.axes.astype(np.float16 if is_compact else np.float32),
        "drawn_weights": np.zeros(0, np.float32) if images is None else images.drawn_weights,
        "words": np.frombuffer("\n".join(counts).encode(), np.uint8),
        "word_counts": np.array(list(counts.values()), np.int32),
    }
    with atomic_file(folder / FILE) as temporary:
        write_arrays(temporary, arrays)


def read_familiarity(folder: Path) -> Familiarity:
    """The statistics in a model folder; empty if there are none, or, with a warning, if they are damaged."""
    path = folder / FILE
    if not path.is_file():
        return Familiarity(None, None)
    try:
        return _familiarity(path, read_arrays(path, _DTYPES, {"image_axes": "float16"}))
    except EmocapError as error:
        logger.warning("%s; nothing is compared with the training data", error)
        return Familiarity(None, None)


def _familiarity(path: Path, arrays: dict[str, np.ndarray]) -> Familiarity:
    numbers = {name: array for name, array in arrays.items() if name.endswith(("limit", "bias"))}
    known = arrays["words"].tobytes().decode("utf-8", "replace").split("\n") if arrays["words"].size else []
    axes, n_words = arrays["image_axes"].astype(np.float32), len(arrays["word_counts"])
    shapes = {"image_mean": axes.shape[1:], "drawn_weights": axes.shape[:1]}
    is_consistent = axes.ndim == 2 and all(arrays[name].shape == shape for name, shape in shapes.items())
    if not is_consistent or len(known) != n_words or any(array.shape != (1,) for array in numbers.values()):
        raise EmocapError(f"{path}: its arrays do not fit together; run the study again")
    limit = {name: float(array[0]) for name, array in numbers.items()}
    images = ImageStatistics(
        arrays["image_mean"],
        axes,
        limit["image_limit"],
        arrays["drawn_weights"],
        limit["drawn_bias"],
        limit["drawn_limit"],
    )
    captions = CaptionStatistics(dict(zip(known, arrays["word_counts"].tolist(), strict=True)), limit["caption_limit"])
    return Familiarity(images if len(axes) else None, captions if known else None)
