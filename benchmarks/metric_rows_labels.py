"""Rows of docs/METRICS.md about rankings, probabilities and decisions."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from metric_row import Cell, Row, each, sk, te, tensor, tm, trec

from emocap.evaluation import probability_metrics as probability
from emocap.evaluation import ranking_metrics as ranked
from emocap.evaluation.metrics import METRICS

SCORES, RARE = np.array([[0.9, 0.4], [0.8, 0.2], [0.1, 0.3]]), np.array([[1, 0], [0, 0], [0, 0]])
PAIRS, ONE_EMPTY = np.array([[0.9, 0.4, 0.1], [0.8, 0.2, 0.3]]), np.array([[0, 1, 0], [0, 0, 0]])
EQUAL, FIRST_TO_LAST = np.full((1, 3), 0.5), np.eye(3, dtype=int)[:, None]
COLUMN = np.full(3, 0.5)
OUTPUTS, BOTH = np.array([[0.9, 0.8], [0.2, 0.6]]), np.array([[1, 1], [0, 1]])
LOGITS, LOGITS_TRUE = np.array([0.4, 0.9, 0.3, -3.0]), np.array([1, 1, 0, 0])
HIGH = np.linspace(8, 12, 5)
MASKED = np.array([[1, 0, -1, -1]])
WRONG = np.array([[0.1, 0.9, 0.4, 0.3]])


def retrieval(name: str, **options: Any) -> Cell:
    """A class of torchmetrics' retrieval metrics on `PAIRS`."""
    queries = np.repeat(np.arange(2), 3)
    return lambda: getattr(import_module("torchmetrics.retrieval"), name)(**options)(
        tensor(PAIRS.ravel()), tensor(ONE_EMPTY.ravel()), indexes=tensor(queries)
    )


NOTHING = np.zeros((2, 2), dtype=int)
TWO = "[.9 .4 .1] with the second emotion, [.8 .2 .3] with none"

ABSENT = (
    Row(
        "AUROC of an emotion that no pair has",
        lambda: ranked.average_precisions(SCORES, RARE)[1],
        {
            "scikit-learn": lambda: sk("roc_auc_score", RARE, SCORES, average=None)()[1],
            "torchmetrics": lambda: tm("multilabel_auroc", SCORES, RARE, num_labels=2, average=None)()[1],
            "torcheval": lambda: te("binary_auroc", SCORES.T, RARE.T, num_tasks=2)()[1],
        },
        "undefined, so null; emocap reports average precision instead of AUROC",
    ),
    Row(
        "mAP of two emotions, one ranked perfectly, one that no pair has",
        lambda: ranked.mean_average_precision(SCORES, RARE),
        {
            "scikit-learn": sk("average_precision_score", RARE, SCORES, average="macro"),
            "torchmetrics": tm("multilabel_average_precision", SCORES, RARE, num_labels=2),
            "torcheval": te("multilabel_auprc", SCORES, RARE, num_labels=2),
        },
        "an emotion that does not occur says nothing about a model, so it is left out of the mean",
    ),
    Row(
        "macro F1 of two emotions, one perfect, one neither true nor predicted",
        lambda: probability.macro_f1(RARE, RARE),
        {
            "scikit-learn": sk("f1_score", RARE, RARE, average="macro", zero_division=0),
            "torchmetrics, multilabel": tm("multilabel_f1_score", RARE, RARE, num_labels=2),
            "torchmetrics, multiclass": tm("multiclass_f1_score", [0, 0], [0, 0], num_classes=2, average="macro"),
            "torcheval, multiclass": te("multiclass_f1_score", [0, 0], [0, 0], num_classes=2, average="macro"),
        },
        "scikit-learn's default; leaving it out would reward a model for predicting nothing",
    ),
    Row(
        "micro F1 where nothing is true or predicted",
        lambda: probability.micro_f1(NOTHING, NOTHING),
        {
            "scikit-learn": sk("f1_score", NOTHING, NOTHING, average="micro", zero_division=0),
            "torchmetrics": tm("multilabel_f1_score", NOTHING, NOTHING, num_labels=2, average="micro"),
        },
        "scikit-learn's default; a study or `evaluate` of such pairs is refused",
    ),
    Row(
        f"LRAP of two pairs: {TWO}",
        lambda: ranked.label_ranking_average_precision(PAIRS, ONE_EMPTY),
        {
            "scikit-learn": sk("label_ranking_average_precision_score", ONE_EMPTY, PAIRS),
            "torchmetrics": tm("multilabel_ranking_average_precision", PAIRS, ONE_EMPTY, num_labels=3),
        },
        "averaged over pairs with an emotion; scikit-learn counts the others as 1, which flatters every model",
    ),
    Row(
        "coverage error of the same",
        lambda: ranked.coverage_error(PAIRS, ONE_EMPTY),
        {
            "scikit-learn": sk("coverage_error", ONE_EMPTY, PAIRS),
            "torchmetrics": tm("multilabel_coverage_error", PAIRS, ONE_EMPTY, num_labels=3),
        },
        "as for LRAP; scikit-learn counts 0, below the best rank",
    ),
    Row(
        "nDCG of the same",
        lambda: ranked.ndcg_at_k(PAIRS, ONE_EMPTY, k=3),
        {
            "scikit-learn": sk("ndcg_score", ONE_EMPTY, PAIRS),
            "torchmetrics": retrieval("RetrievalNormalizedDCG"),
            "torchmetrics, `skip`": retrieval("RetrievalNormalizedDCG", empty_target_action="skip"),
        },
        "as for LRAP; scikit-learn counts 0, so that no model reaches 1",
    ),
    Row(
        "recall@2 of the same",
        lambda: ranked.recall_at_k(PAIRS, ONE_EMPTY, k=2),
        {
            "torchmetrics": retrieval("RetrievalRecall", top_k=2),
            "pytrec_eval": lambda: np.mean(
                [trec("recall_2", p, [t])()[0] for p, t in zip(PAIRS.tolist(), ONE_EMPTY, strict=True)]
            ),
        },
        "as for LRAP: 0 of 0",
    ),
)

