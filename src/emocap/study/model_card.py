"""The card of a model that a unit of a study trained or fitted, and its calibration on the unit's validation pairs."""

import numpy as np

from emocap.emotions import Vocabulary
from emocap.evaluation.calibration import Calibration, calibrate
from emocap.study.unit import Unit
from emocap.training.checkpoint import ModelCard


def model_card(
    unit: Unit,
    name: str,
    kind: str,
    calibration: Calibration | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    frequencies: np.ndarray | None = None,
    language: str | None = None,
    synthetic: bool = False,
) -> ModelCard:
    """The card of a model that reads whole captions alone; others replace what differs.

    Args:
        name: of the model in its study.
        kind: of `emocap.classifiers`.
        calibration: temperature and thresholds from the validation pairs; None leaves them at 1 and 0.5.
        vocabulary: its emotions; None means the target's.
        frequencies: (E,) of the emotions in its training pairs; None means the target's training pairs.
        language: of its training captions, ISO 639-1; None if unknown.
        synthetic: whether emocap drew the corpus that it was trained on.
    """
    vocabulary = vocabulary or unit.vocabulary
    if frequencies is None:
        frequencies = unit.truth("train").mean(axis=0)
    fitted = calibration or Calibration(1.0, 0.5, np.empty(0))
    return ModelCard(
        labels=list(vocabulary.labels),
        vocabulary=vocabulary.hash,
        max_length=0,
        features=None,
        run=name,
        training={"study": unit.config.name, "seed": unit.seed, "fold": unit.fold},
        frequencies=[float(share) for share in frequencies],
        temperature=fitted.temperature,
        threshold=fitted.threshold,
        thresholds=fitted.thresholds.tolist() if calibration is not None else None,
        kind=kind,
        language=language,
        synthetic=synthetic,
    )


def validation_calibration(unit: Unit, probabilities: np.ndarray, *, scaled: bool = True) -> Calibration:
    """Temperature and thresholds of a model, from its probabilities (N, E) for the validation pairs.

    Args:
        scaled: False keeps the temperature at 1.
    """
    groups = [unit.groups[row] for row in unit.rows["validation"]]
    return calibrate(probabilities, unit.truth("validation"), groups=groups, scaled=scaled)
