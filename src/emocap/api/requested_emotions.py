"""Emotions that users request: their indices in a model's vocabulary, conflicts, and unintended emotions."""

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.emotions import opposites
from emocap.errors import EmocapError

logger = logging.getLogger("emocap")
MIN_PROBABILITY = 0.3
MIN_LIFT = 1.5


def resolve_emotions(
    labels: Sequence[str], emotions: Sequence[str], avoid: Sequence[str] = ()
) -> tuple[list[int], list[int]]:
    """As `emotion_indices`; target emotions of opposite valence are logged.

    >>> resolve_emotions(["happy", "hopeful", "sad"], ["Happy", "happy"], ["sad"])
    ([0], [2])
    """
    target_emotions, avoided = emotion_indices(labels, emotions, avoid)
    if warning := conflict_warning([labels[i] for i in target_emotions]):
        logger.warning(warning)
    return target_emotions, avoided


def emotion_indices(
    labels: Sequence[str], emotions: Sequence[str], avoid: Sequence[str] = ()
) -> tuple[list[int], list[int]]:
    """The indices of target emotions and of emotions to avoid, without duplicates.

    Raises:
        EmocapError: an unknown emotion, with the most similar names; or one that is both a target and to avoid.
    """
    indices: list[list[int]] = []
    for what, names in (("emotion", emotions), ("avoid", avoid)):
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise EmocapError(f"{what}: {names!r} is not a list of emotions; write [{str(names)!r}]")
        if names and not labels:
            raise EmocapError(f"{what} {names[0]!r}: this model predicts ratings alone, no emotions")
        distinct: dict[int, None] = {}
        for name in names:
            plain = name.strip().lower()
            if plain not in labels:
                near = difflib.get_close_matches(plain, labels, n=3, cutoff=0.4)
                similar = f"the most similar name{' is' if len(near) == 1 else 's are'} {', '.join(near)}"
                known = similar if near else f"known are {', '.join(labels)}"
                raise EmocapError(f"{what} {name!r}: not an emotion of this model; {known}")
            distinct[list(labels).index(plain)] = None
        indices.append(list(distinct))
    target_emotions, avoided = indices
    if both := [labels[i] for i in target_emotions if i in avoided]:
        raise EmocapError(f"{both[0]} is both a target emotion and an emotion to avoid; remove it from one list")
    return target_emotions, avoided


def check_top(labels: Sequence[str], top: int | None, option: str) -> None:
    """Check how many of the likeliest emotions are asked for; None asks for a default.

    Raises:
        EmocapError: the model predicts fewer, or ratings alone.
    """
    if top is not None and not labels:
        raise EmocapError(f"{option} {top}: the model predicts ratings alone, no emotions; leave it out")
    if top is not None and not 1 <= top <= len(labels):
        raise EmocapError(f"{option} {top}: the model knows {len(labels)} emotions")


def output_index(labels: Sequence[str], ratings: Sequence[str], name: str) -> int:
    """The column of an emotion or a rating among a model's outputs: emotions first, then ratings.

    Raises:
        EmocapError: the model predicts neither an emotion nor a rating of this name.

    >>> output_index(["happy", "sad"], ["valence"], "valence")
    2
    """
    outputs = [*labels, *(rating.lower() for rating in ratings)]
    if not labels and (not isinstance(name, str) or name.strip().lower() not in outputs):
        raise EmocapError(f"emotion {name!r}: this model predicts ratings alone: {', '.join(ratings)}")
    (index,), _ = emotion_indices(outputs, [name])
    return index


def conflict_warning(emotions: Sequence[str]) -> str | None:
    """A warning if some of the target emotions are pleasant and some are unpleasant.

    >>> conflict_warning(["happy", "sad"])
    'happy and sad have opposite valence; a caption for both is a compromise'
    """
    opposite = opposites(set(emotions))
    if opposite is None:
        return None
    pleasant, unpleasant = (" and ".join(sorted(names)) for names in opposite)
    return f"{pleasant} and {unpleasant} have opposite valence; a caption for both is a compromise"


@dataclass(frozen=True)
class UnintendedEmotion:
    """An emotion that was not requested and is more probable than its base rate.

    Attributes:
        probability: for this pair.
        base_rate: share of the model's training pairs that name it; None if unknown.
        opposes: whether its valence is opposite to that of a target emotion.
    """

    emotion: str
    probability: float
    base_rate: float | None
    opposes: bool


def unintended_emotions(
    labels: Sequence[str], probabilities: np.ndarray, frequencies: np.ndarray | None, target_emotions: Sequence[int]
) -> list[UnintendedEmotion]:
    """Emotions that are no targets but have a high probability and a high lift, the most probable first.

    The thresholds are `MIN_PROBABILITY`, and `MIN_LIFT` times the base rate. Both are our choice, so that warnings stay
    rare.

    Args:
        labels: E emotions.
        probabilities: (E,) of a pair.
        frequencies: (E,) base rates in the training pairs; None ignores the lift.
        target_emotions: indices into `labels`.

    >>> unintended_emotions(["happy", "sad", "awe"], np.array([0.7, 0.6, 0.1]), np.array([0.6, 0.3, 0.1]), [2])
    [UnintendedEmotion(emotion='sad', probability=0.6, base_rate=0.3, opposes=True)]
    """
    base_rates = np.zeros(len(labels)) if frequencies is None else frequencies
    requested = {labels[i] for i in target_emotions}
    indices = [
        i
        for i, p in enumerate(probabilities)
        if i not in target_emotions and p >= MIN_PROBABILITY and p >= MIN_LIFT * base_rates[i]
    ]
    return [
        UnintendedEmotion(
            labels[i],
            float(probabilities[i]),
            None if frequencies is None else float(base_rates[i]),
            any(opposites({labels[i], emotion}) is not None for emotion in requested),
        )
        for i in sorted(indices, key=lambda i: -probabilities[i])
    ]
