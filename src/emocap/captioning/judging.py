"""Independent judges of generated captions, and the scores of several systems.

A judge is a classifier that reads only captions and is fitted to pairs that none of the study's models saw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.captioning.eval_set import EvalSet
from emocap.captioning.scores import alignment_hits, score_captions, summarise
from emocap.captioning.system_names import WITHOUT_EMOTION
from emocap.evaluation.baselines import PredictFunction, fit_baseline
from emocap.evaluation.ranking_metrics import mean_average_precision, recall_at_k, top_k_accuracy
from emocap.evaluation.sentence_vectors import sentence_vectors

JUDGES = ("tfidf", "vectors")


def fit_judge(
    name: str,
    captions: Sequence[str],
    targets: np.ndarray,
    test_captions: Sequence[str],
    test_targets: np.ndarray,
    *,
    vectors: str,
    seed: int,
) -> tuple[PredictFunction, dict[str, Any]]:
    """A judge fitted to N captions, and its quality on T others.

    Args:
        name: one of `JUDGES`.
        targets: (N, E); a random fifth of the rows selects the regularisation.
        test_targets: (T, E).
        vectors: the sentence vector model of the judge "vectors".
        seed: of the split and the learners.

    Returns:
        The judge, and a dictionary of its name, the numbers of pairs, and its metrics beside those of the prior.
    """
    order = np.random.default_rng([seed, 6]).permutation(len(captions))
    train, validation = np.sort(order[len(order) // 5 :]), np.sort(order[: len(order) // 5])
    judge = fit_baseline(
        name,
        [captions[row] for row in train],
        targets[train],
        [captions[row] for row in validation],
        targets[validation],
        embed=sentence_vectors(vectors) if name == "vectors" else None,
        seed=seed,
    )
    prior = np.tile(targets[train].mean(axis=0), (len(test_captions), 1))
    return judge, {
        "model": name,
        "n_train_pairs": len(train),
        "n_test_pairs": len(test_captions),
        "scores": _judge_metrics(judge(test_captions), test_targets),
        "prior": _judge_metrics(prior, test_targets),
    }


def _judge_metrics(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    k = min(3, targets.shape[1])
    return {
        "top1_accuracy": top_k_accuracy(probabilities, targets, 1),
        "top3_accuracy": top_k_accuracy(probabilities, targets, k),
        "recall_at_3": recall_at_k(probabilities, targets, k),
        "mean_average_precision": mean_average_precision(probabilities, targets),
    }


def score_systems(
    systems: Mapping[str, Sequence[str]], eval_set: EvalSet, judge: PredictFunction, labels: Sequence[str], seed: int
) -> dict[str, Any]:
    """All scores of every system, and paired differences from the captioner without an emotion.

    Args:
        systems: name to N captions.
        labels: E emotions.
        seed: of the bootstrap.
    """
    scores = {
        name: score_captions(captions, eval_set.references, eval_set.emotions, judge(captions), labels)
        for name, captions in systems.items()
    }
    summary, differences = summarise(scores, WITHOUT_EMOTION, seed=seed)
    return {"n_images": len(eval_set.images), "systems": summary, "differences": differences}


def score_with_judge(
    systems: Mapping[str, Sequence[str]], eval_set: EvalSet, judge: PredictFunction, seed: int
) -> dict[str, Any]:
    """The alignment of the same captions according to one more judge, and its differences."""
    hits = {
        name: {"alignment": alignment_hits(judge(captions), eval_set.emotions)} for name, captions in systems.items()
    }
    summary, differences = summarise(hits, WITHOUT_EMOTION, seed=seed)
    return {"systems": summary, "differences": differences}
