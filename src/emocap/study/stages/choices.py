"""Which models a report is about, compares with and recommends; validation pairs decide, never test pairs."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from emocap.study.stages.held_out import HeldOut

if TYPE_CHECKING:
    from emocap.study.config.study import StudyConfig

BEST_BASELINE = "best_baseline"


def chosen(config: "StudyConfig", validation: Mapping[str, float]) -> str:
    """The trained model that represents the study.

    The ensemble where there is one, since its members are fixed beforehand. Else the best on the validation pairs of a
    single split; over folds, whose validation pairs are test pairs of others, the last model of the study.
    """
    if config.members:
        return "ensemble"
    return config.models[-1] if config.folds is not None else max(config.models, key=validation.__getitem__)


def recommended(validation: Mapping[str, float]) -> str:
    """The model for use: the highest validation score of all but the prior, the first of equal ones.

    The score is the mean over units of mean average precision, in a study of ratings alone of Pearson's r.

    >>> recommended({"prior": 0.9, "tfidf": 0.3, "teacher": 0.2})
    'tfidf'
    """
    candidates = {name: score for name, score in validation.items() if name not in ("prior", BEST_BASELINE)}
    return max(candidates, key=lambda name: _comparable(candidates[name]))


def best_baselines(baselines: Mapping[str, HeldOut]) -> list[str]:
    """For each unit the baseline of highest score on its validation pairs, the first of equal ones."""
    n_units = len(next(iter(baselines.values())).units)
    return [
        max(baselines, key=lambda name: _comparable(baselines[name].units[unit].validation)) for unit in range(n_units)
    ]


def comparison_baseline(baselines: Mapping[str, HeldOut]) -> tuple[str, dict[str, int], HeldOut]:
    """What trained models are compared with.

    Which baseline is best is as uncertain as any score. Chosen on the pairs on which it is then compared it has an
    unfair advantage, so that on noise a model would be "worse than the best baseline" far too often.

    Args:
        baselines: the prior and all others, of the same units.

    Returns:
        The baseline that every unit chose, or "best_baseline" where they differ; how many units chose each; and its
        predictions, in each unit those of the baseline chosen there.
    """
    picked = best_baselines(baselines)
    chosen_in = dict(Counter(picked))
    if len(chosen_in) == 1:
        return picked[0], chosen_in, baselines[picked[0]]
    parts = [baselines[name].units[unit] for unit, name in enumerate(picked)]
    return BEST_BASELINE, chosen_in, HeldOut(parts)


def _comparable(score: float) -> float:
    return -np.inf if np.isnan(score) else score
