"""The card of a model that a unit of a study trained or fitted, and its calibration on the unit's validation pairs."""

import numpy as np

from emocap.emotions import Vocabulary
from emocap.evaluation.calibration import Calibration, calibrate, uncalibrated
from emocap.ratings import NO_RATINGS, Ratings
from emocap.regions.store.reader import FeatureStore
from emocap.study.unit import Unit
from emocap.training.checkpoint import CalibrationCard, FeatureCard, ModelCard


def model_card(
    unit: Unit,
    name: str,
    kind: str,
    calibration: Calibration | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    ratings: Ratings = NO_RATINGS,
    frequencies: np.ndarray | None = None,
    language: str | None = None,
    synthetic: bool = False,
) -> ModelCard:
    """The card of a model that reads whole captions alone; others replace what differs.

    Args:
        name: of the model in its study.
        kind: of `emocap.classifiers`.
        calibration: scaling and thresholds from the validation pairs; None means none, and 0.5.
        vocabulary: its emotions; None means the target's, with the target's ratings.
        ratings: beside a vocabulary, its ratings.
        frequencies: (E,) of the emotions in its training pairs; None means the target's training pairs.
        language: of its training captions, ISO 639-1; None if unknown.
        synthetic: whether emocap drew the corpus that it was trained on.
    """
    if vocabulary is None:
        vocabulary, ratings = unit.vocabulary, unit.ratings
    if frequencies is None:
        frequencies = unit.truth("train").mean(axis=0)
    fitted = calibration or uncalibrated(len(vocabulary))
    return ModelCard(
        labels=list(vocabulary.labels),
        vocabulary=vocabulary.hash,
        max_length=0,
        features=None,
        run=name,
        training={"study": unit.config.name, "seed": unit.seed, "fold": unit.fold},
        frequencies=[float(share) for share in frequencies],
        calibration=calibration_card(fitted),
        threshold=fitted.threshold,
        thresholds=fitted.thresholds.tolist() if calibration is not None else None,
        kind=kind,
        language=language,
        synthetic=synthetic,
        ratings=ratings.ranges,
    )


def feature_card(store: FeatureStore | None) -> FeatureCard | None:
    """What a model's card says of the store that it was trained on; None without one."""
    if store is None:
        return None
    header = store.header
    return {
        "fingerprint": store.fingerprint,
        "extractor": header.extractor,
        "settings": dict(header.settings),
        "dim": header.dim,
    }


def calibration_card(fitted: Calibration) -> CalibrationCard | None:
    """What a model's card says of its calibration; None where nothing is scaled."""
    if not fitted.is_scaled:
        return None
    slopes, offsets = fitted.scaling.slopes, fitted.scaling.offsets
    return {"method": fitted.method, "slopes": slopes.tolist(), "offsets": offsets.tolist()}


def validation_calibration(unit: Unit, probabilities: np.ndarray, *, scaled: bool = True) -> Calibration:
    """Scaling and thresholds of a model, from its outputs (N, E + R) for the validation pairs.

    Args:
        scaled: False scales nothing.
    """
    groups = [unit.groups[row] for row in unit.rows["validation"]]
    truth = unit.truth("validation")
    return calibrate(probabilities[:, : truth.shape[1]], truth, groups=groups, scaled=scaled)
