"""The optimiser: parameter groups with their own peak learning rate and weight decay."""

import re

import torch
from torch import nn

from emocap.training.settings import TrainSettings

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_REGIONS = re.compile(r"(^|\.)(embeddings\.visual_|visual_embeddings\.)")
_EMBEDDINGS = re.compile(r"(^visual_|\.)embeddings(_project)?\.")


def build_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters that require gradients."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    n_layers = 1 + max(
        (int(layer) for name, _ in model.named_parameters() for layer in _LAYER.findall(name)), default=-1
    )
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = _learning_rate(name, n_layers, settings)
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    parameters = [{"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()]
    optimizer_class = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return optimizer_class(parameters, lr=settings.learning_rate, fused=True)


def _learning_rate(name: str, n_layers: int, settings: TrainSettings) -> float:
    """The peak learning rate of the parameter of that name."""
    if name.startswith(("fc.", "decoder.")):
        return settings.head_learning_rate or settings.learning_rate
    if settings.visual_learning_rate is not None and _REGIONS.search(name):
        return settings.visual_learning_rate
    if settings.layer_decay is None:
        return settings.learning_rate
    depth = 0 if _EMBEDDINGS.search(name) else n_layers
    if layer := _LAYER.search(name):
        depth = int(layer[1]) + 1
    return settings.learning_rate * settings.layer_decay ** (n_layers - depth)
