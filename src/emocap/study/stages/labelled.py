"""The stage that trains a model on the labelled source's own emotions."""

import numpy as np

from emocap.files import write_json
from emocap.study.stages.fitting import pretrain, start_at_frequencies
from emocap.study.training_unit import TrainingUnit
from emocap.training.losses import build_loss
from emocap.training.resume import discard_checkpoints


def labelled(study: TrainingUnit) -> None:
    """Train a model on the labelled source's own emotions and ratings; its layers can be transferred to the target."""
    pairs, vocabulary, settings = study.pairs("labelled_source"), study.labelled_vocabulary, study.config.labelled
    ratings, emotions = study.labelled_ratings, study.labelled_emotions
    targets = np.concatenate([emotions, pairs.rating_values(ratings.names)], axis=1).astype(np.float32)
    model, tokenizer = study.fresh_model(study.config.seed + 3, vocabulary, ratings, role="labelled")
    start_at_frequencies(model, targets)
    training = study.dataset(tokenizer, pairs, "labelled_source", targets)
    where = "the labelled source's pairs"
    loss = build_loss(settings.loss, targets, where, n_ratings=len(ratings), unknown_emotions=True)
    history = pretrain(study, "labelled", model, training, settings, study.config.seed, len(ratings), loss)
    frequencies = np.nanmean(emotions, axis=0)
    study.save("labelled", model, tokenizer, vocabulary=vocabulary, ratings=ratings, frequencies=frequencies)
    write_json(study.folder("labelled") / "history.json", history)
    discard_checkpoints(study.folder("labelled"))