CLOSE, SECOND = np.array([[0.5, 0.5 + 1e-9]]), np.array([[0, 1]])


def ours(function: Callable[..., float], *k: int) -> Cell:
    """A metric of emocap for each of the three emotions being true."""
    return lambda: [function(EQUAL, truth, *k) for truth in FIRST_TO_LAST]


BY_NAME = {
    "pytrec_eval": lambda measure: trec(measure, COLUMN.tolist(), FIRST_TO_LAST[:, 0]),
    "pytrec_eval, names reversed": lambda measure: trec(
        measure, COLUMN.tolist(), FIRST_TO_LAST[:, 0], ("sad", "joy", "awe")
    ),
}
CLASSES = [[0], [1], [2]]

TIES = (
    Row(
        "top-1 accuracy of three equal scores",
        ours(ranked.top_k_accuracy, 1),
        {
            "scikit-learn": each(sk, "top_k_accuracy_score", CLASSES, EQUAL, first=True, k=1, labels=[0, 1, 2]),
            "torchmetrics": each(tm, "multiclass_accuracy", CLASSES, EQUAL, num_classes=3, average="micro"),
            "torcheval `hit_rate`": each(te, "hit_rate", CLASSES, EQUAL, k=1),
        }
        | {name: function("P_1") for name, function in BY_NAME.items()},
        "vocabulary order, as in everything that emocap shows; a rule that counts all three would reward constants",
    ),
    Row(
        "nDCG of three equal scores",
        ours(ranked.ndcg_at_k, 3),
        {
            "scikit-learn": each(sk, "ndcg_score", FIRST_TO_LAST, EQUAL, first=True),
            "torchmetrics": each(tm, "retrieval_normalized_dcg", np.eye(3, dtype=int), COLUMN, module="retrieval"),
            "pytrec_eval": BY_NAME["pytrec_eval"]("ndcg"),
        },
        "vocabulary order, as for top-k; scikit-learn and torchmetrics average over all orders",
    ),
    Row(
        "LRAP of three equal scores",
        ours(ranked.label_ranking_average_precision),
        {
            "scikit-learn": each(sk, "label_ranking_average_precision_score", FIRST_TO_LAST, EQUAL, first=True),
            "torchmetrics": each(tm, "multilabel_ranking_average_precision", FIRST_TO_LAST, EQUAL, num_labels=3),
        },
        "Tsoumakas et al.: tied emotions all have the lowest of their ranks",
    ),
    Row(
        "coverage error of three equal scores",
        ours(ranked.coverage_error),
        {
            "scikit-learn": each(sk, "coverage_error", FIRST_TO_LAST, EQUAL, first=True),
            "torchmetrics": each(tm, "multilabel_coverage_error", FIRST_TO_LAST, EQUAL, num_labels=3),
            "torchmetrics ranking loss": each(tm, "multilabel_ranking_loss", FIRST_TO_LAST, EQUAL, num_labels=3),
            "scikit-learn ranking loss": each(sk, "label_ranking_loss", FIRST_TO_LAST, EQUAL, first=True),
        },
        "as for LRAP; emocap has no ranking loss, in which torchmetrics breaks ties by label order",
    ),
    Row(
        "average precision over three pairs of equal score",
        lambda: [ranked.average_precisions(COLUMN[:, None], t[:, None])[0] for t in np.eye(3)],
        {
            "scikit-learn": each(sk, "average_precision_score", np.eye(3, dtype=int), COLUMN, first=True),
            "torchmetrics": each(tm, "binary_average_precision", np.eye(3, dtype=int), COLUMN),
            "torchmetrics, retrieval": each(
                tm, "retrieval_average_precision", np.eye(3, dtype=int), COLUMN, module="retrieval"
            ),
            "torcheval": each(te, "binary_auprc", np.eye(3, dtype=int), COLUMN),
            "pytrec_eval": BY_NAME["pytrec_eval"]("map"),
        },
        "scikit-learn's: pairs of equal score share a threshold, so that the order of rows changes nothing",
    ),
    Row(
        "top-1 accuracy of scores 0.5 and 0.5 + 1e-9, the higher one true",
        lambda: ranked.top_k_accuracy(CLOSE, SECOND, 1),
        {
            "scikit-learn nDCG@1": sk("ndcg_score", SECOND, CLOSE, k=1),
            "torchmetrics, float32": tm("multiclass_accuracy", np.float32(CLOSE), [1], num_classes=2, average="micro"),
            "pytrec_eval": trec("P_1", CLOSE[0].tolist(), SECOND, ("sad", "awe")),
        },
        "compared in float64; a study stores float32, where these are a tie, by vocabulary order",
    ),
)

