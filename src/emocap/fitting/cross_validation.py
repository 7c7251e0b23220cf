"""Cross-validation of candidates: predictions for rows that they were not fitted to, and the strength of the penalty.

A head's penalty is selected on the rows of the other folds, so that no row has a say in what predicts it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emocap.corpora.stratification import stratify
from emocap.evaluation.baseline_selection import NEARLY_BEST
from emocap.evaluation.probability_metrics import bce
from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.fitting.candidates import Candidate
from emocap.fitting.scores import emotion_score
from emocap.fitting.table import LabelledTable
from emocap.progress import track

FOLDS = 3
MANY_ROWS = 3000  # from here on one fold is held out instead of each in turn
HELD_OUT_SHARE = 5  # of which one part is held out

Score = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True, eq=False)
class HeldOutPredictions:
    """What a candidate predicts for rows that it was not fitted to.

    Attributes:
        probabilities: (M, E) of the held-out rows, uncalibrated.
        ratings: (M, R) from 0 to 1.
        head, rating_head: numbers of the heads for the fit to all rows.
    """

    probabilities: np.ndarray
    ratings: np.ndarray
    head: int
    rating_head: int


def fold_of_rows(table: LabelledTable, seed: int = 0) -> np.ndarray:
    """(N,) the fold of each row, stratified by emotion, no group divided; -1 for rows that are never held out."""
    sizes = np.bincount(table.group_of)
    targets = np.zeros((len(sizes), max(1, table.truth.shape[1])))
    np.maximum.at(targets, (table.group_of,), table.truth if table.truth.shape[1] else np.zeros((len(table.truth), 1)))
    n_folds = HELD_OUT_SHARE if len(table.pairs) >= MANY_ROWS else FOLDS
    shares = [len(part) for part in np.array_split(np.arange(int(sizes.sum())), n_folds)]
    folds = stratify(sizes, targets, shares, seed)[table.group_of]
    return np.where(folds == 0, 0, -1) if len(table.pairs) >= MANY_ROWS else folds


def cross_validate(
    table: LabelledTable, candidates: Sequence[Candidate], fold_of: np.ndarray
) -> tuple[np.ndarray, dict[str, HeldOutPredictions]]:
    """The held-out rows, ascending, and what every candidate predicts for them.

    Args:
        fold_of: as `fold_of_rows`.
    """
    folds = [fold for fold in np.unique(fold_of) if fold >= 0]
    rows = np.flatnonzero(fold_of >= 0)
    place = np.full(len(fold_of), -1)
    place[rows] = np.arange(len(rows))
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {}
    jobs = [(candidate, fold) for candidate in candidates for fold in folds]

    def run() -> Iterator[tuple[Candidate, int]]:
        yield from jobs

    cost = sum(max(1, round(candidate.cost)) for candidate, _ in jobs)
    for candidate, fold in track(run(), "cross-validation", cost, "parts", lambda job: max(1, round(job[0].cost))):
        held_out = np.flatnonzero(fold_of == fold)
        parts = candidate.fit(table, np.flatnonzero(fold_of != fold)).predict(table.pairs.select(held_out))
        if candidate.name not in found:
            found[candidate.name] = tuple(  # type: ignore[assignment]
                [np.empty((len(rows), one.shape[1])) for one in part] for part in parts
            )
        for whole, part in zip(found[candidate.name], parts, strict=True):
            for target, predicted in zip(whole, part, strict=True):
                target[place[held_out]] = predicted
    own_folds = fold_of[rows]
    return rows, {name: _selected(table, rows, own_folds, *heads) for name, heads in found.items()}


def _selected(
    table: LabelledTable, rows: np.ndarray, folds: np.ndarray, heads: list[np.ndarray], rating_heads: list[np.ndarray]
) -> HeldOutPredictions:
    truth, ratings = table.truth[rows] > 0, table.rating_values[rows]
    score = emotion_score(table.is_single)
    probabilities, head = _by_other_folds(heads, truth, folds, score, bce)
    rated, rating_head = np.empty((len(rows), 0)), 0
    if rating_heads:
        rated, rating_head = _by_other_folds(rating_heads, ratings, folds, mean_pearson_r, _squared_error)
    return HeldOutPredictions(probabilities, rated, head, rating_head)


def _by_other_folds(
    heads: list[np.ndarray], truth: np.ndarray, folds: np.ndarray, score: Score, error: Score
) -> tuple[np.ndarray, int]:
    """Predictions of each fold by the head that the other folds select, and the head that all of them select."""
    chosen = select_head(heads, truth, score, error)
    numbers = np.unique(folds)
    if len(heads) == 1 or len(numbers) == 1:
        return heads[chosen], chosen
    predicted = np.empty_like(heads[0])
    for fold in numbers:
        others, own = folds != fold, folds == fold
        predicted[own] = heads[select_head([head[others] for head in heads], truth[others], score, error)][own]
    return predicted, chosen


def select_head(heads: list[np.ndarray], truth: np.ndarray, score: Score, error: Score) -> int:
    """The head of least error among those whose score is within 0.01 of the best; the first where none is defined."""
    scores = np.array([score(head, truth) if truth.size else np.nan for head in heads])
    if np.isnan(scores).all():
        return 0
    near = np.flatnonzero(scores >= np.nanmax(scores) - NEARLY_BEST)
    return int(min(near, key=lambda number: error(heads[number], truth)))


def _squared_error(predicted: np.ndarray, ratings: np.ndarray) -> float:
    return float(np.nanmean((predicted - ratings) ** 2))
