"""The stage that fits the baselines, saves them as model folders, and predicts the held-out pairs with them."""

import logging
from dataclasses import replace

import numpy as np

from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.baseline_files import save_baseline
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.extra_pairs import ExtraPairs
from emocap.evaluation.fitted_baselines import FittedBaseline
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import write_array
from emocap.study.model_card import feature_card, model_card, validation_calibration
from emocap.study.unit import HELD_OUT, Unit

READ_VECTORS = ("vectors", "neighbours", "vectors_image")
READ_LABELLED_SOURCE = ("image_probe_labelled",)

logger = logging.getLogger("emocap")


def baselines(study: Unit) -> None:
    """Fit the baselines on the training pairs, save each with its calibration, and predict the held-out pairs.

    The probabilities in the files are uncalibrated, as for every model.
    """
    for name in study.config.baseline_names:
        fitted = fit(study, name)
        folder = study.run / "baselines" / name
        predictions = {part: predict(study, fitted, part) for part in HELD_OUT}
        for part, probabilities in predictions.items():
            write_array(folder / f"{part}_probabilities.npy", probabilities)
        card = model_card(
            study,
            name,
            name,
            validation_calibration(study, predictions["validation"], scaled=name != "prior"),
            language=study.language,
            synthetic=study.is_synthetic,
        )
        if fitted.images is not None:
            card = replace(card, features=feature_card(study.store("target")), uses_captions=fitted.read is not None)
        save_baseline(folder / "model", fitted, card)
        logger.info("baselines: fitted %s", name)


def fit(study: Unit, name: str) -> FittedBaseline:
    """A baseline fitted on a unit's training pairs, with its setting from the validation pairs."""
    training, validation = study.part("train"), study.part("validation")
    return fit_baseline(
        name,
        training.captions,
        study.truth("train"),
        validation.captions,
        study.truth("validation"),
        embed=sentence_vectors(study.config.baselines.vectors) if name in READ_VECTORS else None,
        features=StoredFeatures(study.store("target"), training.images),
        validation_features=StoredFeatures(study.store("target"), validation.images),
        ratings=study.true_ratings("train"),
        validation_ratings=study.true_ratings("validation"),
        extra=labelled_pairs(study) if name in READ_LABELLED_SOURCE else None,
        seed=study.seed,
    )


def labelled_pairs(study: Unit) -> ExtraPairs:
    """The labelled source's pairs, of which none shares an image with the target, with the target's outputs by name."""
    pairs, own = study.pairs("labelled_source"), study.labelled_vocabulary
    emotions = study.labelled_emotions
    truth = np.full((len(pairs), len(study.vocabulary)), np.nan)
    for column, label in enumerate(study.vocabulary.labels):
        if label in own.labels:
            truth[:, column] = emotions[:, own.labels.index(label)]
    features = StoredFeatures(study.store("labelled_source"), pairs.images)
    return ExtraPairs(features, truth, pairs.rating_values(study.ratings.names))


def predict(study: Unit, fitted: FittedBaseline, part: str) -> np.ndarray:
    """(N, E + R) float32 predictions for a part of the target."""
    pairs = study.part(part)
    return fitted(pairs.captions, StoredFeatures(study.store("target"), pairs.images)).astype(np.float32)
