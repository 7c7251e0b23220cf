"""Metrics of probabilities and of decisions: each as a statistic over weighted pairs, and as a plain function.

All count every pair, also one without any emotion.
"""

import numpy as np

from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import (
    BINS,
    BinGaps,
    PairMean,
    Share,
    Statistic,
    bins_of,
    equal_count_bins,
    plain_value,
)


def _checked(scored: ScoredPredictions) -> np.ndarray:
    """(N, E) probabilities; a ValueError for numbers outside 0 to 1, such as logits."""
    if not ((scored.probabilities >= 0) & (scored.probabilities <= 1)).all():
        raise ValueError("probabilities must be within 0 to 1; apply the sigmoid to logits first")
    return scored.probabilities


def _f1_parts(scored: ScoredPredictions, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, E) twice: twice the true positives, and that plus false positives and negatives."""
    predicted = scored.probabilities >= thresholds
    return 2.0 * (predicted & scored.truth), predicted.astype(float) + scored.truth


def micro_f1_statistic(scored: ScoredPredictions) -> Statistic:
    """`micro_f1` as a function of weights over the pairs."""
    numerator, denominator = _f1_parts(scored, scored.threshold)
    return Share(numerator.sum(axis=1), denominator.sum(axis=1), empty=0.0)


def micro_f1(probabilities: np.ndarray, targets: np.ndarray, threshold: float | np.ndarray = 0.5) -> float:
    """F1 over all pair-emotion cells, 0 if nothing is true or predicted.

    Args:
        probabilities: (N, E) float.
        targets: (N, E) of 0 and 1.
        threshold: () or (N,); an emotion is predicted if its probability is at least this.

    >>> micro_f1(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]))  # 2 true, 1 false positive, 1 missed
    0.6666666666666666
    """
    return plain_value(micro_f1_statistic(ScoredPredictions(probabilities, targets, threshold=threshold)), len(targets))


def micro_f1_per_label_statistic(scored: ScoredPredictions) -> Statistic:
    """`micro_f1` at a threshold of each emotion, as a function of weights over the pairs."""
    numerator, denominator = _f1_parts(scored, scored.thresholds)
    return Share(numerator.sum(axis=1), denominator.sum(axis=1), empty=0.0)


def micro_f1_at_half_statistic(scored: ScoredPredictions) -> Statistic:
    """`micro_f1` at the threshold 0.5, as a function of weights over the pairs."""
    numerator, denominator = _f1_parts(scored, np.array(0.5))
    return Share(numerator.sum(axis=1), denominator.sum(axis=1), empty=0.0)


def macro_f1_at_half_statistic(scored: ScoredPredictions) -> Statistic:
    """`macro_f1` at the threshold 0.5, as a function of weights over the pairs."""
    return Share(*_f1_parts(scored, np.array(0.5)), empty=0.0)


def macro_f1_statistic(scored: ScoredPredictions) -> Statistic:
    """`macro_f1` as a function of weights over the pairs."""
    return Share(*_f1_parts(scored, scored.thresholds), empty=0.0)


def macro_f1(probabilities: np.ndarray, targets: np.ndarray, thresholds: float | np.ndarray = 0.5) -> float:
    """Mean of F1 over all emotions, 0 for one that is neither true nor predicted.

    Args as `micro_f1`, but thresholds: (), (E,) or (N, E).

    >>> macro_f1(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]), np.array([.5, .05]))  # 1 and 2/3
    0.8333333333333333
    """
    return plain_value(
        macro_f1_statistic(ScoredPredictions(probabilities, targets, thresholds=thresholds)), len(targets)
    )


def hamming_statistic(scored: ScoredPredictions) -> Statistic:
    """`hamming_loss` as a function of weights over the pairs."""
    return PairMean(((_checked(scored) >= 0.5) != scored.truth).mean(axis=1))


def hamming_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Share of pair-emotion cells with a wrong decision, a probability of 0.5 being a yes.

    Raises:
        ValueError: a probability is not within 0 to 1; likewise for `bce` and `expected_calibration_error`.

    >>> hamming_loss(np.array([[.9, .1], [.9, .8]]), np.array([[1, 1], [1, 0]]))
    0.5
    """
    return plain_value(hamming_statistic(ScoredPredictions(probabilities, targets)), len(targets))


def bce_statistic(scored: ScoredPredictions) -> Statistic:
    """`bce` as a function of weights over the pairs."""
    p, t = np.clip(_checked(scored), 1e-7, 1 - 1e-7), scored.targets
    return PairMean(-(t * np.log(p) + (1 - t) * np.log1p(-p)).mean(axis=1))


