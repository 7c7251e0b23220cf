"""The stages that move layers back to the target (Yosinski et al. 2014): frozen (AnB) or fine-tuned (AnB+)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from emocap.models.classifier import EmotionNetwork
from emocap.study.stages.fitting import fit_on_target, move_layers
from emocap.study.training_unit import TrainingUnit

if TYPE_CHECKING:
    from emocap.study.models import StudyModel


def back_to_target(study: TrainingUnit, entry: "StudyModel") -> None:
    """Copy the lowest layers of the model that `entry` starts from, and train on the target as it says."""
    assert entry.starts_from is not None, "it is a model with copied layers"
    saved = study.load(entry.starts_from)
    is_copied = study.config.transfer.head == "copied"
    same_outputs = study.models[entry.starts_from].kind != "pretraining"
    model = move_layers(
        study,
        saved.model,
        study.config.transfer.n_transferred,
        freeze=entry.frozen,
        copy_head=is_copied and same_outputs,
        seed=study.seed + 2,
    )
    if is_copied and not same_outputs:
        names = [*study.vocabulary.labels, *study.ratings.names]
        copy_outputs(model, names, saved.model, [*study.labelled_vocabulary.labels, *study.labelled_ratings.names])
    fit_on_target(study, entry.name, model, saved.tokenizer, study.config.training_settings(entry.name))


def copy_outputs(model: EmotionNetwork, names: Sequence[str], base: EmotionNetwork, base_names: Sequence[str]) -> None:
    """Copy the rows of `fc` of the emotions and ratings that both models have, by name; the others stay as they are.

    Args:
        names: of the model's E + R outputs, in order.
        base_names: the same of the model that is copied from.
    """
    shared = [(row, base_names.index(name)) for row, name in enumerate(names) if name in base_names]
    with torch.no_grad():
        for row, of_base in shared:
            model.fc.weight[row] = base.fc.weight[of_base]
            model.fc.bias[row] = base.fc.bias[of_base]
