"""An audit of pseudo-labels: the emotions' shares before and after selection, and whether they collapse onto a few.

It also shows how many emotions captions of the same image share, where they are ranked by probability and by lift.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.pseudo_labels.contrast import contrast
from emocap.pseudo_labels.select import Selection, top_p_emotions

MIN_ENTROPY_RATIO = 0.75
MAX_NEVER_CHOSEN = 0.3


def entropy(shares: np.ndarray) -> float:
    """Entropy of a distribution over emotions, in nats.

    >>> round(entropy(np.array([.5, .5, 0.])), 4)
    0.6931
    """
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())


def audit(
    probabilities: np.ndarray,
    selection: Selection,
    labels: Sequence[str],
    training_targets: np.ndarray,
    settings: dict[str, Any],
    *,
    lifts: np.ndarray,
    images: Sequence[str],
) -> dict[str, Any]:
    """What `docs/RUN_DIR.md` describes as `audit.json`.

    Args:
        probabilities: (N, E) of the teacher, for the whole source.
        selection: the sample drawn from it.
        labels: E emotions.
        training_targets: (M, E) of the target's training pairs.
        settings: p, k, fraction, label_type, min_agreement and rank.
        lifts: (N, E) of the probabilities.
        images: N image keys of the source.
    """
    p = settings["p"]
    chosen = {"probability": top_p_emotions(probabilities, p), "lift": top_p_emotions(probabilities, p, lifts)}
    before = _shares(chosen[settings["rank"]])
    after = _shares(selection.kept)
    target = _shares(training_targets > 0)
    never = [label for label, share in zip(labels, after, strict=True) if share == 0]
    return {
        "schema": 1,
        "labels": list(labels),
        **{key: settings[key] for key in ("p", "k", "fraction", "label_type", "min_agreement", "rank")},
        "n_source_pairs": len(probabilities),
        "n_candidates": selection.n_candidates,
        "n_selected": len(selection.rows),
        "target_share": (np.asarray(training_targets) > 0).mean(axis=0).tolist(),
        "before": before.tolist(),
        "after": after.tolist(),
        "entropy_before": entropy(before),
        "entropy_after": entropy(after),
        "entropy_target": entropy(target),
        "entropy_max": float(np.log(len(labels))),
        "never_chosen": never,
        "largest_share": float(after.max()),
        "contrast": {rank: contrast(emotions, images) for rank, emotions in chosen.items()},
        "warning": _warning(after, target, labels, never, settings),
    }


def _shares(chosen: np.ndarray) -> np.ndarray:
    counts = chosen.sum(axis=0).astype(np.float64)
    return counts / max(counts.sum(), 1.0)


def _warning(
    after: np.ndarray, target: np.ndarray, labels: Sequence[str], never: list[str], settings: dict[str, Any]
) -> str | None:
    faults, p = [], settings["p"]
    if entropy(after) < MIN_ENTROPY_RATIO * entropy(target):
        leading = [labels[i] for i in np.argsort(-after, kind="stable")[:p]]
        share = float(np.sort(after)[::-1][:p].sum())
        faults.append(
            f"the most frequent emotions ({', '.join(leading)}) have {share:.0%} of the pseudo-labels: entropy "
            f"{abs(entropy(after)):.2f} nats versus {entropy(target):.2f} for the target's labels"
        )
    if len(never) > MAX_NEVER_CHOSEN * len(labels):
        faults.append(f"{len(never)} of {len(labels)} emotions are never chosen")
    if not faults:
        return None
    advice = "set pseudo_labels.k" if settings["rank"] == "lift" else "set pseudo_labels.k or pseudo_labels.rank: lift"
    return f"Pseudo-labels collapse: {'; '.join(faults)}. Train the teacher better, or {advice}."
