"""The emotions that somebody names, as numbers of a model's vocabulary."""

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.emotions import opposites
from emocap.errors import EmocapError

logger = logging.getLogger("emocap")
STRONG = 0.3
UNUSUAL = 1.5


def choose_emotions(
    labels: Sequence[str], emotions: Sequence[str], avoid: Sequence[str] = ()
) -> tuple[list[int], list[int]]:
    """The numbers of wanted and avoided emotions, each once.

    Raises:
        EmocapError: one that is not known, with those of the nearest names; or one that is both wanted and avoided.

    >>> choose_emotions(["happy", "hopeful", "sad"], ["Happy", "happy"], ["sad"])
    ([0], [2])
    """
    numbers: list[list[int]] = []
    for what, names in (("emotion", emotions), ("avoid", avoid)):
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise EmocapError(f"{what}: {names!r} is no list of emotions; write [{str(names)!r}]")
        found: dict[int, None] = {}
        for name in names:
            plain = name.strip().lower()
            if plain not in labels:
                near = difflib.get_close_matches(plain, labels, n=3, cutoff=0.4)
                known = f"nearest by name are {', '.join(near)}" if near else f"known are {', '.join(labels)}"
                raise EmocapError(f"{what} {name!r}: not an emotion of this model; {known}")
            found[list(labels).index(plain)] = None
        numbers.append(list(found))
    wanted, shunned = numbers
    if both := [labels[i] for i in wanted if i in shunned]:
        raise EmocapError(f"{both[0]} is both wanted and to be avoided; leave one of them out")
    if remark := compromise([labels[i] for i in wanted]):
        logger.warning(remark)
    return wanted, shunned


def compromise(emotions: Sequence[str]) -> str | None:
    """A remark where some of the wanted emotions are pleasant and some are not.

    >>> compromise(["happy", "sad"])
    'happy and sad pull in opposite directions; a caption for both is a compromise'
    """
    opposite = opposites(set(emotions))
    if opposite is None:
        return None
    glad, grieved = (" and ".join(sorted(names)) for names in opposite)
    return f"{glad} and {grieved} pull in opposite directions; a caption for both is a compromise"


@dataclass(frozen=True)
class Unintended:
    """An emotion that nobody asked for and that is likelier than usual.

    Attributes:
        probability, usual: of this pair, and the share of the model's training pairs; None where that is not known.
        opposes: whether it is pleasant and a wanted one is not, or the other way round.
    """

    emotion: str
    probability: float
    usual: float | None
    opposes: bool


def unintended(
    labels: Sequence[str], probabilities: np.ndarray, frequencies: np.ndarray | None, wanted: Sequence[int]
) -> list[Unintended]:
    """Emotions that are not wanted but strong and more than usual, likeliest first.

    Strong is a probability of `STRONG`, more than usual is `UNUSUAL` times the share of the training pairs; both are
    choices of ours, so that a warning is rare enough to be read.

    Args:
        labels: E emotions.
        probabilities: (E,) of a pair.
        frequencies: (E,) of the training pairs; None takes every strong emotion.
        wanted: emotion numbers.

    >>> unintended(["happy", "sad", "awe"], np.array([0.7, 0.6, 0.1]), np.array([0.6, 0.3, 0.1]), [2])
    [Unintended(emotion='sad', probability=0.6, usual=0.3, opposes=True)]
    """
    usual = np.zeros(len(labels)) if frequencies is None else frequencies
    asked = {labels[i] for i in wanted}
    strong = [i for i, p in enumerate(probabilities) if i not in wanted and p >= STRONG and p >= UNUSUAL * usual[i]]
    return [
        Unintended(
            labels[i],
            float(probabilities[i]),
            None if frequencies is None else float(usual[i]),
            any(opposites({labels[i], one}) is not None for one in asked),
        )
        for i in sorted(strong, key=lambda i: -probabilities[i])
    ]
