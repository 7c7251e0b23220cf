"""The stage that fits the baselines and lets them predict the held-out pairs."""

import logging

import numpy as np

from emocap.evaluation.baselines import fit_baseline
from emocap.evaluation.sentence_vectors import sentence_vectors
from emocap.files import write_array
from emocap.study.stages.fitting import TESTED
from emocap.study.unit import Unit

logger = logging.getLogger("emocap")


def baselines(study: Unit) -> None:
    """Fit the baselines on the training pairs' captions and let them answer the held-out ones."""
    settings = study.config.baselines
    names = ["prior", *settings.names]
    embed = sentence_vectors(settings.vectors) if {"vectors", "neighbours"} & set(names) else None
    train_pairs, validation = study.part("train"), study.part("validation")
    for name in names:
        answer = fit_baseline(
            name,
            train_pairs.captions,
            study.truth("train"),
            validation.captions,
            study.truth("validation"),
            embed=embed,
            seed=study.seed,
        )
        for part in TESTED:
            path = study.run / "baselines" / name / f"{part}_probabilities.npy"
            write_array(path, answer(study.part(part).captions).astype(np.float32))
        logger.info("baselines: %s is fitted", name)
