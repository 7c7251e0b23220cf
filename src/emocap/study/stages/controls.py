"""The stages that pre-train the controls' students: on the target's own texts, and on pseudo-labels of other pairs.

Both are trained as the student is, with its settings, seeds and number of steps. The first sees no source, so that what
AnB+ gains over the same from it is what the source adds; the second sees the source's texts with wrong pseudo-labels.
"""

import numpy as np

from emocap.study.stages.selection import selected
from emocap.study.stages.student import pretrain_student, repeated_rows
from emocap.study.training_unit import TrainingUnit
from emocap.training.predict import predict_calibrated


def student_of_own_texts(study: TrainingUnit) -> None:
    """Pre-train on the teacher's probabilities of all emotions for the target's training pairs."""
    sample, _ = selected(study)
    saved, pairs = study.load("teacher"), study.part("train")
    dataset = study.dataset(saved.tokenizer, pairs, "target")
    batch = study.config.teacher.eval_batch_size
    targets = predict_calibrated(saved, dataset, batch, "the teacher's labels of its training pairs")
    rows = repeated_rows(len(pairs), len(sample), np.random.default_rng([study.seed, 4]))
    pretrain_student(study, "student_own", pairs.select(rows), "target", targets[rows])


def student_of_shuffled_labels(study: TrainingUnit) -> None:
    """Pre-train on the pseudo-labelled sample, each pair with the pseudo-labels of another."""
    sample, targets = selected(study)
    order = np.random.default_rng([study.seed, 1]).permutation(len(targets))
    pretrain_student(study, "student_shuffled", sample, "source", targets[order])
