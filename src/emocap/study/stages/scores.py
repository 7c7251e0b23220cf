"""The stage that scores every source pair with the teacher."""

import logging

from emocap.files import write_array
from emocap.pseudo_labels.score import score
from emocap.study.training_unit import TrainingUnit

logger = logging.getLogger("emocap")


def scores(study: TrainingUnit) -> None:
    """Write the teacher's probabilities for every source pair."""
    folder = study.run / "scores"
    saved, store = study.load("teacher"), study.store("source")
    if saved.card.features is None and store is not None:
        logger.info("scores: the teacher was trained on captions alone, so it scores the source's captions alone")
        store = None
    probabilities = score(saved, study.pairs("source"), store, folder, study.config.teacher.eval_batch_size)
    write_array(folder / "probabilities.npy", probabilities)
