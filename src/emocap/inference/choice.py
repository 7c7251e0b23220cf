"""The emotions that somebody names, as numbers of a model's vocabulary."""

import difflib
import logging
from collections.abc import Sequence

from emocap.emotions import opposites
from emocap.errors import EmocapError

logger = logging.getLogger("emocap")


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
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
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
    if opposite := opposites({labels[i] for i in wanted}):
        logger.warning(
            "%s and %s pull in opposite directions; a caption for both is a compromise",
            *(" and ".join(sorted(names)) for names in opposite),
        )
    return wanted, shunned
