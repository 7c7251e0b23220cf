"""Whether a reader could perceive what a caption was asked for: a judge beside a rule of key words, with its power.

A judge may recover a label from a few typical words that a reader does not take for it. So every score of the judge
is compared with that of a rule which only looks for key words, the judge's score without punctuation, its score of
people's own captions of known labels (the ceiling: a captioner above it exaggerates), and the smallest margin that as
many images could have shown (Bloom 1995). The design is that of the pre-registration of asjad2401/EmoCap (2026).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emocap.captioning.scores import N_BOOTSTRAP, top_k_hits
from emocap.evaluation.intervals import estimate, interval, minimum_detectable

_PUNCTUATION = re.compile(r"[^\w\s]|_")
Scorer = Callable[[Sequence[str]], np.ndarray]  # n captions to (n, E), of which only the order in a row matters


def without_punctuation(caption: str) -> str:
    """A caption in lower case whose punctuation is replaced by spaces.

    >>> without_punctuation("Well-fed, isn't it?")
    'well fed isn t it'
    """
    return " ".join(_PUNCTUATION.sub(" ", caption.lower()).split())


def perceived(
    captions: Sequence[str], labels: Sequence[int], judge: Scorer, rule: Scorer, k: int
) -> dict[str, np.ndarray]:
    """For each of N captions whether its label is among the k highest: by the judge, without punctuation, by the rule.

    Args:
        labels: N indices of the labels that the captions were asked for, or that people gave them.
        k: 1 or more; equal scores are in random order, so that a value is the probability of a hit.

    Returns:
        "judge", "judge_without_punctuation" and "key_words", (N,) each.
    """
    plain = [without_punctuation(caption) for caption in captions]
    return {
        "judge": top_k_hits(judge(captions), labels, k),
        "judge_without_punctuation": top_k_hits(judge(plain), labels, k),
        "key_words": top_k_hits(rule(captions), labels, k),
    }


def moved(first: Sequence[str], second: Sequence[str], label: Sequence[int], other: Sequence[int], judge: Scorer,
          rule: Scorer) -> dict[str, np.ndarray]:  # fmt: skip
    """For each of N images whether the words of two captions moved the right way, as `perceived` returns it.

    Args:
        first, second: N captions each of the same images.
        label, other: what the first and the second caption were asked for.
    """
    scorers: dict[str, Scorer] = {
        "judge": judge,
        "judge_without_punctuation": lambda captions: judge([without_punctuation(caption) for caption in captions]),
        "key_words": rule,
    }
    return {name: moves_right(scorer(first), scorer(second), label, other) for name, scorer in scorers.items()}


def moves_right(first: np.ndarray, second: np.ndarray, label: Sequence[int], other: Sequence[int]) -> np.ndarray:
    """(N,) whether each label scores higher for the caption that was asked for it; 0.5 if equal, the mean of both.

    Args:
        first, second: (N, E) scores of the captions that were asked for `label`, and for `other`.
        label, other: N column indices each.

    >>> moves_right(np.array([[0.4, 0.1], [0.2, 0.6]]), np.array([[0.1, 0.3], [0.2, 0.5]]), [0, 0], [1, 1]).tolist()
    [1.0, 0.25]
    """
    rows = np.arange(len(first))
    own = np.sign(first[rows, label] - second[rows, label]) + np.sign(second[rows, other] - first[rows, other])
    return own / 4 + 0.5


def summarise_perceived(
    values: Mapping[str, np.ndarray], seed: int, groups: Sequence[str] | None = None
) -> dict[str, Any]:
    """The means of `perceived` or `moved` with intervals, and the judge's margin over the rule of key words.

    Args:
        values: (N,) arrays.
        seed: of the bootstrap.
        groups: (N,) the image of each value, as for `mean_with_power`.
    """
    means = {name: mean_with_power(array, seed, groups, lowest=0.0, highest=1.0) for name, array in values.items()}
    shares = {name: {"mean": mean.value, "low": mean.low, "high": mean.high} for name, mean in means.items()}
    return shares | {"margin": mean_with_power(values["judge"] - values["key_words"], seed, groups).as_difference()}


@dataclass(frozen=True)
class PoweredMean:
    """A mean with its 95% interval, and the smallest mean that a test with as many images shows with 80% power."""

    value: float
    low: float
    high: float
    minimum_detectable: float | None

    def as_difference(self) -> dict[str, float | None]:
        """As JSON, where the mean is one of paired differences."""
        values = {"difference": self.value, "low": self.low, "high": self.high}
        return values | {"minimum_detectable": self.minimum_detectable}


def mean_with_power(
    values: np.ndarray,
    seed: int = 0,
    groups: Sequence[str] | None = None,
    *,
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> PoweredMean:
    """The mean of values, whose interval and power are those of a bootstrap over the images.

    Args:
        values: (N,), NaN where undefined, at least one defined.
        seed: of the bootstrap.
        groups: (N,) the image of each value; None where each value has its own.
        lowest, highest: bounds of the mean.

    Returns:
        With a single image the interval is the value, and nothing is known of the power.

    >>> mean_with_power(np.array([0.25, 0.25, 0.25, np.nan]))
    PoweredMean(value=0.25, low=0.25, high=0.25, minimum_detectable=0.0)
    """
    value, means, n = _draws(values, seed, groups)
    return _powered(value, means, n, lowest, highest)


def independent_difference(
    values: np.ndarray, others: np.ndarray, seed: int, groups: Sequence[str], other_groups: Sequence[str]
) -> dict[str, float | None]:
    """The mean of `values` minus that of `others`, which were measured on other images."""
    value, means, n = _draws(values, seed, groups)
    other, other_means, other_n = _draws(others, seed + 1, other_groups)
    return _powered(value - other, means - other_means, min(n, other_n), -np.inf, np.inf).as_difference()


def _draws(values: np.ndarray, seed: int, groups: Sequence[str] | None) -> tuple[float, np.ndarray, int]:
    """The mean, (B,) means of samples of the images, and the number of images."""
    defined = ~np.isnan(values)
    values = values[defined]
    image_of = np.arange(len(values))
    if groups is not None:
        image_of = np.unique(np.asarray(groups)[defined], return_inverse=True)[1]
    sums, counts = np.bincount(image_of, weights=values), np.bincount(image_of).astype(np.float64)
    draws = np.random.default_rng(seed).integers(len(sums), size=(N_BOOTSTRAP, len(sums)))
    return float(values.mean()), sums[draws].sum(axis=1) / counts[draws].sum(axis=1), len(sums)


def _powered(value: float, means: np.ndarray, n: int, lowest: float, highest: float) -> PoweredMean:
    estimated = estimate(value, means, n)
    if estimated is None:
        return PoweredMean(value, value, value, None)
    low, high = interval(estimated, lowest=lowest, highest=highest)
    return PoweredMean(estimated.value, low, high, minimum_detectable(estimated))
