"""What candidates score on shuffled labels: the chance level of the best of several, by permutations.

Macro-F1 of random answers exceeds that of the prior, which names one emotion only, so that the prior alone would not
show that nothing was learned. The best of all candidates is taken in each permutation, as it is in the choice
(Westfall and Young 1993, "Resampling-Based Multiple Testing").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emocap.evaluation.rating_metrics import mean_pearson_r
from emocap.fitting.choice import Scored
from emocap.fitting.scores import emotion_score
from emocap.fitting.table import LabelledTable

N_PERMUTATIONS = 100


@dataclass(frozen=True)
class Chance:
    """The chance level.

    Attributes:
        score: mean over permutations of the best score of any candidate.
        share_as_good: share of permutations in which it is at least that of the chosen one on the true labels.
    """

    score: float
    share_as_good: float


def chance_level(
    table: LabelledTable, rows: np.ndarray, scored: Sequence[Scored], chosen: Scored, seed: int = 0
) -> Chance:
    """The chance level of M held-out rows (M,), whose labels are shuffled among them."""
    generator = np.random.default_rng(seed)
    best = []
    for _ in range(N_PERMUTATIONS):
        shuffled = generator.permutation(rows)
        if len(table.vocabulary):
            score, truth = emotion_score(table.is_single), table.truth[shuffled]
            scores = [score(one.probabilities, truth) for one in scored]
        else:
            scores = [mean_pearson_r(one.ratings, table.rating_values[shuffled]) for one in scored]
        best.append(np.nanmax(scores))
    return Chance(float(np.mean(best)), float(np.mean(np.array(best) >= chosen.score)))
