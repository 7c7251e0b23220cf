"""The stage that pre-trains the student on the pseudo-labelled sample."""

from emocap.study.stages.fitting import finish, pretrain, start_at_pseudo_labels
from emocap.study.stages.selection import selected
from emocap.study.training_unit import TrainingUnit


def student(study: TrainingUnit) -> None:
    """Pre-train the student on the pseudo-labelled sample."""
    sample, targets = selected(study)
    model, tokenizer = study.fresh_model(study.seed + 1)
    targets = start_at_pseudo_labels(study, model, targets)
    settings = study.config.student
    training = study.dataset(tokenizer, sample, "source", targets)
    history = pretrain(study, "student", model, training, settings, study.seed, len(study.ratings))
    finish(study, "student", model, tokenizer, history, settings.eval_batch_size)
