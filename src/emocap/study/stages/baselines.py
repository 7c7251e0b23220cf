"""The stage that fits the baselines and predicts the held-out pairs with them."""

import logging

import numpy as np

from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import write_array
from emocap.study.unit import HELD_OUT, Unit

logger = logging.getLogger("emocap")


def baselines(study: Unit) -> None:
    """Fit the baselines on the training pairs' captions and predict the held-out ones."""
    settings = study.config.baselines
    embed = sentence_vectors(settings.vectors) if {"vectors", "neighbours"} & set(settings.names) else None
    train_pairs, validation = study.part("train"), study.part("validation")
    for name in settings.all_names:
        predict = fit_baseline(
            name,
            train_pairs.captions,
            study.truth("train"),
            validation.captions,
            study.truth("validation"),
            embed=embed,
            seed=study.seed,
        )
        for part in HELD_OUT:
            path = study.run / "baselines" / name / f"{part}_probabilities.npy"
            write_array(path, predict(study.part(part).captions).astype(np.float32))
        logger.info("baselines: fitted %s", name)
