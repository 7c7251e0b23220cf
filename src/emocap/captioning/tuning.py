"""Choice of guidance and re-ranking strength on images of their own.

The ranker selects the setting, by whether the requested emotion is among those of highest lift; the judge only reports.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emocap.captioning.candidates import CandidateGenerator, Candidates
from emocap.captioning.checkpoint import GenerationConfig
from emocap.captioning.eval_set import EvalSet
from emocap.captioning.judging import Judge
from emocap.captioning.metrics import cider_d
from emocap.captioning.scores import N_BOOTSTRAP, alignment_hits, estimate, select_operating_point
from emocap.captioning.systems import EmotionRanker
from emocap.progress import track
from emocap.pseudo_labels.lift import LiftScale, lift

logger = logging.getLogger("emocap")


def choose_generation_config(
    generator: CandidateGenerator,
    eval_set: EvalSet,
    judge: Judge,
    labels: Sequence[str],
    scale: LiftScale,
    *,
    guidance: Sequence[float],
    strength: Sequence[float],
    max_loss: float,
    seed: int,
) -> tuple[GenerationConfig, dict[str, Any]]:
    """The setting of highest alignment whose loss of CIDEr-D is at most `max_loss`, and the scores of all settings.

    Args:
        labels: E emotions.
        scale: of the ranker's logits over captions of other images.
        guidance, strength: the values of the grid.
        max_loss: relative to the captioner without an emotion.
        seed: of the bootstrap.
    """
    n = len(eval_set.images)
    draws = np.random.default_rng(seed).integers(n, size=(N_BOOTSTRAP, n))
    plain = generator.captions(eval_set.features, [[] for _ in eval_set.images])
    without_emotion = _judged(plain, eval_set, judge, draws)
    reference = without_emotion["cider_d"]["mean"]
    points: list[dict[str, Any]] = []
    for value in track(guidance, "captions: guidance", len(guidance), "values"):
        candidates = generator.generate(eval_set.features, [[emotion] for emotion in eval_set.emotions], value)
        probabilities = generator.probabilities(eval_set.features, candidates)
        for weight in strength:
            ranker = ranker_of(generator, labels, weight, scale)
            point = _score_point(candidates, probabilities, eval_set, judge, ranker, scale, draws)
            points.append({"guidance": value, "strength": weight} | point)
    means = [{key: point[key]["mean"] for key in ("alignment", "cider_d")} for point in points]
    index = select_operating_point(means, reference, max_loss)
    chosen = replace(generator.config, guidance=points[index]["guidance"], strength=points[index]["strength"])
    if means[index]["cider_d"] < (1 - max_loss) * reference:
        logger.warning(
            "captions: every setting loses more than %.0f%% of CIDEr-D; guidance %g and strength %g lose least",
            100 * max_loss,
            chosen.guidance,
            chosen.strength,
        )
    return chosen, {"n_images": n, "plain": without_emotion, "points": points}


def ranker_of(generator: CandidateGenerator, labels: Sequence[str], strength: float, scale: LiftScale) -> EmotionRanker:
    """How candidates are ranked: by lift only where the generator's configuration says so."""
    return EmotionRanker(labels, strength, scale if generator.config.rerank == "lift" else None)


def _score_point(
    candidates: Sequence[Candidates],
    probabilities: Sequence[np.ndarray],
    eval_set: EvalSet,
    judge: Judge,
    ranker: EmotionRanker,
    scale: LiftScale,
    draws: np.ndarray,
) -> dict[str, Any]:
    """Alignment by the ranker's lift and by the judge, and CIDEr-D, of the best candidates at one strength."""
    numbers = ranker.best(candidates, probabilities, eval_set.emotions)
    captions = [own.captions[number] for own, number in zip(candidates, numbers, strict=True)]
    by_ranker = np.stack([p[number] for p, number in zip(probabilities, numbers, strict=True)])
    hits = alignment_hits(lift(by_ranker, scale), eval_set.emotions)
    return {"alignment": estimate(hits, draws)} | _judged(captions, eval_set, judge, draws)


def _judged(captions: Sequence[str], eval_set: EvalSet, judge: Judge, draws: np.ndarray) -> dict[str, Any]:
    probabilities = judge.probabilities(captions)
    return {
        "judged_alignment": estimate(alignment_hits(probabilities, eval_set.emotions), draws),
        "judged_lift_alignment": estimate(alignment_hits(judge.lift(captions), eval_set.emotions), draws),
        "cider_d": estimate(cider_d(captions, eval_set.references), draws),
    }
