"""Whether a reader could perceive the emotions that captions were asked for, with the controls of the comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import Judge
from emocap.captioning.key_words import KeyWordRule
from emocap.captioning.perception import (
    Scorer,
    independent_difference,
    mean_with_power,
    moved,
    perceived,
    summarise_perceived,
)
from emocap.captioning.scores import judge_top_k
from emocap.captioning.system_names import BLANKED, OTHER_EMOTION, RERANKED, WITHOUT_EMOTION


def emotion_perception(
    systems: Mapping[str, Sequence[str]],
    eval_set: EvalSet,
    judge: Judge,
    rule: KeyWordRule,
    labels: Sequence[str],
    others: Sequence[str],
    labelled: tuple[Sequence[str], np.ndarray],
    seed: int,
) -> dict[str, Any]:
    """Every system's captions by the judge's lift, beside the rule of key words, and what the controls show.

    Args:
        systems: name to N captions; "another emotion" and "image blanked" are compared with "guided and re-ranked".
        rule: mined from the judge's training captions.
        labels: E emotions.
        others: human captions of other images, over which the lift of the rule is, as that of the judge.
        labelled: M captions that people wrote and others labelled, unknown to the judge, and (M, E) their emotions.
            Their alignment is the ceiling; since they may be of another kind than captions of the judged images,
            their lift is over themselves. A caption's other emotions do not compete with the one that is looked for,
            since no judge can have more than k of them among the k highest.
        seed: of the bootstrap.

    Returns:
        As docs/RUN_DIR.md documents the key "perception".
    """
    k = judge_top_k(len(labels))
    key_words = rule.lift_over(others)
    values = {
        name: perceived(captions, eval_set.emotions, judge.lift, key_words, k)
        for name, captions in systems.items()
        if name != OTHER_EMOTION
    }
    human, groups = _labelled(*labelled, judge, rule, k)
    plain = values[WITHOUT_EMOTION]["judge"]
    result: dict[str, Any] = {
        "k": k,
        "chance": k / len(labels),
        "key_words": dict(zip(labels, rule.words, strict=True)),
        "systems": {name: summarise_perceived(own, seed) for name, own in values.items()},
        "gains": {
            name: mean_with_power(own["judge"] - plain, seed).as_difference()
            for name, own in values.items()
            if name != WITHOUT_EMOTION
        },
        "labelled": {"n_captions": len(set(groups)), **summarise_perceived(human, seed, groups)},
        "above_labelled": independent_difference(
            values[RERANKED]["judge"], human["judge"], seed, eval_set.images, groups
        ),
    }
    if OTHER_EMOTION in systems and eval_set.other_emotions is not None:
        pairs = moved(
            systems[RERANKED], systems[OTHER_EMOTION], eval_set.emotions, eval_set.other_emotions, judge.lift, key_words
        )
        result["paired"] = summarise_perceived(pairs, seed)
    if BLANKED in systems:
        changed = [one != other for one, other in zip(systems[RERANKED], systems[BLANKED], strict=True)]
        mean = mean_with_power(np.array(changed, dtype=np.float64), seed, lowest=0.0, highest=1.0)
        result["changed_by_blanking"] = {"mean": mean.value, "low": mean.low, "high": mean.high}
    return result


def _labelled(
    captions: Sequence[str], targets: np.ndarray, judge: Judge, rule: KeyWordRule, k: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What is perceived of labelled captions, one value per caption and emotion, and the caption of each value."""
    is_labelled = np.asarray(targets) > 0
    rows, emotions = (index.tolist() for index in np.nonzero(is_labelled))
    others_of = is_labelled[rows]
    others_of[np.arange(len(rows)), emotions] = False
    values = perceived(
        [captions[row] for row in rows],
        emotions,
        _without(others_of, judge.over(captions).lift),
        _without(others_of, rule.lift_over(captions)),
        k,
    )
    return values, [str(row) for row in rows]


def _without(left_out: np.ndarray, scorer: Scorer) -> Scorer:
    """A scorer of M captions for which the emotions in `left_out` (M, E) are lowest."""
    return lambda captions: np.where(left_out, -np.inf, scorer(captions))
