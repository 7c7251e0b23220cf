"""Human agreement: each annotator evaluated against the others, and split-half agreement of the annotators.

The emotions an annotator named, in the order written, are a ranking like a model's. Each annotator is evaluated against
the union of what the *other* annotators of the pair named, and so is every model: the union over all annotators would
give models easier targets than the annotators had.

An annotator who named nothing answered that the pair evokes nothing. Such an answer ranks no emotion, so the metrics of
rankings leave it out, for annotators and models alike; it counts everywhere else.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.bootstrap import CELLS_AT_ONCE
from emocap.evaluation.intervals import estimate, interval
from emocap.evaluation.metrics import METRICS, varying_metrics
from emocap.evaluation.predictions import ModelPredictions
from emocap.evaluation.scored_predictions import ScoredPredictions

# What a person's answer is of the same kind for: a few best emotions, or a decision on each. A person ranks no further
# emotions and has no probabilities, so that average precision over pairs, LRAP or nDCG say nothing about people.
HUMAN_METRICS = ("top1_accuracy", "recall_at_3", "micro_f1")
UNNAMED = 1e-6
UNBOUNDED = 1e-6  # halves this close to opposite: the formula of Spearman and Brown divides by nearly 0
Weighted = Callable[[np.ndarray], np.ndarray]


def human_ceiling(
    named: Sequence[Sequence[Sequence[int] | None]],
    predictions: Mapping[str, Sequence[ModelPredictions]],
    labels: Sequence[str],
    prior: np.ndarray,
    *,
    images: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    n_splits: int = 20,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Scores of annotators and of models against the same annotators, by the metrics in `HUMAN_METRICS` that can vary.

    For `micro_f1` an annotator predicts what is named, a model what reaches its threshold; the other metrics use ranks.
    Every annotator has the same weight, so that a pair with more annotators has more.

    Args:
        named: per pair of the table and annotator, the label indices of the named emotions in the order written; empty
            for the answer that nothing is evoked, None for an unknown answer (see `annotator_emotions`).
        predictions: by model, one entry per repeat; only pairs that all of them predict are used.
        labels: E emotions.
        prior: (E,) frequencies, or (M, E), one row per pair of the table, which rank what an annotator did not name.
        images: by pair of the table, the keys of what the bootstrap of `share_intervals` draws; None for every pair.
        n_bootstrap: number of its draws.
        n_splits: number of random splits of the annotators into halves.
        seed: of the splits and draws.

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
    names = [name for name in HUMAN_METRICS if name in varying_metrics(len(labels))]
    of_people = _weighted(names, people, targets, 0.5, is_ranked)
    of_models = {
        name: [_weighted_model(names, repeat, pairs, targets, is_ranked) for repeat in repeats]
        for name, repeats in predictions.items()
    }
    keys = np.array([str(row) if images is None else images[row] for row in pairs])
    counts = [len(known) for _, known in kept]
    return {
        "n_pairs": len(kept),
        "left_out": {reason: count for reason, count in left_out.items() if count},
        "annotators": {"least": min(counts), "median": float(np.median(counts)), "most": max(counts)},
        **_against_others(of_people, of_models, keys, n_bootstrap, seed),
        "split_half": _split_half(
            names, [known for _, known in kept], priors[[row for row, _ in kept]], n_splits, seed
        ),
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


def _against_others(
    of_people: Mapping[str, Weighted],
    of_models: Mapping[str, Sequence[Mapping[str, Weighted]]],
    keys: np.ndarray,
    n_bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of people and models, the models' shares of the people's, and the intervals of these."""
    once = np.ones((1, len(keys)))
    own = _values(of_people, once)
    models = {name: _mean([_values(repeat, once) for repeat in repeats]) for name, repeats in of_models.items()}
    shares = {
        name: {metric: scores[metric] / value if value else None for metric, value in own.items()}
        for name, scores in models.items()
    }
    return {
        "one_against_others": own,
        "models": models,
        "shares": shares,
        "share_intervals": _share_intervals(shares, of_people, of_models, keys, n_bootstrap, seed),
    }


def _weighted_model(
    names: Sequence[str], repeat: ModelPredictions, pairs: np.ndarray, targets: np.ndarray, is_ranked: np.ndarray
) -> dict[str, Weighted]:
    """A repeat's metrics for these pairs (I,) against these targets (I, E), as functions of weights."""
    ordered = repeat.ordered()
    places = np.searchsorted(ordered.rows, pairs)
    return _weighted(names, ordered.probabilities[places], targets, ordered.threshold[places], is_ranked)


