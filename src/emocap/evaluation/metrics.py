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
        least_labels: with fewer emotions it is the same for every model, and is left out.
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
    least_labels: int = 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest possible value; errors and losses are never negative."""
        return (-np.inf if self.higher_is_better and not self.bounded else 0.0, 1.0 if self.bounded else np.inf)

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


def _at_k(
    k: int,
    name: str,
    display_name: str,
    short_name: str,
    statistic: Callable[[ScoredPredictions, int], Statistic],
    *,
    least_labels: int | None = None,
    in_summary: bool = False,
    in_figure: bool = False,
) -> Metric:
    """A metric of the k best-scored emotions, or of all where there are fewer, as then for each model alike."""
    return Metric(
        name,
        display_name,
        short_name,
        lambda scored: statistic(scored, min(k, scored.truth.shape[1])),
        in_summary=in_summary,
        in_figure=in_figure,
        least_labels=k + 1 if least_labels is None else least_labels,
    )


_METRICS = (
    _at_k(1, "top1_accuracy", "Top-1 accuracy", "top-1", ranked.top_k_statistic, in_summary=True, in_figure=True),
    _at_k(2, "top2_accuracy", "Top-2 accuracy", "top-2", ranked.top_k_statistic, in_figure=True),
    _at_k(3, "top3_accuracy", "Top-3 accuracy", "top-3", ranked.top_k_statistic, in_summary=True, in_figure=True),
    _at_k(5, "top5_accuracy", "Top-5 accuracy", "top-5", ranked.top_k_statistic),
    _at_k(3, "recall_at_3", "Recall@3", "recall@3", ranked.recall_statistic, in_summary=True, in_figure=True),
    _at_k(5, "recall_at_5", "Recall@5", "recall@5", ranked.recall_statistic),
    _at_k(3, "pooled_recall_at_3", "Pooled recall@3", "pooled recall@3", ranked.pooled_recall_statistic),
    _at_k(3, "precision_at_3", "Precision@3", "precision@3", ranked.precision_statistic, in_figure=True),
    Metric(
        "mean_average_precision",
        "Mean average precision",
        "mAP",
        ranked.average_precision_statistic,
        in_summary=True,
        in_figure=True,
    ),
    Metric("roc_auc", "Area under the ROC curve", "AUC", ranked.roc_statistic),
    Metric(
        "label_ranking_average_precision",
        "Label ranking average precision",
        "LRAP",
        ranked.label_ranking_statistic,
        least_labels=2,
    ),
    _at_k(5, "ndcg_at_5", "nDCG@5", "nDCG@5", ranked.ndcg_statistic, least_labels=2),
    Metric(
        "coverage_error",
        "Coverage error",
        "coverage",
        ranked.coverage_statistic,
        higher_is_better=False,
        bounded=False,
        least_labels=2,
    ),
    Metric("micro_f1", "Micro F1", "micro F1", probability.micro_f1_statistic, "decisions", in_summary=True),
    Metric(
        "micro_f1_per_label",
        "Micro F1, a threshold per emotion",
        "micro F1, per emotion",
        probability.micro_f1_per_label_statistic,
        "decisions",
    ),
    Metric("macro_f1", "Macro F1", "macro F1", probability.macro_f1_statistic, "decisions"),
    Metric(
        "micro_f1_at_half", "Micro F1 at 0.5", "micro F1 at 0.5", probability.micro_f1_at_half_statistic, "decisions"
    ),
    Metric(
        "macro_f1_at_half", "Macro F1 at 0.5", "macro F1 at 0.5", probability.macro_f1_at_half_statistic, "decisions"
    ),
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
    Metric("brier", "Brier score", "Brier", probability.brier_statistic, "probabilities", higher_is_better=False),
    Metric(
        "top_ece",
        "Calibration error of the likeliest emotion",
        "top ECE",
        probability.top_calibration_error_statistic,
        "probabilities",
        higher_is_better=False,
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
    Metric(
        "adaptive_calibration_error",
        "Adaptive calibration error",
        "adaptive ECE",
        probability.adaptive_error_statistic,
        "probabilities",
        higher_is_better=False,
    ),
)
PRIMARY = "mean_average_precision"  # decides which model is best, and every claim of the report
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}


def varying_metrics(n_labels: int) -> list[str]:
    """The names of the metrics that can differ between models of so many emotions.

    >>> sorted(set(varying_metrics(4)) - set(varying_metrics(3)))
    ['pooled_recall_at_3', 'precision_at_3', 'recall_at_3', 'top3_accuracy']
    """
    return [name for name, metric in METRICS.items() if metric.least_labels <= n_labels]


def evaluate(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    *,
    threshold: float | np.ndarray = 0.5,
    thresholds: float | np.ndarray = 0.5,
) -> dict[str, Any]:
    """Every metric that can vary and `per_emotion_average_precision` by label, None where undefined, and counts.

    The counts are `n_pairs` and `n_ranked`, the pairs with an emotion, over which metrics of single pairs' rankings are
    averaged; all other metrics count every pair.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        labels: E emotions.
        threshold: () or (N,), for `micro_f1`.
        thresholds: (), (E,) or (N, E), for `macro_f1` and `micro_f1_per_label`.

    Raises:
        ValueError: shapes differ, or a number is not within 0 to 1.
        EmocapError: no row has a 1.
    """
    scored = ScoredPredictions(probabilities, targets, threshold, thresholds)
    values = {name: plain_value(METRICS[name].statistic(scored), len(targets)) for name in varying_metrics(len(labels))}
    scores: dict[str, Any] = {name: None if np.isnan(value) else value for name, value in values.items()}
    scores["per_emotion_average_precision"] = dict(
        zip(labels, ranked.average_precisions(probabilities, targets), strict=True)
    )
    return scores | {"n_pairs": len(targets), "n_ranked": scored.n_ranked}
