"""The stage that fits the baselines, saves them as model folders, and predicts the held-out pairs with them."""

import logging

import numpy as np

from emocap.classifiers.baseline_files import save_baseline
from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import write_array
from emocap.study.model_card import model_card, validation_calibration
from emocap.study.unit import HELD_OUT, Unit

logger = logging.getLogger("emocap")


def baselines(study: Unit) -> None:
    """Fit the baselines on the training pairs' captions, save each with its calibration, and predict the held-out ones.

    The probabilities in the files are uncalibrated, as for every model.
    """
    settings = study.config.baselines
    embed = sentence_vectors(settings.vectors) if {"vectors", "neighbours"} & set(settings.names) else None
    train_pairs, validation = study.part("train"), study.part("validation")
    for name in settings.all_names:
        fitted = fit_baseline(
            name,
            train_pairs.captions,
            study.truth("train"),
            validation.captions,
            study.truth("validation"),
            embed=embed,
            seed=study.seed,
        )
        folder = study.run / "baselines" / name
        predictions = {part: fitted(study.part(part).captions).astype(np.float32) for part in HELD_OUT}
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
        save_baseline(folder / "model", fitted, card)
        logger.info("baselines: fitted %s", name)
