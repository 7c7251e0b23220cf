"""Scores of generated captions: emotional alignment, faithfulness to the image, diversity, with bootstrap intervals.

Alignment is measured by a judge, a model that took no part in training or re-ranking (after ArtEmis, Achlioptas et al.
2021, arXiv 2101.07396); faithfulness by CIDEr-D against human captions. Intervals are the central 95% of a bootstrap
over images with one caption per image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.captioning.emotion_words import emotion_word_rate
from emocap.captioning.metrics import (
    bleu,
    cider_d,
    distinct_caption_rate,
    distinct_n,
    rouge_l,
    word_counts,
)
from emocap.evaluation.scored_predictions import ranking

N_BOOTSTRAP = 1000
COMPARED = ("alignment", "lift_alignment", "cider_d", "noun_faithfulness")


def judge_top_k(n_emotions: int) -> int:
    """The k of top-k alignment: 3, or a quarter of the emotions where there are fewer than twelve.

    >>> judge_top_k(29), judge_top_k(7), judge_top_k(3)
    (3, 1, 1)
    """
    return min(3, max(1, n_emotions // 4))


def alignment_hits(probabilities: np.ndarray, emotions: Sequence[int]) -> np.ndarray:
    """(N,) of 0 and 1: whether the requested emotion is among the judge's top k, with k by `judge_top_k`.

    Args:
        probabilities: (N, E) by the judge, one row per caption.
        emotions: N requested emotions, as column indices.

    >>> alignment_hits(np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5]]), [0, 2]).tolist()
    [1.0, 0.0]
    """
    top = ranking(probabilities)[:, : judge_top_k(np.shape(probabilities)[1])]
    return (top == np.asarray(emotions)[:, None]).any(axis=1).astype(np.float64)


def top_k_hits(scores: np.ndarray, labels: Sequence[int], k: int) -> np.ndarray:
    """(N,) probability that the label is among the k highest scores of its row, with equal scores in random order.

    Args:
        scores: (N, E), of which only the order in a row matters.
        labels: N column indices.
        k: 1 or more.

    >>> top_k_hits(np.array([[2, 1, 0], [1, 1, 1], [0, 1, 1]]), [0, 0, 0], k=1).round(2).tolist()
    [1.0, 0.33, 0.0]
    """
    own = scores[np.arange(len(scores)), labels][:, None]
    n_above, n_equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return np.clip((k - n_above) / n_equal, 0.0, 1.0)


def score_captions(
    captions: Sequence[str],
    references: Sequence[Sequence[str]],
    emotions: Sequence[int],
    judge_probabilities: np.ndarray,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Scores of one caption for each of N images.

    Args:
        captions: N captions.
        references: N lists of human captions of the image.
        emotions: N requested emotions, as indices into `labels`.
        judge_probabilities: (N, E) by the judge.
        labels: E emotions.

    Returns:
        "alignment" and "cider_d" as (N,) arrays; "alignment_by_emotion" (a macro average) as (N, E), NaN except
        for the requested emotion; "bleu_4", "rouge_l", "distinct_2", "distinct_captions", "names_emotion" and "words"
        as numbers.
    """
    hits = alignment_hits(judge_probabilities, emotions)
    by_emotion = np.full((len(captions), len(labels)), np.nan)
    by_emotion[np.arange(len(captions)), emotions] = hits
    return {
        "alignment": hits,
        "alignment_by_emotion": by_emotion,
        "cider_d": cider_d(captions, references),
        "bleu_4": float(bleu(captions, references)[3]),
        "rouge_l": float(rouge_l(captions, references).mean()),
        "distinct_2": distinct_n(captions, 2),
        "distinct_captions": distinct_caption_rate(captions),
        "names_emotion": emotion_word_rate(captions, [labels[i] for i in emotions]),
        "words": float(np.mean(word_counts(captions))),
    }


