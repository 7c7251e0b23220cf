"""The stages that train the teacher on the target, on images with captions and on captions alone."""

from dataclasses import replace

from emocap.study.stages.fitting import fit_on_target, start_at_frequencies
from emocap.study.training_unit import TrainingUnit


def teacher(study: TrainingUnit) -> None:
    """Train the teacher on the target."""
    fit_teacher(study, "teacher", study.seed)


def teacher_text(study: TrainingUnit) -> None:
    """Train the same model on the target's captions alone."""
    alone = replace(study, config=study.config.model_copy(update={"features": None}))
    fit_teacher(alone, "teacher_text", study.seed)


def fit_teacher(study: TrainingUnit, run: str, seed: int, *, keep_model: bool = True) -> None:
    """Fine-tune the whole backbone on the target, without a student."""
    model, tokenizer = study.fresh_model(seed, role="teacher")
    start_at_frequencies(model, study.training_targets("train"))
    fit_on_target(study, run, model, tokenizer, study.config.teacher, seed=seed, keep_model=keep_model)
