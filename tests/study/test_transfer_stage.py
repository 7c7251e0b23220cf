"""The stages that move layers to the target: outputs of the same name are copied from another vocabulary's model."""

from types import SimpleNamespace

import torch
from torch import nn

from emocap.study.stages.transfer import copy_outputs


def test_outputs_of_the_same_name_are_copied() -> None:
    torch.manual_seed(0)
    base, model = SimpleNamespace(fc=nn.Linear(4, 3)), SimpleNamespace(fc=nn.Linear(4, 2))
    before = {name: values.clone() for name, values in model.fc.state_dict().items()}
    copy_outputs(model, ["awe", "valence"], base, ["joy", "valence", "arousal"])
    for name, values in model.fc.state_dict().items():
        assert torch.equal(values[1], base.fc.state_dict()[name][1]), "valence"
        assert torch.equal(values[0], before[name][0]), "awe is not an output of the other model"
