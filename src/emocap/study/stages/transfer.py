"""The stages that move layers back to the target (Yosinski et al. 2014): frozen (AnB) or fine-tuned (AnB+)."""

from typing import TYPE_CHECKING

from emocap.study.stages.fitting import fit_on_target, move_layers
from emocap.study.training_unit import TrainingUnit

if TYPE_CHECKING:
    from emocap.study.models import StudyModel


def back_to_target(study: TrainingUnit, entry: "StudyModel") -> None:
    """Copy the lowest layers of the model that `entry` starts from, and train on the target as it says."""
    assert entry.starts_from is not None, "it is a model with copied layers"
    saved = study.load(entry.starts_from)
    model = move_layers(
        study,
        saved.model,
        study.config.transfer.n_transferred,
        freeze=entry.frozen,
        copy_head=study.config.transfer.head == "copied" and study.models[entry.starts_from].kind == "study",
        seed=study.seed + 2,
    )
    fit_on_target(study, entry.name, model, saved.tokenizer, study.config.training_settings(entry.name))
