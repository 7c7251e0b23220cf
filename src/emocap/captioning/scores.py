"""What generated captions are worth: do they evoke what was asked, and are they still true to the picture.

Alignment is judged by a model that had no part in training or re-ranking (after ArtEmis, Achlioptas et al. 2021, arXiv
2101.07396); truth to the picture by CIDEr-D against what people wrote. Intervals are the middle 95% of a bootstrap over
images, one caption an image, so that means need no correction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emocap.captioning.metrics import bleu, cider_d, distinct_n, rouge_l, share_distinct, share_naming, words
from emocap.evaluation.scored_predictions import ranking

N_BOOTSTRAP = 1000


def judge_top_k(n_emotions: int) -> int:
    """How many of a judge's best emotions count: 3, or the best quarter where there are fewer than twelve.

    >>> judge_top_k(29), judge_top_k(7), judge_top_k(3)
    (3, 1, 1)
    """
    return min(3, max(1, n_emotions // 4))


def aligned(probabilities: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """(N,) of 0 and 1: is the wanted emotion `among` the judge's best ones.

    Args:
        probabilities: (N, E) by the judge, a row for each caption.
        wanted: N emotion numbers.

    >>> aligned(np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5]]), [0, 2]).tolist()
    [1.0, 0.0]
    """
    best = ranking(probabilities)[:, : judge_top_k(np.shape(probabilities)[1])]
    return (best == np.asarray(wanted)[:, None]).any(axis=1).astype(np.float64)


def score_captions(
    captions: Sequence[str],
    references: Sequence[Sequence[str]],
    wanted: Sequence[int],
    judged: np.ndarray,
    labels: Sequence[str],
) -> dict[str, Any]:
    """Scores of one caption for each of N images.

    Args:
        captions: N captions.
        references: N lists of what people wrote for the picture.
        wanted: N emotion numbers that were asked for.
        judged: (N, E) probabilities by the judge.
        labels: E emotions.

    Returns:
        "alignment" and "cider_d" as (N,) arrays; "alignment_by_emotion" (each emotion counts alike) as (N, E), NaN but
        for the emotion that was asked for; "bleu_4", "rouge_l", "distinct_2", "distinct_captions", "names_emotion" and
        "words" as numbers.
    """
    hits = aligned(judged, wanted)
    by_emotion = np.full((len(captions), len(labels)), np.nan)
    by_emotion[np.arange(len(captions)), wanted] = hits
    return {
        "alignment": hits,
        "alignment_by_emotion": by_emotion,
        "cider_d": cider_d(captions, references),
        "bleu_4": float(bleu(captions, references)[3]),
        "rouge_l": float(rouge_l(captions, references).mean()),
        "distinct_2": distinct_n(captions, 2),
        "distinct_captions": share_distinct(captions),
        "names_emotion": share_naming(captions, [labels[i] for i in wanted]),
        "words": float(np.mean(words(captions))),
    }


def summarise(
    systems: Mapping[str, Mapping[str, Any]], reference: str, *, n_bootstrap: int = N_BOOTSTRAP, seed: int = 0
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Means with intervals of every system, and paired differences to one of them.

    Returns:
        System to its scores, arrays become {"mean", "low", "high"}; and system to {"alignment", "cider_d"}, each with
        "difference", "low" and "high", and "cider_d_share", its CIDEr-D over the reference's, with "share", "low" and
        "high", null where the reference has none.
    """
    n = len(next(iter(systems.values()))["alignment"])
    draws = np.random.default_rng(seed).integers(n, size=(n_bootstrap, n))
    scores: dict[str, dict[str, Any]] = {}
    differences: dict[str, dict[str, Any]] = {}
    for name, found in systems.items():
        scores[name] = {}
        for key, value in found.items():
            scores[name][key] = estimate(value, draws) if isinstance(value, np.ndarray) else value
        if name != reference:
            differences[name] = {}
            for key in ("alignment", "cider_d"):
                if key in found:
                    paired = estimate(found[key] - systems[reference][key], draws)
                    differences[name][key] = {"difference": paired.pop("mean"), **paired}
            if "cider_d" in found:
                differences[name]["cider_d_share"] = _share(found["cider_d"], systems[reference]["cider_d"], draws)
    return scores, differences


def estimate(values: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """A mean over images with the middle 95% of its bootstrap: "mean", "low", "high".

    Args:
        values: (N,); or (N, E) with NaN where there is none, for the mean over E of the means over N, whose interval is
            moved by the bootstrap's bias.
        draws: (B, N) image numbers.

    >>> estimate(np.array([[1, np.nan], [1, np.nan], [np.nan, 0]]), np.array([[0, 1, 2]]))
    {'mean': 0.5, 'low': 0.5, 'high': 0.5}
    """
    grouped = values[:, None] if values.ndim == 1 else values
    there = (~np.isnan(grouped)).astype(np.float64)
    times = np.stack([np.bincount(draw, minlength=len(grouped)) for draw in draws]).astype(np.float64)
    means = _mean_of_means(times @ np.nan_to_num(grouped), times @ there)
    mean = _mean_of_means(np.nan_to_num(grouped).sum(axis=0)[None], there.sum(axis=0)[None])[0]
    if values.ndim > 1:  # a draw may miss a rare group, which shifts its mean of means
        means += mean - means.mean()
    low, high = np.percentile(means, [2.5, 97.5])
    return {"mean": float(mean), "low": float(min(low, mean)), "high": float(max(high, mean))}


def _mean_of_means(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(B,) from (B, E): the mean of those means whose count is not 0."""
    return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0).sum(axis=1) / (counts > 0).sum(axis=1)


def _share(values: np.ndarray, reference: np.ndarray, draws: np.ndarray) -> dict[str, float] | None:
    """The ratio of two means over the same images, its interval from the same draws."""
    below = reference[draws].mean(axis=1)
    if reference.mean() <= 0 or (below <= 0).any():
        return None
    low, high = np.percentile(values[draws].mean(axis=1) / below, [2.5, 97.5])
    return {"share": float(values.mean() / reference.mean()), "low": float(low), "high": float(high)}


def most_aligned(points: Sequence[Mapping[str, float]], plain: float, max_loss: float) -> int:
    """The number of the point with the greatest alignment among those whose CIDEr-D loses no more than `max_loss`.

    Args:
        points: with "alignment" and "cider_d".
        plain: CIDEr-D without emotions.
        max_loss: share of `plain`.

    Where every point loses more, the one that loses least. Equal alignments are decided by CIDEr-D.

    >>> tried = [(0.5, 0.95), (0.8, 0.9), (0.9, 0.5)]
    >>> points = [{"alignment": alignment, "cider_d": cider} for alignment, cider in tried]
    >>> most_aligned(points, plain=1.0, max_loss=0.1), most_aligned(points, plain=1.0, max_loss=0.0)
    (1, 0)
    """
    kept = [i for i, point in enumerate(points) if point["cider_d"] >= (1 - max_loss) * plain - 1e-12]
    if not kept:
        return max(range(len(points)), key=lambda i: points[i]["cider_d"])
    return max(kept, key=lambda i: (points[i]["alignment"], points[i]["cider_d"]))
