"""The order of candidate captions for a picture: the emotion that is wanted, held to a floor of faithfulness.

A caption's score is `strength` times the log-probability of the wanted emotions plus its faithfulness. What falls below
the floor, is too long, or evokes what is to be avoided stands behind all others, and says why. No text is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emocap.captioning.scores import judge_top_k

UNFIT = "less faithful to the picture than others here, as the model sees it"


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place.

    Attributes:
        caption: as it was given.
        number: its place among the candidates, from 0.
        probability: that annotators name all the wanted emotions, taken as independent.
        faithfulness: mean log-probability in nats of its tokens without an emotion, or log-odds by a model that
            compares texts with pictures; None where neither judged it.
        score: what it was ordered by.
        remarks: why it stands behind; none where nothing speaks against it.
    """

    caption: str
    number: int
    probability: float
    faithfulness: float | None
    score: float
    remarks: list[str] = field(default_factory=list)


def rerank(
    captions: Sequence[str],
    probabilities: np.ndarray,
    labels: Sequence[str],
    wanted: Sequence[int],
    *,
    avoid: Sequence[int] = (),
    faithfulness: np.ndarray | None = None,
    floor: float = 1.0,
    strength: float = 1.0,
    max_chars: int | None = None,
) -> list[Ranked]:
    """Candidates for one picture, best first; equals keep their order.

    Args:
        captions: N candidates.
        probabilities: (N, E) of the emotions, for the picture with each.
        labels: E emotions.
        wanted, avoid: emotion numbers.
        faithfulness: (N,) or None.
        floor: a candidate more than so much below the most faithful one stands behind.
        strength: of the emotions against faithfulness.
        max_chars: longer candidates stand behind.

    Raises:
        ValueError: lengths differ.

    >>> found = rerank(["a", "b"], np.array([[0.2, 0.8], [0.6, 0.4]]), ["awe", "sad"], [0])
    >>> [(one.caption, one.number) for one in found]
    [('b', 1), ('a', 0)]
    """
    given = np.asarray(probabilities, dtype=np.float64)
    if given.shape != (len(captions), len(labels)) or (faithfulness is not None and len(faithfulness) != len(captions)):
        raise ValueError(f"{len(captions)} captions, but probabilities {given.shape} and {len(labels)} labels")
    logs = np.log(np.clip(given, 1e-9, 1.0))
    wish = logs[:, list(wanted)].sum(axis=1) if len(wanted) else np.zeros(len(captions))
    scores = strength * wish if faithfulness is None else strength * wish + faithfulness
    best = max(faithfulness, default=0.0) if faithfulness is not None else 0.0
    ranks = (-given).argsort(axis=1, kind="stable").argsort(axis=1)
    found = []
    for row, caption in enumerate(captions):
        remarks = []
        if faithfulness is not None and best - faithfulness[row] > floor:
            remarks.append(UNFIT)
        if max_chars is not None and len(caption) > max_chars:
            remarks.append(f"{len(caption) - max_chars} characters too long")
        if evoked := [labels[i] for i in avoid if ranks[row, i] < judge_top_k(len(labels))]:
            remarks.append(f"evokes {', '.join(evoked)}")
        found.append(
            Ranked(
                caption=caption,
                number=row,
                probability=float(np.exp(wish[row])) if len(wanted) else 1.0,
                faithfulness=None if faithfulness is None else float(faithfulness[row]),
                score=float(scores[row]),
                remarks=remarks,
            )
        )
    return sorted(found, key=lambda one: (bool(one.remarks), -one.score, one.number))
