"""The table of multi-label metrics, and their values for held-out pairs.

To add a metric, write its statistic in `ranking_metrics` or `probability_metrics` and add an entry here; the study, its
bootstrap, the report and the tables derive everything else from the entry. This module never imports torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emocap.evaluation import probability_metrics as probability
from emocap.evaluation import ranking_metrics as ranked
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import Statistic, plain_value


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its key in `results.json`.
        display_name: its name in text and in figures.
        short_name: its name in the header of a table.
        statistic: the metric of scored predictions, as a function of the pairs' weights.
        input: what it reads of a model's output: the order of the emotions ("ranking"), their probabilities, or the
            emotions whose probability reaches a threshold ("decisions").
        higher_is_better: False for errors and losses.
        bounded: whether the value is always within 0 and 1.
        in_summary: whether the report's short tables have a column for it.
        in_figure: whether the figure that compares the transferred models has a row for it.
    """

    name: str
    display_name: str
    short_name: str
    statistic: Callable[[ScoredPredictions], Statistic]
    input: Literal["ranking", "probabilities", "decisions"] = "ranking"
    higher_is_better: bool = True
    bounded: bool = True
    in_summary: bool = False
    in_figure: bool = False

    def __call__(
        self,
        probabilities: np.ndarray,
        targets: np.ndarray,
        *,
        threshold: float | np.ndarray = 0.5,
        thresholds: float | np.ndarray = 0.5,
    ) -> float:
        """The value over pairs of equal weight; arguments as `evaluate`."""
        scored = ScoredPredictions(probabilities, targets, threshold, thresholds)
        return plain_value(self.statistic(scored), len(targets))


def _at_k(k: int, statistic: Callable[[ScoredPredictions, int], Statistic]) -> Callable[[ScoredPredictions], Statistic]:
    """A statistic of the k best-scored emotions, or of all where there are fewer."""
    return lambda scored: statistic(scored, min(k, scored.truth.shape[1]))


_METRICS = (
    Metric(
        "top1_accuracy", "Top-1 accuracy", "top-1", _at_k(1, ranked.top_k_statistic), in_summary=True, in_figure=True
    ),
    Metric("top2_accuracy", "Top-2 accuracy", "top-2", _at_k(2, ranked.top_k_statistic), in_figure=True),
    Metric(
        "top3_accuracy", "Top-3 accuracy", "top-3", _at_k(3, ranked.top_k_statistic), in_summary=True, in_figure=True
    ),
    Metric("top5_accuracy", "Top-5 accuracy", "top-5", _at_k(5, ranked.top_k_statistic)),
    Metric("recall_at_3", "Recall@3", "recall@3", _at_k(3, ranked.recall_statistic), in_summary=True, in_figure=True),
    Metric("recall_at_5", "Recall@5", "recall@5", _at_k(5, ranked.recall_statistic)),
    Metric("pooled_recall_at_3", "Pooled recall@3", "pooled recall@3", _at_k(3, ranked.pooled_recall_statistic)),
    Metric("precision_at_3", "Precision@3", "precision@3", _at_k(3, ranked.precision_statistic), in_figure=True),
    Metric(
        "mean_average_precision",
        "Mean average precision",
        "mAP",
        ranked.average_precision_statistic,
        in_summary=True,
        in_figure=True,
    ),
    Metric(
        "label_ranking_average_precision", "Label ranking average precision", "LRAP", ranked.label_ranking_statistic
    ),
    Metric("ndcg_at_5", "nDCG@5", "nDCG@5", _at_k(5, ranked.ndcg_statistic)),
    Metric(
        "coverage_error", "Coverage error", "coverage", ranked.coverage_statistic, higher_is_better=False, bounded=False
    ),
    Metric("micro_f1", "Micro F1", "micro F1", probability.micro_f1_statistic, "decisions", in_summary=True),
    Metric("macro_f1", "Macro F1", "macro F1", probability.macro_f1_statistic, "decisions"),
    Metric("hamming_loss", "Hamming loss", "Hamming", probability.hamming_statistic, "decisions", False),
    Metric(
        "bce",
        "Binary cross-entropy",
        "BCE",
        probability.bce_statistic,
        "probabilities",
        False,
        bounded=False,
        in_figure=True,
    ),
    Metric(
        "expected_calibration_error",
        "Expected calibration error",
        "ECE",
        probability.calibration_error_statistic,
        "probabilities",
        higher_is_better=False,
        in_summary=True,
    ),
)
PRIMARY = "mean_average_precision"  # decides which model is best, and every claim of the report
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def evaluate(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    *,
    threshold: float | np.ndarray = 0.5,
    thresholds: float | np.ndarray = 0.5,
) -> dict[str, Any]:
    """Every metric of `METRICS`, `per_emotion_average_precision` by label (None where it does not occur), and counts.

    The counts are `n_pairs` and `n_ranked`, the pairs with an emotion, over which metrics of single pairs' rankings are
    averaged; all other metrics count every pair.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        labels: E emotions.
        threshold: () or (N,), for `micro_f1`.
        thresholds: (), (E,) or (N, E), for `macro_f1`.

    Raises:
        ValueError: shapes differ, or a number is not within 0 to 1.
        EmocapError: no row has a 1.
    """
    scored = ScoredPredictions(probabilities, targets, threshold, thresholds)
    scores: dict[str, Any] = {
        name: plain_value(metric.statistic(scored), len(scored.truth)) for name, metric in METRICS.items()
    }
    scores["per_emotion_average_precision"] = dict(
        zip(labels, ranked.average_precisions(probabilities, targets), strict=True)
    )
    return scores | {"n_pairs": len(targets), "n_ranked": scored.n_ranked}
