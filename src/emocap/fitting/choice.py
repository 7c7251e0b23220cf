"""The choice among candidates and averages of two of them, by what they predict for held-out rows.

The simplest is chosen that is at least as good as the best in 40% of bootstrap samples of the held-out groups: with few
rows the highest score alone would often be that of a complex model by chance. Simple is what comes first: the
candidates in their order, then the averages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from emocap.evaluation.averaging import mean_of_logits
from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.fitting.cross_validation import HeldOutPredictions
from emocap.fitting.scores import accuracy_of_best, emotion_score, rating_draws, score_draws
from emocap.fitting.table import LabelledTable

N_BOOTSTRAP = 400
LEAST_SHARE = 0.4
PRIOR = "prior"


@dataclass(frozen=True, eq=False)
class Scored:
    """A candidate, or an average of two, with its score on held-out rows.

    Attributes:
        members: names of its candidates.
        probabilities: (M, E) of the held-out rows, uncalibrated.
        ratings: (M, R) from 0 to 1.
        score: its score (see `scores`).
        interval: 95% percentiles of the bootstrap, less its bias: average precision grows where a few rows repeat.
        accuracy: where every row has one emotion, else None.
        share_as_good: share of bootstrap samples in which it is at least as good as the best.
    """

    members: tuple[str, ...]
    probabilities: np.ndarray
    ratings: np.ndarray
    score: float
    interval: tuple[float, float]
    accuracy: float | None
    share_as_good: float

    @property
    def name(self) -> str:
        """Its members, joined by "+"."""
        return "+".join(self.members)


def choose(
    table: LabelledTable, rows: np.ndarray, predictions: Mapping[str, HeldOutPredictions], seed: int = 0
) -> tuple[list[Scored], Scored]:
    """Every candidate and average with its score, simplest first, and the one that is chosen.

    Args:
        rows: (M,) the held-out rows.
        predictions: by candidate, simplest first.
    """
    own = {(name,): (one.probabilities, one.ratings) for name, one in predictions.items()}
    pairs = combinations([name for name in predictions if name != PRIOR], 2)
    averages = {pair: _average([predictions[name] for name in pair]) for pair in pairs}
    outputs = own | averages
    draws = {members: _draws(table, rows, *outputs[members], seed) for members in outputs}
    values = {members: _score(table, rows, *outputs[members]) for members in outputs}
    best = max(values, key=lambda members: (np.nan_to_num(values[members], nan=-1.0), -len(members)))
    scored = []
    for members, (probabilities, ratings) in outputs.items():
        interval = _interval(draws[members], values[members])
        accuracy = accuracy_of_best(probabilities, table.truth[rows]) if table.is_single else None
        share = float((draws[members] >= draws[best] - 1e-12).mean())
        scored.append(Scored(members, probabilities, ratings, values[members], interval, accuracy, share))
    return scored, next(one for one in scored if one.share_as_good >= LEAST_SHARE or one.members == best)


def _interval(draws: np.ndarray, value: float) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [0.025, 0.975]) - (np.nanmean(draws) - value)
    return float(low), float(high)


def _average(members: Sequence[HeldOutPredictions]) -> tuple[np.ndarray, np.ndarray]:
    ratings = mean_of_logits([one.ratings for one in members]) if members[0].ratings.shape[1] else members[0].ratings
    return mean_of_logits([one.probabilities for one in members]), ratings


def _score(table: LabelledTable, rows: np.ndarray, probabilities: np.ndarray, ratings: np.ndarray) -> float:
    if len(table.vocabulary):
        return emotion_score(table.is_single)(probabilities, table.truth[rows])
    return mean_pearson_r(ratings, table.rating_values[rows])


def _draws(
    table: LabelledTable, rows: np.ndarray, probabilities: np.ndarray, ratings: np.ndarray, seed: int
) -> np.ndarray:
    """(N_BOOTSTRAP,) scores of samples of groups with replacement, the same samples for all candidates."""
    groups, group_of = np.unique(table.group_of[rows], return_inverse=True)
    n_groups = len(groups)
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_BOOTSTRAP)
    weights = drawn[:, group_of].astype(np.float64)
    if len(table.vocabulary):
        return score_draws(probabilities, table.truth[rows], weights, is_single=table.is_single)
    return rating_draws(ratings, table.rating_values[rows], weights)
