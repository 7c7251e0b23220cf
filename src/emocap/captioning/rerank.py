"""Re-ranking of candidate captions for an image: by the target emotions, with a lower bound on faithfulness.

A caption's score is `strength` times the log-probability, or the lift, of the target emotions plus its faithfulness. A
caption that is much less faithful than the best one, too long, or evokes an emotion to avoid is ranked below all
others, with the reason as a remark. Captions are never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from emocap.captioning.scores import judge_top_k

UNFAITHFUL = "less faithful to the image than other candidates, according to the model"


@dataclass(frozen=True)
class RankedCaption:
    """A candidate caption with its score.

    Attributes:
        caption: unchanged.
        number: its index among the candidates.
        probability: that annotators name all the target emotions, assuming independence.
        faithfulness: mean log-probability in nats of its tokens without an emotion, or log-odds by an image-text
            similarity model; None if not computed.
        score: the ranking criterion.
        remarks: why it is ranked below the others; empty without objections.
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
    target_emotions: Sequence[int],
    *,
    avoid: Sequence[int] = (),
    faithfulness: np.ndarray | None = None,
    max_gap: float = 1.0,
    strength: float = 1.0,
    max_chars: int | None = None,
    lift: np.ndarray | None = None,
) -> list[RankedCaption]:
    """Candidates for one image, best first; the sort is stable.

    Args:
        captions: N candidates.
        probabilities: (N, E) of the emotions, for the image with each caption.
        labels: E emotions.
        target_emotions, avoid: indices into `labels`.
        faithfulness: (N,) or None.
        max_gap: a candidate whose faithfulness is further below the best one is ranked below the others.
        strength: weight of the emotions against faithfulness.
        max_chars: longer candidates are ranked below the others.
        lift: (N, E) by `emocap.pseudo_labels.lift`, which counts in place of the log-probabilities; or None.

    Raises:
        ValueError: lengths differ.

    >>> ranked = rerank(["a", "b"], np.array([[0.2, 0.8], [0.6, 0.4]]), ["awe", "sad"], [0])
    >>> [(candidate.caption, candidate.number) for candidate in ranked]
    [('b', 1), ('a', 0)]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (len(captions), len(labels)) or (faithfulness is not None and len(faithfulness) != len(captions)):
        raise ValueError(f"{len(captions)} captions, but probabilities {p.shape} and {len(labels)} labels")
    logs = np.log(np.clip(p, 1e-9, 1.0))
    log_target = logs[:, list(target_emotions)].sum(axis=1) if len(target_emotions) else np.zeros(len(captions))
    emotion_score = log_target if lift is None else np.asarray(lift, np.float64)[:, list(target_emotions)].sum(axis=1)
    scores = strength * emotion_score + (0 if faithfulness is None else faithfulness)
    remarks = _remarks(captions, p, labels, avoid, faithfulness, max_gap, max_chars)
    ranked = [
        RankedCaption(
            caption=caption,
            number=row,
            probability=float(np.exp(log_target[row])) if len(target_emotions) else 1.0,
            faithfulness=None if faithfulness is None else float(faithfulness[row]),
            score=float(scores[row]),
            remarks=remarks[row],
        )
        for row, caption in enumerate(captions)
    ]
    return sorted(ranked, key=lambda candidate: (bool(candidate.remarks), -candidate.score, candidate.number))


def _remarks(
    captions: Sequence[str],
    probabilities: np.ndarray,
    labels: Sequence[str],
    avoid: Sequence[int],
    faithfulness: np.ndarray | None,
    max_gap: float,
    max_chars: int | None,
) -> list[list[str]]:
    """For each caption the objections to it."""
    best = max(faithfulness, default=0.0) if faithfulness is not None else 0.0
    ranks = (-probabilities).argsort(axis=1, kind="stable").argsort(axis=1)
    remarks: list[list[str]] = []
    for row, caption in enumerate(captions):
        objections = []
        if faithfulness is not None and best - faithfulness[row] > max_gap:
            objections.append(UNFAITHFUL)
        if max_chars is not None and len(caption) > max_chars:
            objections.append(f"{len(caption) - max_chars} characters too long")
        if evoked := [labels[i] for i in avoid if ranks[row, i] < judge_top_k(len(labels))]:
            objections.append(f"evokes {', '.join(evoked)}")
        remarks.append(objections)
    return remarks
