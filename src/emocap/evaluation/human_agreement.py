"""Human agreement: each annotator evaluated against the others, and split-half agreement of the annotators.

The emotions an annotator named, in the order written, are a ranking like a model's. Each annotator is evaluated against
the union of what the *other* annotators of the pair named, and so is every model: the union over all annotators would
give models easier targets than the annotators had.

An annotator who named nothing answered that the pair evokes nothing. Such an answer ranks no emotion, so the metrics of
rankings leave it out, for annotators and models alike; it counts everywhere else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.metrics import METRICS
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.scored_predictions import ScoredPredictions
from emocap.evaluation.statistics import plain_value

# The metrics of ranks and of one threshold: what a person named has neither probabilities nor thresholds by emotion.
SHARED = (*(m.name for m in METRICS.values() if m.input == "ranking" and m.higher_is_better), "micro_f1")
UNNAMED = 1e-6


def human_ceiling(
    named: Sequence[Sequence[Sequence[int] | None]],
    predictions: Mapping[str, Sequence[ModelPredictions]],
    labels: Sequence[str],
    prior: np.ndarray,
    *,
    n_splits: int = 20,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Scores of annotators and of models against the same annotators, by the metrics in `SHARED`.

    For `micro_f1` an annotator predicts what is named, a model what reaches its threshold; the other metrics use ranks.
    Every annotator has the same weight, so that a pair with more annotators has more.

    Args:
        named: per pair of the table and annotator, the label indices of the named emotions in the order written; empty
            for the answer that nothing is evoked, None for an unknown answer (see `annotator_emotions`).
        predictions: by model, one entry per repeat; only pairs that all of them predict are used.
        labels: E emotions.
        prior: (E,) frequencies, or (M, E), one row per pair of the table, which rank what an annotator did not name.
        n_splits: number of random splits of the annotators into halves.
        seed: of the splits.

    Returns:
        What `docs/RUN_DIR.md` describes as `human`; None if no pair has two annotators who named known emotions.

    Raises:
        EmocapError: `prior` or a model's predictions have other emotions or pairs.
    """
    _check(predictions, len(named), len(labels), prior, n_splits)
    priors = np.broadcast_to(np.asarray(prior, dtype=np.float64), (len(named), len(labels)))
    rows = _predicted_by_all(predictions, len(named))
    kept, left_out = _with_two_annotators(named, rows)
    if not any(sum(map(bool, known)) >= 2 for _, known in kept):
        return None
    pairs, people, targets = _one_against_others(kept, priors)
    is_ranked = np.array([bool(words) for _, known in kept for words in known])
    if not is_ranked.all():
        left_out["answers of no emotion, by the metrics of rankings only"] = int((~is_ranked).sum())
    own = _scores(people, targets, 0.5, is_ranked)
    models = {
        name: _mean([_model_scores(repeat, pairs, targets, is_ranked) for repeat in repeats])
        for name, repeats in predictions.items()
    }
    counts = [len(known) for _, known in kept]
    return {
        "n_pairs": len(kept),
        "left_out": {reason: count for reason, count in left_out.items() if count},
        "annotators": {"least": min(counts), "median": float(np.median(counts)), "most": max(counts)},
        "one_against_others": own,
        "models": models,
        "shares": {
            name: {metric: scores[metric] / value if value else None for metric, value in own.items()}
            for name, scores in models.items()
        },
        "split_half": _split_half([known for _, known in kept], priors[[row for row, _ in kept]], n_splits, seed),
    }


def _check(
    predictions: Mapping[str, Sequence[ModelPredictions]], n: int, n_labels: int, prior: np.ndarray, n_splits: int
) -> None:
    if np.shape(prior) not in ((n_labels,), (n, n_labels)) or n_splits < 1:
        raise EmocapError(f"human: prior {np.shape(prior)} and {n_splits} splits, expected ({n_labels},) and 1 or more")
    for name, repeats in predictions.items():
        if not repeats:
            raise EmocapError(f"human: {name} has no predictions")
        for repeat in repeats:
            if repeat.raw.shape[1] != n_labels or (len(repeat.rows) and repeat.rows.max() >= n):
                raise EmocapError(
                    f"human: {name} predicts other pairs or emotions than the {n} and {n_labels} expected"
                )


def _predicted_by_all(predictions: Mapping[str, Sequence[ModelPredictions]], n: int) -> np.ndarray:
    """Ascending row numbers of the pairs that every repeat of every model predicts."""
    counts = np.zeros(n, dtype=np.int64)
    repeats = [repeat for model in predictions.values() for repeat in model]
    for repeat in repeats:
        counts[repeat.rows] += 1
    return np.flatnonzero(counts == len(repeats))


