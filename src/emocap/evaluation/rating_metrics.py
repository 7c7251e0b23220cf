"""Metrics of ratings: Pearson's r, Lin's concordance, and the root mean squared error, all as functions of weights.

Sources: Pearson 1895; Lin, "A concordance correlation coefficient to evaluate reproducibility" (1989), with moments
divided by N, as there. Predictions and ratings are from 0 to 1 on the rating's scale; NaN is a missing rating.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from emocap.evaluation.statistics import plain_value

NO_VARIANCE = 1e-12  # of values from 0 to 1; float32 rounding is far below


@dataclass(frozen=True)
class RatingMetric:
    """One metric of a rating.

    Attributes:
        statistic: of (predicted, true, length of the scale in units), as a function of weights.
        bounds: lowest and highest value.
        higher_is_better: False for errors.
    """

    statistic: Callable[[np.ndarray, np.ndarray, float], "MomentStatistic"]
    bounds: tuple[float, float]
    higher_is_better: bool = True


@dataclass(frozen=True, eq=False)
class MomentStatistic:
    """A function of the weighted moments of predictions and ratings.

    Attributes:
        predicted: (N,) from 0 to 1.
        true: (N,) from 0 to 1, NaN where missing.
        of_moments: (mean difference of predicted and true, the variances of both, their covariance) to the value, each
            (B,).
        per_pair: None, since it is no mean over pairs.
    """

    predicted: np.ndarray
    true: np.ndarray
    of_moments: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    per_pair: None = field(default=None)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """(B,) values for weights (B, N), NaN where undefined."""
        known = np.flatnonzero(~np.isnan(self.true))
        if not len(known):
            return np.full(len(weights), np.nan)
        x, y = np.float64(self.predicted[known]), np.float64(self.true[known])
        x, y, shift = x - x.mean(), y - y.mean(), float(x.mean() - y.mean())  # centred, since differences cancel
        w = np.asarray(weights, dtype=np.float64)[:, known]
        total = w.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mx, my, mxx, myy, mxy = (w @ np.stack([x, y, x * x, y * y, x * y], axis=1) / total[:, None]).T
            return self.of_moments(mx - my + shift, mxx - mx**2, myy - my**2, mxy - mx * my)


def _pearson_r(gap: np.ndarray, var_x: np.ndarray, var_y: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    r = np.clip(covariance / np.sqrt(var_x * var_y), -1.0, 1.0)
    return np.where(var_y <= NO_VARIANCE, np.nan, np.where(var_x <= NO_VARIANCE, 0.0, r))


def _concordance(gap: np.ndarray, var_x: np.ndarray, var_y: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    value = np.clip(2 * covariance / (var_x + var_y + gap**2), -1.0, 1.0)
    return np.where(var_y <= NO_VARIANCE, np.nan, value)


def _rmse(gap: np.ndarray, var_x: np.ndarray, var_y: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(var_x + var_y - 2 * covariance + gap**2, 0.0, None))


RATING_PRIMARY = "pearson_r"
RATING_METRICS: dict[str, RatingMetric] = {
    "pearson_r": RatingMetric(lambda x, y, span: MomentStatistic(x, y, _pearson_r), (-1.0, 1.0)),
    "ccc": RatingMetric(lambda x, y, span: MomentStatistic(x, y, _concordance), (-1.0, 1.0)),
    "rmse": RatingMetric(
        lambda x, y, span: MomentStatistic(x, y, lambda *moments: span * _rmse(*moments)), (0.0, np.inf), False
    ),
}


def pearson_r(predicted: np.ndarray, true: np.ndarray) -> float:
    """Pearson's r of predictions (N,) and ratings (N,), NaN where missing.

    0 where the predictions are constant, since they tell nothing apart; NaN where the ratings are.

    >>> round(pearson_r(np.array([0.1, 0.2, 0.4]), np.array([0.2, 0.4, 0.8])), 6)
    1.0
    """
    return plain_value(RATING_METRICS["pearson_r"].statistic(predicted, true, 1.0), len(true))


def concordance(predicted: np.ndarray, true: np.ndarray) -> float:
    """Lin's concordance of predictions (N,) and ratings (N,), NaN where missing: 1 only where both are equal.

    2 cov / (var + var + squared difference of the means); 0 where the predictions are constant.

    >>> round(concordance(np.array([0.0, 1.0]), np.array([0.0, 0.5])), 4)  # 2 * 1/8 / (1/4 + 1/16 + 1/16)
    0.6667
    """
    return plain_value(RATING_METRICS["ccc"].statistic(predicted, true, 1.0), len(true))


def rmse(predicted: np.ndarray, true: np.ndarray, span: float = 1.0) -> float:
    """The root mean squared error of predictions (N,) and ratings (N,) from 0 to 1, in units of a scale of length span.

    >>> rmse(np.array([0.5, 0.5]), np.array([0.0, 1.0]), span=6.0)
    3.0
    """
    return plain_value(RATING_METRICS["rmse"].statistic(predicted, true, span), len(true))


def mean_pearson_r(predicted: np.ndarray, true: np.ndarray) -> float:
    """The mean over R ratings of Pearson's r, of predictions (N, R) and ratings (N, R); NaN where one is undefined."""
    columns = range(true.shape[1])
    return float(np.mean([pearson_r(predicted[:, i], true[:, i]) for i in columns])) if true.shape[1] else float("nan")
