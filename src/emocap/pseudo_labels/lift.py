"""Lift: how far a pair's logit of an emotion is above the emotion's mean over a corpus, in standard deviations.

The most probable emotions are the frequent ones of the teacher's corpus, whatever a caption says; those of highest lift
are what a caption evokes more than other captions do. It is a z-score of logits, and not the ratio of probabilities
that is called lift in association rules, so that emotions with a large spread do not dominate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_json, write_json
from emocap.pseudo_labels.select import top_p_emotions

SCHEMA = 1
SMALLEST = 1e-6  # probabilities are kept this far from 0 and 1


@dataclass(frozen=True)
class LiftScale:
    """Mean and standard deviation of each emotion's logit over a corpus.

    Attributes:
        mean, sd: (E,) float64; an emotion whose probability is the same for all pairs has sd 0.
    """

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray) -> "LiftScale":
        """The scale of a corpus of N pairs; of one pair it has no spread.

        Args:
            probabilities: (N, E), 0 to 1.

        Raises:
            EmocapError: there is no pair, or a probability is not within 0 to 1.

        >>> scale = LiftScale.of(np.array([[.5, .2], [.9, .2]]))
        >>> scale.mean.round(3).tolist(), scale.sd.round(3).tolist()  # logits 0 and 2.197; -1.386 twice
        ([1.099, -1.386], [1.099, 0.0])
        """
        if not len(probabilities):
            raise EmocapError("lift: the corpus has no pairs")
        logits = _logits(probabilities)
        equal = (logits == logits[0]).all(axis=0)  # whose standard deviation may be a rounding error
        return cls(logits.mean(axis=0), np.where(equal, 0.0, logits.std(axis=0)))

    def save(self, path: Path, vocabulary: Vocabulary) -> None:
        """Write `lift.json`."""
        content = {"labels": list(vocabulary.labels), "mean": self.mean.tolist(), "sd": self.sd.tolist()}
        write_json(path, {"schema": SCHEMA, "vocabulary": vocabulary.hash} | content)

    @classmethod
    def load(cls, path: Path, vocabulary: Vocabulary) -> "LiftScale":
        """Read `lift.json`.

        Raises:
            EmocapError: it is missing, damaged, or of another vocabulary.
        """
        values = read_json(path)
        content: dict[str, Any] = values if isinstance(values, dict) else {}
        if content.get("vocabulary") != vocabulary.hash:
            raise EmocapError(
                f"{path}: vocabulary {content.get('vocabulary')!r}, expected {vocabulary.hash}; delete it and run again"
            )
        try:
            mean, sd = (np.asarray(content.get(key), dtype=np.float64) for key in ("mean", "sd"))
        except (TypeError, ValueError):
            mean = sd = np.empty(0)
        is_whole = mean.shape == sd.shape == (len(vocabulary),) and np.isfinite([mean, sd]).all() and (sd >= 0).all()
        if not is_whole:
            raise EmocapError(f"{path}: expected {len(vocabulary)} values of 'mean' and 'sd'; delete it and run again")
        return cls(mean, sd)


def lift(probabilities: np.ndarray, scale: LiftScale) -> np.ndarray:
    """(N, E) float64: each logit less the emotion's mean over the corpus, divided by its standard deviation.

    An emotion without spread tells nothing about a pair: its lift is 0.

    Args:
        probabilities: (N, E), 0 to 1.
        scale: of the corpus.

    Raises:
        EmocapError: a probability is not within 0 to 1.
        ValueError: the scale has another number of emotions.

    >>> corpus = np.array([[.5, .2], [.9, .2]])
    >>> lift(corpus, LiftScale.of(corpus)).round(6).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    logits = _logits(probabilities)
    if logits.ndim != 2 or logits.shape[1] != len(scale.mean):
        raise ValueError(f"probabilities {logits.shape}, expected (N, {len(scale.mean)})")
    spread = scale.sd > 0
    return np.where(spread, (logits - scale.mean) / np.where(spread, scale.sd, 1.0), 0.0)


def condition_targets(probabilities: np.ndarray, p: int, scale: LiftScale) -> np.ndarray:
    """(N, E) float32: the weights of the emotions that a caption is learnt for, a softmax of the p highest lifts.

    Emotions that a caption evokes no more than the mean caption have weight 0, so that a row has a sum of 1, or of 0
    where no emotion has a positive lift.

    Args:
        probabilities: (N, E), 0 to 1.
        p: number of emotions kept per caption, at most.
        scale: of the corpus.

    >>> scale = LiftScale(np.array([1.0, -2.0, -3.0]), np.ones(3))
    >>> condition_targets(np.array([[.9, .1, .5], [.1, .1, .01]]), 2, scale).astype(float).round(2).tolist()
    [[0.14, 0.0, 0.86], [0.0, 0.0, 0.0]]
    """
    lifts = lift(probabilities, scale)
    kept = top_p_emotions(probabilities, p, lifts) & (lifts > 0)
    weights = np.where(kept, np.exp(lifts - lifts.max(axis=1, keepdims=True)), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.where(total > 0, total, 1.0)).astype(np.float32)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise EmocapError("lift: a probability is not within 0 to 1")
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)