def _with_two_annotators(
    named: Sequence[Sequence[Sequence[int] | None]], rows: np.ndarray
) -> tuple[list[tuple[int, list[list[int]]]], Counter[str]]:
    """Pairs with two known answers or more, and the number of annotators and pairs left out by reason."""
    left_out: Counter[str] = Counter()
    kept: list[tuple[int, list[list[int]]]] = []
    for row in rows:
        known = [list(words) for words in named[row] if words is not None]
        left_out["annotators without a known emotion"] += len(named[row]) - len(known)
        if len(known) >= 2:
            kept.append((int(row), known))
        else:
            reason = "one annotator" if known else "no known emotion" if named[row] else "no annotator"
            left_out[f"pairs with {reason}"] += 1
    return kept, left_out


def ranking_scores(words: Sequence[int], prior: np.ndarray) -> np.ndarray:
    """(E,) float64 scores that rank named emotions in the order written, then the others by the prior.

    >>> ranking_scores([2, 0], np.array([.1, .5, .2, .9])).argsort()[::-1].tolist()
    [2, 0, 3, 1]
    """
    scores = UNNAMED * prior
    for place, label in enumerate(words):
        scores[label] = 1 - place / 1000
    return scores


def _one_against_others(
    kept: Sequence[tuple[int, list[list[int]]]], priors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every annotator of every pair: the pair's row (I,), the annotator's scores and the others' union (I, E)."""
    rows, people, targets = [], [], []
    for row, known in kept:
        counts = np.zeros(priors.shape[1])
        for words in known:
            counts[words] += 1
        for words in known:
            others = counts.copy()
            others[words] -= 1
            rows.append(row)
            people.append(ranking_scores(words, priors[row]))
            targets.append(others > 0)
    return np.array(rows), np.stack(people), np.stack(targets).astype(np.float32)


def _model_scores(
    repeat: ModelPredictions, pairs: np.ndarray, targets: np.ndarray, is_ranked: np.ndarray
) -> dict[str, float]:
    """A repeat's scores for these pairs (I,) against these targets (I, E)."""
    ordered = repeat.ordered()
    places = np.searchsorted(ordered.rows, pairs)
    return _scores(ordered.probabilities[places], targets, ordered.threshold[places], is_ranked)


def _scores(
    scores: np.ndarray, targets: np.ndarray, threshold: float | np.ndarray, is_ranked: np.ndarray
) -> dict[str, float]:
    """The metrics of `SHARED` of scores (I, E).

    Args:
        is_ranked: (I,) bool, the rows that metrics of rankings use; they are NaN if none of these has a target.
    """
    all_rows, ranked = (
        ScoredPredictions(scores, targets, threshold),
        ScoredPredictions(scores[is_ranked], targets[is_ranked]),
    )
    values = {}
    for name in SHARED:
        scored = ranked if METRICS[name].input == "ranking" else all_rows
        is_defined = scored is all_rows or ranked.n_ranked > 0
        values[name] = plain_value(METRICS[name].statistic(scored), len(scored.truth)) if is_defined else np.nan
    return values


def _mean(repeats: Sequence[dict[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([scores[metric] for scores in repeats])) for metric in SHARED}


def _split_half(people: Sequence[list[list[int]]], priors: np.ndarray, n_splits: int, seed: int) -> dict[str, Any]:
    """Agreement of two random halves of each pair's annotators, as means over the splits.

    `correlation` is Pearson's of the two halves' vote shares over all cells of pairs and emotions; `spearman_brown`
    predicts from it that of two groups as large as the whole (Spearman 1910, Brown 1910). Both are null if all shares
    of a half are equal. `metrics` evaluate the first half's shares, ties broken by the prior, against the second's
    union, those of rankings where the first half named an emotion; they are null if no split has such a pair. With an
    odd number of annotators the first half is the smaller.
    """
    generator = np.random.default_rng(seed)
    correlations, metrics = [], []
    for _ in range(n_splits):
        halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for known in people:
            order = generator.permutation(len(known))
            middle = len(known) // 2
            for half, members in zip(halves, (order[:middle], order[middle:]), strict=True):
                shares = np.zeros(priors.shape[1])
                for member in members:
                    shares[known[member]] += 1 / len(members)
                half.append(shares)
        first, second = (np.stack(half) for half in halves)
        if first.std() > 0 and second.std() > 0:
            correlations.append(float(np.corrcoef(first.ravel(), second.ravel())[0, 1]))
        is_ranked = first.sum(axis=1) > 0
        metrics.append(_scores(first + UNNAMED * priors, second > 0, 2 * UNNAMED, is_ranked))
    r = float(np.mean(correlations)) if correlations else None
    return {
        "correlation": r,
        "spearman_brown": None if r is None or r <= -1 else 2 * r / (1 + r),
        "n_splits": n_splits,
        "metrics": {name: _mean_of_defined([scores[name] for scores in metrics]) for name in SHARED},
    }


def _mean_of_defined(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else None
