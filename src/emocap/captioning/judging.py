"""Independent judges of generated captions, and the scores of several systems.

A judge is a classifier that reads only captions and is fitted to pairs that none of the study's models saw. By its raw
probabilities the frequent emotions of its training pairs are highest for nearly every caption, whatever its words. By
lift, its logit compared with that of people's captions of other images, an emotion is high where a caption evokes it
more than captions usually do. Then only the order of captions counts, and the fit that orders them best is a more
regularised one than the fit of the best probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emocap.captioning.eval_set import EvalSet
from emocap.captioning.metrics import bleu, cider_d, rouge_l
from emocap.captioning.nouns import Tagger, noun_scores
from emocap.captioning.scores import alignment_hits, score_captions, summarise
from emocap.captioning.system_names import HUMAN, WITHOUT_EMOTION
from emocap.evaluation.baselines import PredictFunction, fit_baseline, fit_each
from emocap.evaluation.ranking_metrics import mean_average_precision, recall_at_k, top_k_accuracy
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.pseudo_labels.lift import LiftScale, lift

JUDGES = ("tfidf", "vectors")
N_FOLDS = 5


@dataclass(frozen=True)
class Judge:
    """A judge with the scale of its lift.

    Attributes:
        probabilities: of n captions, (n, E).
        by_lift: the probabilities (n, E) whose lift counts.
        scale: of the logits of `by_lift` over people's captions of other images.
    """

    probabilities: PredictFunction
    by_lift: PredictFunction
    scale: LiftScale

    @classmethod
    def of(cls, probabilities: PredictFunction, by_lift: PredictFunction, captions: Sequence[str]) -> "Judge":
        """With the scale of these human captions, at least one."""
        return cls(probabilities, by_lift, LiftScale.of(by_lift(captions)))

    def over(self, captions: Sequence[str]) -> "Judge":
        """The same judge with the scale of other human captions, at least one."""
        return Judge.of(self.probabilities, self.by_lift, captions)

    def lift(self, captions: Sequence[str]) -> np.ndarray:
        """(n, E) of n captions."""
        return lift(self.by_lift(captions), self.scale)


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


def fit_lift_judge(
    name: str, captions: Sequence[str], targets: np.ndarray, *, vectors: str, seed: int
) -> PredictFunction:
    """The fit to N captions that orders captions best: of the highest mean average precision in cross-validation.

    Args:
        name: one of `JUDGES`.
        targets: (N, E).
        vectors: the sentence vector model of the judge "vectors".
        seed: of the folds and the learners.
    """
    embed = sentence_vectors(vectors) if name == "vectors" else None
    n_folds = min(N_FOLDS, len(captions))
    fold_of = np.random.default_rng([seed, 14]).permutation(len(captions)) % n_folds
    scores = []
    for fold in range(n_folds if n_folds > 1 else 0):
        train, test = (
            [captions[row] for row in np.flatnonzero(part).tolist()] for part in (fold_of != fold, fold_of == fold)
        )
        fits = fit_each(name, train, targets[fold_of != fold], embed=embed, seed=seed)
        scores.append([np.nan_to_num(mean_average_precision(fit(test), targets[fold_of == fold])) for fit in fits])
    best = int(np.mean(scores, axis=0).argmax()) if scores else 0
    return fit_each(name, captions, targets, embed=embed, seed=seed)[best]


def _judge_metrics(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    k = min(3, targets.shape[1])
    return {
        "top1_accuracy": top_k_accuracy(probabilities, targets, 1),
        "top3_accuracy": top_k_accuracy(probabilities, targets, k),
        "recall_at_3": recall_at_k(probabilities, targets, k),
        "mean_average_precision": mean_average_precision(probabilities, targets),
    }


def score_systems(
    systems: Mapping[str, Sequence[str]],
    eval_set: EvalSet,
    judge: Judge,
    labels: Sequence[str],
    tagger: Tagger | None,
    seed: int,
) -> dict[str, Any]:
    """All scores of every system, and paired differences from the captioner without an emotion.

    Args:
        systems: name to N captions.
        labels: E emotions.
        tagger: of nouns; None leaves noun faithfulness out.
        seed: of the bootstrap.
    """
    scores = {}
    for name, captions in systems.items():
        probabilities = judge.probabilities(captions)
        scores[name] = {
            **score_captions(captions, eval_set.references, eval_set.emotions, probabilities, labels),
            "lift_alignment": alignment_hits(judge.lift(captions), eval_set.emotions),
            **content_scores(captions, eval_set, tagger, is_human=name == HUMAN),
        }
    summary, differences = summarise(scores, WITHOUT_EMOTION, seed=seed)
    return {"n_images": len(eval_set.images), "systems": summary, "differences": differences}


def content_scores(
    captions: Sequence[str], eval_set: EvalSet, tagger: Tagger | None, *, is_human: bool = False
) -> dict[str, Any]:
    """Noun faithfulness, as by `noun_scores`, and scores against all of an image's factual captions.

    Args:
        captions: N captions.
        is_human: whether they are among the factual captions themselves, so that they are compared with the others
            alone.
    """
    references = eval_set.references if is_human else eval_set.all_references
    scores: dict[str, Any] = dict(noun_scores(captions, references, tagger))
    if not is_human:
        scores["all_references"] = {
            "cider_d": float(cider_d(captions, references).mean()),
            "bleu_4": float(bleu(captions, references)[3]),
            "rouge_l": float(rouge_l(captions, references).mean()),
        }
    return scores


def score_with_judge(
    systems: Mapping[str, Sequence[str]], eval_set: EvalSet, judge: Judge, seed: int
) -> dict[str, Any]:
    """The alignment of the same captions according to one more judge, and its differences."""
    hits = {}
    for name, captions in systems.items():
        probabilities = judge.probabilities(captions)
        hits[name] = {
            "alignment": alignment_hits(probabilities, eval_set.emotions),
            "lift_alignment": alignment_hits(judge.lift(captions), eval_set.emotions),
        }
    summary, differences = summarise(hits, WITHOUT_EMOTION, seed=seed)
    return {"systems": summary, "differences": differences}