HALF, ONES = np.array([[0.5]]), np.ones((2, 2))
CERTAIN, EDGE = np.array([[1.0, 0.95]]), np.array([[0.5, 0.3]])


def in_batches(*batches: slice) -> Cell:
    """Average precision of torchmetrics, updated once for each batch."""

    def value() -> Any:
        metric = import_module("torchmetrics.classification").BinaryAveragePrecision()
        for batch in batches:
            metric.update(tensor(LOGITS[batch]), tensor(LOGITS_TRUE[batch]))
        return metric.compute()

    return value


def scikit_learn_bins() -> float:
    """ECE of the one bin that scikit-learn returns for `EDGE`."""
    calibration_curve = import_module("sklearn.calibration").calibration_curve
    frequency, confidence = calibration_curve([1, 0], EDGE[0], n_bins=2)
    return float(np.abs(frequency - confidence).sum())


PROBABILITIES = (
    Row(
        "F1 of a true emotion with probability 0.5 at threshold 0.5",
        lambda: probability.micro_f1(HALF, HALF > 0),
        {
            "torchmetrics": tm("binary_f1_score", [0.5], [1]),
            "torcheval": te("binary_f1_score", [0.5], [1]),
        },
        "a threshold that is reached is a yes, as our thresholds are fitted",
    ),
    Row(
        "average precision of the logits .4 and .9 (true), .3 and -3 (false)",
        lambda: ranked.average_precisions(LOGITS[:, None], LOGITS_TRUE[:, None])[0],
        {
            "torchmetrics, one batch": in_batches(slice(0, 4)),
            "torchmetrics, two batches": in_batches(slice(0, 2), slice(2, 4)),
            "scikit-learn": sk("average_precision_score", LOGITS_TRUE, LOGITS),
        },
        "no metric applies a sigmoid, those of probabilities refuse logits; torchmetrics decides batch by batch",
    ),
    Row(
        "average precision of the float16 logits 8, 9 (false), 10, 11, 12 (true)",
        lambda: ranked.average_precisions(np.float16(HIGH)[:, None], (HIGH > 9)[:, None])[0],
        {
            "torchmetrics": tm("binary_average_precision", np.float16(HIGH), (HIGH > 9).astype(int)),
            "torchmetrics, float32": tm("binary_average_precision", np.float32(HIGH), (HIGH > 9).astype(int)),
            "scikit-learn": sk("average_precision_score", HIGH > 9, np.float16(HIGH)),
            "torcheval": te("binary_auprc", np.float16(HIGH), (HIGH > 9).astype(int)),
        },
        "no function applies a sigmoid; models compute theirs in float32 or float64, where 17 and more is 1",
    ),
    Row(
        "cross-entropy of [.9 .8] (both true) and [.2 .6] (the second true)",
        lambda: probability.bce(OUTPUTS, BOTH),
        {
            "scikit-learn `log_loss`": sk("log_loss", BOTH, OUTPUTS),
            "PyTorch BCE": lambda: import_module("torch.nn.functional").binary_cross_entropy(
                tensor(OUTPUTS), tensor(BOTH.astype(float))
            ),
        },
        "the mean over cells, as PyTorch; `log_loss` sums over the true emotions only",
    ),
    Row(
        "cross-entropy of probability 1 for all emotions, one of four false",
        lambda: probability.bce(ONES, BOTH),
        {"scikit-learn `log_loss`": sk("log_loss", BOTH, ONES)},
        "a false positive costs, up to 16.1 nats at the clipping of 1e-7",
    ),
    Row(
        "ECE, 10 bins, of probability 1 (false) and .95 (true)",
        lambda: probability.expected_calibration_error(CERTAIN, np.array([[0, 1]]), bins=10),
        {"torchmetrics": tm("binary_calibration_error", CERTAIN[0], [0, 1], n_bins=10)},
        "1 is in the last bin, as in Guo et al.; in torchmetrics it has one of its own (its issue 3510)",
    ),
    Row(
        "ECE, 2 bins, of probability .5 (true) and .3 (false)",
        lambda: probability.expected_calibration_error(EDGE, np.array([[1, 0]]), bins=2),
        {
            "torchmetrics": tm("binary_calibration_error", EDGE[0], [1, 0], n_bins=2),
            "scikit-learn `calibration_curve`": scikit_learn_bins,
        },
        "bins contain their lower edge; Guo et al. and scikit-learn have the upper one in them",
    ),
    Row(
        "coverage error of [.1 .9], the first true, and two cells marked to be ignored",
        lambda: ranked.coverage_error(WRONG, MASKED),
        {
            "torchmetrics": tm("multilabel_coverage_error", WRONG, MASKED, num_labels=4, ignore_index=-1),
            "torchmetrics, columns removed": tm("multilabel_coverage_error", WRONG[:, :2], MASKED[:, :2], num_labels=2),
        },
        "refused: no value of a target marks a cell as unknown",
    ),
    Row(
        "precision@3 with two emotions, both true",
        lambda: METRICS["precision_at_3"](OUTPUTS[:1], BOTH[:1]),
        {
            "torchmetrics": tm("retrieval_precision", OUTPUTS[0], [1, 1], module="retrieval", top_k=3),
            "torcheval": te("retrieval_precision", OUTPUTS[0], [1, 1], k=3),
            "pytrec_eval": trec("P_3", OUTPUTS[0].tolist(), BOTH[:1], ("awe", "joy")),
        },
        "k is at most the number of emotions",
    ),
)