def summarise(
    systems: Mapping[str, Mapping[str, Any]], reference: str, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Means with intervals of every system, and paired differences from the reference system.

    Returns:
        The scores of each system, with arrays replaced by {"mean", "low", "high"}; and for each other system the
        differences of those of `COMPARED` that both define for an image, each with "difference", "low" and "high", and
        "cider_d_share", its CIDEr-D divided by that of the reference, with "share", "low" and "high", None where that
        is 0.
    """
    n = len(next(iter(systems.values()))["alignment"])
    draws = np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))
    scores: dict[str, dict[str, Any]] = {}
    differences: dict[str, dict[str, Any]] = {}
    for name, values in systems.items():
        scores[name] = {}
        for key, value in values.items():
            scores[name][key] = estimate(value, draws) if isinstance(value, np.ndarray) else value
        if name != reference:
            differences[name] = {}
            for key in (key for key in COMPARED if key in values and key in systems[reference]):
                difference = values[key] - systems[reference][key]
                if not np.isnan(difference).all():
                    paired = estimate(difference, draws)
                    differences[name][key] = {"difference": paired.pop("mean"), **paired}
            if "cider_d" in values:
                differences[name]["cider_d_share"] = _ratio(values["cider_d"], systems[reference]["cider_d"], draws)
    return scores, differences


def estimate(values: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """A mean over images with its central 95% bootstrap interval: "mean", "low", "high".

    Args:
        values: (N,); or (N, E) with NaN for missing values, for the mean over E of the means over N, whose interval is
            corrected for the bias of the bootstrap.
        draws: (B, N) image indices; those without a defined value are left out.

    >>> estimate(np.array([[1, np.nan], [1, np.nan], [np.nan, 0]]), np.array([[0, 1, 2]]))
    {'mean': 0.5, 'low': 0.5, 'high': 0.5}
    """
    grouped = values[:, None] if values.ndim == 1 else values
    present = (~np.isnan(grouped)).astype(np.float64)
    counts = np.stack([np.bincount(draw, minlength=len(grouped)) for draw in draws]).astype(np.float64)
    counts = counts[(counts @ present).any(axis=1)]
    means = _mean_of_means(counts @ np.nan_to_num(grouped), counts @ present)
    mean = _mean_of_means(np.nan_to_num(grouped).sum(axis=0)[None], present.sum(axis=0)[None])[0]
    if values.ndim > 1:  # a draw may miss a rare group, which biases its mean of means
        means = np.clip(means + mean - means.mean(), np.nanmin(values), np.nanmax(values))
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(mean), "low": float(min(low, mean)), "high": float(max(high, mean))}


def _mean_of_means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B,) from (B, E): the mean of the group means, without empty groups."""
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0).sum(axis=1) / (counts > 0).sum(axis=1)


def _ratio(values: np.ndarray, reference: np.ndarray, draws: np.ndarray) -> dict[str, float] | None:
    """The ratio of two means over the same images, with an interval from the same draws."""
    denominators = reference[draws].mean(axis=1)
    if reference.mean() <= 0 or (denominators <= 0).any():
        return None
    low, high = np.percentile(values[draws].mean(axis=1) / denominators, [2.5, 97.5])
    return {"share": float(values.mean() / reference.mean()), "low": float(low), "high": float(high)}


def select_operating_point(points: Sequence[Mapping[str, float]], plain: float, max_loss: float) -> int:
    """The index of the point of highest alignment among those whose CIDEr-D falls by at most `max_loss`.

    Args:
        points: with "alignment" and "cider_d".
        plain: CIDEr-D without emotions.
        max_loss: the largest relative loss, as a share of `plain`.

    If every point loses more, the one that loses least. Ties in alignment are broken by CIDEr-D.

    >>> values = [(0.5, 0.95), (0.8, 0.9), (0.9, 0.5)]
    >>> points = [{"alignment": alignment, "cider_d": cider} for alignment, cider in values]
    >>> select_operating_point(points, plain=1.0, max_loss=0.1), select_operating_point(points, plain=1.0, max_loss=0.0)
    (1, 0)
    """
    eligible = [i for i, point in enumerate(points) if point["cider_d"] >= (1 - max_loss) * plain - 1e-12]
    if not eligible:
        return max(range(len(points)), key=lambda i: points[i]["cider_d"])
    return max(eligible, key=lambda i: (points[i]["alignment"], points[i]["cider_d"]))