def bce(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean binary cross-entropy in nats over pairs and emotions; probabilities are clipped to 1e-7 and 1 - 1e-7.

    >>> round(bce(np.array([[.5, .5]]), np.array([[1, 0]])), 4)
    0.6931
    """
    return plain_value(bce_statistic(ScoredPredictions(probabilities, targets)), len(targets))


def brier_statistic(scored: ScoredPredictions) -> Statistic:
    """`brier` as a function of weights over the pairs."""
    return PairMean(((_checked(scored) - scored.targets) ** 2).mean(axis=1))


def brier(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared difference of probability and target over pairs and emotions.

    Source: Brier, "Verification of forecasts expressed in terms of probability" (1950), here for the decision on every
    emotion; he sums over the classes and gets twice this for two.

    >>> brier(np.array([[.9, .4]]), np.array([[1, 0]])).__round__(3)  # (.01 + .16) / 2
    0.085
    """
    return plain_value(brier_statistic(ScoredPredictions(probabilities, targets)), len(targets))


def calibration_error_statistic(scored: ScoredPredictions, bins: int = BINS) -> Statistic:
    """`expected_calibration_error` as a function of weights over the pairs."""
    n, n_labels = scored.truth.shape
    cells = np.arange(n)[:, None] * bins + bins_of(_checked(scored), bins)
    gaps = np.bincount(cells.ravel(), (scored.truth - scored.probabilities).ravel(), minlength=n * bins)
    return BinGaps(gaps.reshape(n, bins), n_labels)


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Mean over all pair-emotion cells of the gap between their bin's mean probability and its share of positives.

    Args:
        probabilities: (N, E) within 0 to 1.
        targets: (N, E) of 0 and 1.
        bins: of equal width. Source: Naeini et al. (2015), as in Guo et al., "On Calibration of Modern Neural
            Networks" (2017), here for the decision on every emotion instead of the best class.

    >>> round(expected_calibration_error(np.array([[.9, .9], [.2, .2]]), np.array([[1, 0], [0, 0]]), bins=2), 3)
    0.3
    """
    return plain_value(calibration_error_statistic(ScoredPredictions(probabilities, targets), bins), len(targets))


def adaptive_error_statistic(scored: ScoredPredictions) -> Statistic:
    """`adaptive_calibration_error` as a function of weights over the pairs; the bins are those of equal weights."""
    n, n_labels = scored.truth.shape
    numbers = equal_count_bins(_checked(scored).ravel())
    bins = int(numbers.max(initial=0)) + 1
    cells = np.repeat(np.arange(n), n_labels) * bins + numbers
    gaps = np.bincount(cells, (scored.truth - scored.probabilities).ravel(), minlength=n * bins)
    return BinGaps(gaps.reshape(n, bins), n_labels)


def adaptive_calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Expected calibration error over all pair-emotion cells, with bins of equal count (see `equal_count_bins`).

    With bins of equal width, most cells of rare emotions are in the first one. Source: Nguyen and O'Connor (2015);
    Nixon et al., "Measuring calibration in deep learning" (2019), there for each class.

    >>> adaptive_calibration_error(np.array([[.1, .2], [.7, .8]]), np.array([[0, 0], [1, 1]])).__round__(3)  # one bin
    0.05
    """
    return plain_value(adaptive_error_statistic(ScoredPredictions(probabilities, targets)), len(targets))


def top_calibration_error_statistic(scored: ScoredPredictions) -> Statistic:
    """`top_calibration_error` as a function of weights over the pairs; the bins are those of equal weights."""
    likeliest = _checked(scored).argmax(axis=1)[:, None]
    confidence = np.take_along_axis(scored.probabilities, likeliest, axis=1)[:, 0]
    correct = np.take_along_axis(scored.truth, likeliest, axis=1)[:, 0]
    numbers = equal_count_bins(confidence)
    gaps = np.zeros((len(numbers), numbers.max(initial=0) + 1))
    gaps[np.arange(len(numbers)), numbers] = correct - confidence
    return BinGaps(gaps, 1)


def top_calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Expected calibration error of each pair's likeliest emotion, with bins of equal count (see `equal_count_bins`).

    A pooled error over all emotions is close to 0 for rare emotions, whatever the model; this one is about the answer
    that a user sees. Source: Guo et al. (2017) for the likeliest class; Nguyen and O'Connor, "Posterior calibration and
    exploratory analysis for natural language processing models" (2015), for bins of equal count.

    >>> top_calibration_error(np.array([[.9, .1], [.3, .7]]), np.array([[1, 0], [1, 0]])).__round__(3)  # 1/2 for 0.8
    0.3
    """
    return plain_value(top_calibration_error_statistic(ScoredPredictions(probabilities, targets)), len(targets))
