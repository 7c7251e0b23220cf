"""Choice of guidance and re-ranking strength on images of their own.

The ranker selects the setting; the judge only reports.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from emocap.captioning.candidates import CandidateGenerator, Candidates
from emocap.captioning.checkpoint import GenerationConfig
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.metrics import cider_d
from emocap.captioning.scores import N_BOOTSTRAP, alignment_hits, estimate, select_operating_point
from emocap.captioning.systems import most_faithful
from emocap.evaluation.baselines import PredictFunction
from emocap.progress import track

logger = logging.getLogger("emocap")


def choose_generation_config(
    generator: CandidateGenerator,
    eval_set: EvalSet,
    judge: PredictFunction,
    labels: Sequence[str],
    *,
    guidance: Sequence[float],
    strength: Sequence[float],
    max_loss: float,
    seed: int,
) -> tuple[GenerationConfig, dict[str, Any]]:
    """The setting of highest alignment whose loss of CIDEr-D is at most `max_loss`, and the scores of all settings.

    Args:
        labels: E emotions.
        guidance, strength: the values of the grid.
        max_loss: relative to the captioner without an emotion.
        seed: of the bootstrap.
    """
    n = len(eval_set.images)
    draws = np.random.default_rng(seed).integers(n, size=(N_BOOTSTRAP, n))
    plain = most_faithful(generator, eval_set.features, [[] for _ in eval_set.images])
    without_emotion = {
        "cider_d": estimate(cider_d(plain, eval_set.references), draws),
        "judged_alignment": estimate(alignment_hits(judge(plain), eval_set.emotions), draws),
    }
    reference = without_emotion["cider_d"]["mean"]
    points: list[dict[str, Any]] = []
    for scale in track(guidance, "captions: guidance", len(guidance), "values"):
        candidates = generator.generate(eval_set.features, [[emotion] for emotion in eval_set.emotions], scale)
        probabilities = generator.probabilities(eval_set.features, candidates)
        points += [
            {"guidance": scale, "strength": weight}
            | _score_point(candidates, probabilities, eval_set, judge, labels, weight, draws)
            for weight in strength
        ]
    means = [{key: point[key]["mean"] for key in ("alignment", "cider_d")} for point in points]
    index = select_operating_point(means, reference, max_loss)
    chosen = GenerationConfig(points[index]["guidance"], points[index]["strength"])
    if means[index]["cider_d"] < (1 - max_loss) * reference:
        logger.warning(
            "captions: every setting loses more than %.0f%% of CIDEr-D; guidance %g and strength %g lose least",
            100 * max_loss,
            chosen.guidance,
            chosen.strength,
        )
    return chosen, {"n_images": n, "plain": without_emotion, "points": points}


def _score_point(
    candidates: Sequence[Candidates],
    probabilities: Sequence[np.ndarray],
    eval_set: EvalSet,
    judge: PredictFunction,
    labels: Sequence[str],
    strength: float,
    draws: np.ndarray,
) -> dict[str, Any]:
    """Alignment by the ranker and by the judge, and CIDEr-D, of the best candidates at one strength."""
    best = [
        own.best(p, labels, emotion, strength)
        for own, p, emotion in zip(candidates, probabilities, eval_set.emotions, strict=True)
    ]
    captions = [candidate.caption for candidate in best]
    by_ranker = np.stack([p[candidate.number] for p, candidate in zip(probabilities, best, strict=True)])
    return {
        "alignment": estimate(alignment_hits(by_ranker, eval_set.emotions), draws),
        "judged_alignment": estimate(alignment_hits(judge(captions), eval_set.emotions), draws),
        "cider_d": estimate(cider_d(captions, eval_set.references), draws),
    }
