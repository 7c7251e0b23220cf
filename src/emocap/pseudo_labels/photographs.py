"""What a student learns from photographs where its teacher reads captions alone: arrays, and the sample's composition.

A photograph's z says, for each emotion, how far its captions are above the mean of their corpus, and the names of what
a classifier of objects sees in it above those of all classes, in standard deviations. Some pairs of the sample then get
the photograph of another pair, no photograph, or a neutral caption, so that the student must read both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emocap.pseudo_labels.lift import LiftScale, lift

# What became of a pair of the sample.
KINDS = ("without_image", "matched", "neutral", "dropped", "exchanged")


@dataclass(frozen=True)
class Composition:
    """What the student sees of M pairs.

    Attributes:
        kinds: (M,) int64, numbers of `KINDS`.
        photographs: (M,) int64, numbers of the photographs, -1 where the student sees none.
        neutral: (M,) int64, numbers of the neutral captions, -1 where the pair keeps its own.
    """

    kinds: np.ndarray
    photographs: np.ndarray
    neutral: np.ndarray

    def counts(self) -> dict[str, int]:
        """The number of pairs of each kind."""
        return {kind: int((self.kinds == number).sum()) for number, kind in enumerate(KINDS)}


def lifts_within(probabilities: np.ndarray, corpora: np.ndarray) -> np.ndarray:
    """(N, E) float64: the lift of each caption over the captions of its own corpus.

    A corpus of another style, such as posts among descriptions, differs in all of its captions, which says nothing
    about one photograph.

    Args:
        probabilities: (N, E) of the teacher.
        corpora: (N,) int64, the corpus of each caption.

    >>> lifts_within(np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([0, 0, 1, 1])).round(6).tolist()
    [[-1.0], [1.0], [-1.0], [1.0]]
    """
    lifts = np.zeros(probabilities.shape)
    for corpus in np.unique(corpora):
        own = corpora == corpus
        lifts[own] = lift(probabilities[own], LiftScale.of(probabilities[own]))
    return lifts


def caption_means(lifts: np.ndarray, images: Sequence[str], photographs: Sequence[str]) -> np.ndarray:
    """(P, E) float64: each photograph's mean lift over its captions.

    Args:
        lifts: (N, E) of the source's captions.
        images: N image keys.
        photographs: P distinct image keys, each of them among `images`.

    >>> caption_means(np.array([[1.0], [3.0], [5.0]]), ["a", "a", ""], ["a"]).tolist()
    [[2.0]]
    """
    number = {image: place for place, image in enumerate(photographs)}
    rows = np.array([row for row, image in enumerate(images) if image in number], dtype=np.int64)
    places = np.array([number[images[row]] for row in rows], dtype=np.int64)
    sums = np.zeros((len(photographs), lifts.shape[1]))
    np.add.at(sums, places, lifts[rows])
    return sums / np.bincount(places, minlength=len(photographs))[:, None]


def class_prior(class_logits: np.ndarray, class_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(P, E) float64: what the teacher says of the classes that a classifier sees in each photograph.

    The mean over classes of the teacher's lifts for their names, weighted by the softmax of the class logits divided by
    the temperature; then standardised over the photographs. Without the latter it would hardly vary, since at a high
    temperature every photograph has some of all classes.

    Args:
        class_logits: (P, C) of the classifier.
        class_probabilities: (C, E) of the teacher, for a text that names each class.
        temperature: above 0; 1 takes the classifier's own probabilities.

    >>> prior = class_prior(np.array([[9.0, 0.0], [0.0, 9.0]]), np.array([[0.9], [0.1]]), 1.0)
    >>> prior.round(6).tolist()
    [[1.0], [-1.0]]
    """
    scaled = class_logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    prior = weights @ lift(class_probabilities, LiftScale.of(class_probabilities))
    prior -= prior.mean(axis=0)
    sd = prior.std(axis=0)
    varies = sd > 1e-9
    return np.where(varies, prior / np.where(varies, sd, 1.0), 0.0)


def compose(
    photographs: np.ndarray,
    shares: dict[str, float],
    n_neutral: int,
    seed: int | Sequence[int],
) -> Composition:
    """Draw which pairs with a photograph lose it, get another one, or get a neutral caption.

    Args:
        photographs: (M,) int64, the number of each pair's photograph, -1 for none.
        shares: of "neutral", "dropped" and "exchanged" among the pairs with a photograph; together at most 1. With a
            single photograph nothing is exchanged.
        n_neutral: number of neutral captions, which are drawn equally often.
        seed: of all draws.
    """
    generator = np.random.default_rng(seed)
    kinds = np.where(photographs >= 0, KINDS.index("matched"), KINDS.index("without_image"))
    seen, neutral = photographs.copy(), np.full(len(photographs), -1)
    order = generator.permutation(np.flatnonzero(photographs >= 0))
    ends = np.cumsum([0, *(shares[kind] * len(order) for kind in ("neutral", "dropped", "exchanged"))])
    plain, dropped, exchanged = (order[round(a) : round(b)] for a, b in pairwise(ends))
    kinds[plain] = KINDS.index("neutral")
    neutral[plain] = np.arange(len(plain)) % max(n_neutral, 1)
    kinds[dropped], seen[dropped] = KINDS.index("dropped"), -1
    distinct, place = np.unique(photographs[order], return_inverse=True)
    if len(distinct) > 1:
        kinds[exchanged] = KINDS.index("exchanged")
        own = dict(zip(order.tolist(), place.tolist(), strict=True))
        steps = generator.integers(1, len(distinct), len(exchanged))
        others = [
            (own[row] + step) % len(distinct) for row, step in zip(exchanged.tolist(), steps.tolist(), strict=True)
        ]
        seen[exchanged] = distinct[others]
    return Composition(kinds, seen, neutral)


def photograph_targets(
    probabilities: np.ndarray, composition: Composition, z: np.ndarray, scale: LiftScale, weight: float
) -> np.ndarray:
    """(M, E) float32 targets of the composed sample.

    A caption's logits are raised by `weight` times the photograph's z, in units of each emotion's spread. A neutral
    caption has no logits of its own: its target is the emotion's mean, raised by the whole z.

    Args:
        probabilities: (M, E) of the teacher, for the pairs' own captions.
        composition: of the M pairs.
        z: (P, E) of the photographs.
        scale: mean and spread of the logits over the source.
        weight: of the photograph beside a caption.
    """
    shown = composition.photographs >= 0
    is_neutral = composition.kinds == KINDS.index("neutral")
    own = scale.mean + scale.sd * lift(probabilities, scale)
    raised = np.where(shown[:, None], z[composition.photographs], 0.0) * scale.sd
    logits = np.where(is_neutral[:, None], scale.mean + raised, own + weight * raised)
    targets = 1.0 / (1.0 + np.exp(-logits))
    return np.where(shown[:, None], targets, probabilities).astype(np.float32)