def _weighted(
    names: Sequence[str], scores: np.ndarray, targets: np.ndarray, threshold: float | np.ndarray, is_ranked: np.ndarray
) -> dict[str, Weighted]:
    """Metrics of scores (I, E) as functions of weights (B, I).

    Args:
        is_ranked: (I,) bool, the rows that metrics of rankings use; they are NaN if none of these has a target.
    """
    all_rows = ScoredPredictions(scores, targets, threshold)
    ranked = ScoredPredictions(scores[is_ranked], targets[is_ranked])
    functions: dict[str, Weighted] = {}
    for name in names:
        if METRICS[name].input != "ranking":
            functions[name] = METRICS[name].statistic(all_rows)
        elif ranked.n_ranked:
            statistic = METRICS[name].statistic(ranked)
            functions[name] = lambda weights, statistic=statistic: statistic(weights[:, is_ranked])  # type: ignore[misc]
        else:
            functions[name] = lambda weights: np.full(len(weights), np.nan)
    return functions


def _values(functions: Mapping[str, Weighted], weights: np.ndarray) -> dict[str, float]:
    """The values for weights (1, I)."""
    return {name: float(function(weights)[0]) for name, function in functions.items()}


def _mean(repeats: Sequence[dict[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([scores[metric] for scores in repeats])) for metric in repeats[0]}


def _share_intervals(
    shares: Mapping[str, Mapping[str, float | None]],
    of_people: Mapping[str, Weighted],
    of_models: Mapping[str, Sequence[Mapping[str, Weighted]]],
    keys: np.ndarray,
    n_bootstrap: int,
    seed: int,
) -> dict[str, dict[str, list[float] | None]]:
    """95% intervals of the shares over images, people and models being weighted by the same draws (see `intervals`)."""
    _, image_of = np.unique(keys, return_inverse=True)
    n_images, generator = int(image_of.max()) + 1, np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // len(keys))
    drawn: dict[tuple[str, str], list[np.ndarray]] = {(name, metric): [] for name in shares for metric in of_people}
    for start in range(0, n_bootstrap, at_once):
        n = min(at_once, n_bootstrap - start)
        weights = generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n)[:, image_of].astype(float)
        for metric, function in of_people.items():
            people = function(weights)
            for name, repeats in of_models.items():
                model = np.mean([repeat[metric](weights) for repeat in repeats], axis=0)
                drawn[name, metric].append(np.divide(model, people, out=np.full(n, np.nan), where=people > 0))
    intervals: dict[str, dict[str, list[float] | None]] = {name: {} for name in shares}
    for (name, metric), parts in drawn.items():
        share = shares[name][metric]
        estimated = None if share is None else estimate(share, np.concatenate(parts), n_images)
        intervals[name][metric] = None if estimated is None else interval(estimated, lowest=0.0)
    return intervals


def _split_half(
    names: Sequence[str], people: Sequence[list[list[int]]], priors: np.ndarray, n_splits: int, seed: int
) -> dict[str, Any]:
    """Agreement of two random halves of each pair's annotators, as means over the splits.

    `correlation` is Pearson's of the two halves' vote shares over all cells of pairs and emotions; `spearman_brown`
    predicts from it that of two groups as large as the whole (Spearman 1910, Brown 1910). Both are null if all shares
    of a half are equal, the latter also if the halves are opposite. `metrics` evaluate the first half's shares, ties
    broken by the prior, against the second's union, those of rankings where the first half named an emotion; they are
    null if no split has such a pair. With an odd number of annotators the first half is the smaller.
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
        weighted = _weighted(names, first + UNNAMED * priors, second > 0, 2 * UNNAMED, is_ranked)
        metrics.append(_values(weighted, np.ones((1, len(people)))))
    r = float(np.mean(correlations)) if correlations else None
    return {
        "correlation": r,
        "spearman_brown": None if r is None or r < -1 + UNBOUNDED else 2 * r / (1 + r),
        "n_splits": n_splits,
        "metrics": {name: _mean_of_defined([scores[name] for scores in metrics]) for name in names},
    }


def _mean_of_defined(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else None
