"""The stage that trains the teacher on the target."""

from emocap.study.stages.fitting import fit_on_target, start_at_frequencies
from emocap.study.training_unit import TrainingUnit


def teacher(study: TrainingUnit) -> None:
    """Train the teacher on the target."""
    fit_teacher(study, "teacher", study.seed)


def fit_teacher(study: TrainingUnit, run: str, seed: int, *, keep_model: bool = True) -> None:
    """Fine-tune the whole backbone on the target, without a student."""
    model, tokenizer = study.fresh_model(seed)
    start_at_frequencies(model, study.training_targets("train"))
    fit_on_target(study, run, model, tokenizer, study.config.teacher, seed=seed, keep_model=keep_model)
