"""The stage that pre-trains the student on the pseudo-labelled sample."""

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.study.stages.fitting import finish, pretrain, start_at_pseudo_labels
from emocap.study.stages.photographs import composed
from emocap.study.stages.selection import selected
from emocap.study.training_unit import TrainingUnit


def student(study: TrainingUnit) -> None:
    """Pre-train the student on the pseudo-labelled sample, or on what `photographs` made of it."""
    sample, targets = (selected if study.config.pseudo_labels.photographs is None else composed)(study)
    pretrain_student(study, "student", sample, "source", targets)


def pretrain_student(study: TrainingUnit, name: str, pairs: Pairs, domain: str, targets: np.ndarray) -> None:
    """Train a fresh model on pseudo-labels, and save it.

    Args:
        name: of the model.
        pairs: M pairs of a domain.
        targets: (M, E) float32.
    """
    model, tokenizer = study.fresh_model(study.seed + 1)
    targets = start_at_pseudo_labels(study, model, targets)
    settings = study.config.student
    training = study.dataset(tokenizer, pairs, domain, targets)
    history = pretrain(study, name, model, training, settings, study.seed, len(study.ratings))
    finish(study, name, model, tokenizer, history, settings.eval_batch_size)


def repeated_rows(n: int, needed: int, generator: np.random.Generator) -> np.ndarray:
    """(needed,) numbers of n pairs in random order, none again before all others had their turn.

    >>> sorted(repeated_rows(3, 5, np.random.default_rng(0))[:3].tolist())
    [0, 1, 2]
    """
    passes = [generator.permutation(n) for _ in range(-(-needed // n))]
    return np.concatenate(passes)[:needed]
