"""Exact probabilities of the emotions that annotators name for a synthetic scene.

Every factor adds to the log-weights of 29 emotions; p is their softmax. An annotator draws m = 0 to 3 emotions from p
independently and names the distinct ones; a pair has A = 4 to 8 annotators. An emotion is therefore absent from the
union with probability mean_A (sum_m P(m) (1 - p)^m)^A, which is the closed form used here.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from emocap.demo.effects import ANNOTATORS, BASE, EFFECTS, EVENT_REASONS, LABELS, LIGHT_REASONS, THOUGHTS
from emocap.demo.scene import SUBJECTS, TONES, Scene, image_combinations


def _vector(effects: str) -> np.ndarray:
    vector = np.zeros(len(LABELS))
    for effect in filter(None, effects.split(", ")):
        label, weight = effect.split()
        vector[LABELS.index(label)] += float(weight)
    return vector


_SINGLE = {name: _vector(effects) for name, effects in EFFECTS.items() if " & " not in name}
_DOUBLE = [(set(name.split(" & ")), _vector(effects)) for name, effects in EFFECTS.items() if " & " in name]


@lru_cache(maxsize=200_000)
def _log_weights(factors: tuple[str, ...]) -> np.ndarray:
    shown = set(factors)
    total = np.array([BASE[label] for label in LABELS]) + sum(_SINGLE[factor] for factor in factors)
    for both, vector in _DOUBLE:
        if both <= shown:
            total = total + vector
    return total


def thought_probabilities(combinations: Sequence[tuple[str, ...]]) -> np.ndarray:
    """The probability of each emotion in one draw of an annotator: (C, 29) that sum to 1, labels as in `LABELS`.

    Args:
        combinations: C tuples of the six factors' values: subject, setting, light, grade, event, tone.
    """
    logits = np.stack([_log_weights(factors) for factors in combinations])
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def union_probabilities(thought: np.ndarray, n_thoughts: Sequence[int] | None = None) -> np.ndarray:
    """The probability that at least one annotator names each emotion.

    Args:
        thought: (..., E) probability of each emotion in one draw.
        n_thoughts: number of draws of each annotator; None averages over `ANNOTATORS` and `THOUGHTS`.

    Returns:
        (..., E) probabilities; they do not sum to 1.

    >>> union_probabilities(np.array([0.5, 0.5]), [1, 2])
    array([0.875, 0.875])
    """
    absent = 1.0 - np.asarray(thought, dtype=np.float64)
    if n_thoughts is not None:
        return 1.0 - absent ** sum(n_thoughts)
    unnamed = sum(p * absent**m for m, p in THOUGHTS.items())
    return 1.0 - np.mean([unnamed**n for n in ANNOTATORS], axis=0)


def bayes_probabilities(scenes: Sequence[Scene], *, image: bool = True, caption: bool = True) -> np.ndarray:
    """The Bayes-optimal prediction from the image, the caption, both or neither.

    What is not seen is marginalised exactly over the target corpus's distribution. Without the image, the caption
    still gives the subject and, if it is named, the setting.

    Args:
        scenes: N scenes of the target corpus.
        image: whether the image is seen.
        caption: whether the caption is seen.

    Returns:
        (N, 29) float64: P(emotion is in the union over annotators | what is seen), labels as in `LABELS`.
    """
    if image and caption:
        return union_probabilities(thought_probabilities([(*scene.visible, scene.tone) for scene in scenes]))
    if image:
        return np.stack([_over_tones(scene.visible) for scene in scenes])
    if caption:
        return np.stack([_over_images(s.subject, s.setting if s.names_setting else None, s.tone) for s in scenes])
    return np.tile(prior_probabilities(), (len(scenes), 1))


def main_reason(scene: Scene, label: str) -> str:
    """A few words for the one factor of image or caption that adds most to an emotion."""
    column = LABELS.index(label)
    subject, setting, light, grade, event = scene.visible
    reasons = {
        subject: f"the {subject}",
        setting: f"the sight of the {setting}",
        light: LIGHT_REASONS[light],
        grade: f"the {grade} colouring",
        event: EVENT_REASONS.get(event, f"the sight of the {event}"),
        scene.tone: f"the {scene.tone} tone",
    }
    return reasons[max(reasons, key=lambda factor: float(_SINGLE[factor][column]))]


@lru_cache(maxsize=20_000)
def _over_tones(visible: tuple[str, ...]) -> np.ndarray:
    union = union_probabilities(thought_probabilities([(*visible, tone) for tone in TONES]))
    p = np.array(list(TONES.values()))
    return p @ union / p.sum()


@lru_cache(maxsize=20_000)
def _over_images(subject: str, setting: str | None, tone: str) -> np.ndarray:
    combinations, p = image_combinations(subject, setting)
    return p @ union_probabilities(thought_probabilities([(*visible, tone) for visible in combinations]))


@lru_cache(maxsize=1)
def prior_probabilities() -> np.ndarray:
    """(29,) exact expected share of the target corpus's pairs that have each emotion."""
    p_tone = np.array(list(TONES.values()))
    by_tone = [np.mean([_over_images(subject, None, tone) for subject in SUBJECTS], axis=0) for tone in TONES]
    return p_tone @ np.stack(by_tone) / p_tone.sum()
