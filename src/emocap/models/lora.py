"""Low-rank updates of an encoder (LoRA, Hu et al. 2021, arXiv 2106.09685) by peft, merged when training ends.

Trained are the updates of the copied layers' matrices, the embeddings of regions, `fc`, and, where not all layers were
copied, the layers above them as a whole. Left out: adapters that are saved apart from their model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from emocap.errors import EmocapError
from emocap.models.classifier import EmotionNetwork


@contextmanager
def low_rank_updates(
    model: EmotionNetwork, *, rank: int, alpha: float, dropout: float, targets: Sequence[str] | None = None
) -> Iterator[None]:
    """Within the block only updates of rank `rank` are trained; after it the model is one of its class again, changed.

    Args:
        model: changed in place.
        rank: of the update of each matrix.
        alpha: the update is scaled by alpha / rank.
        dropout: of the updates' inputs.
        targets: last names of the linear layers that are updated, such as "query"; None means all of an encoder layer.

    Raises:
        EmocapError: `targets` names none of the model's linear layers.
    """
    from peft import LoraConfig, inject_adapter_in_model

    trained = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    n_copied = len(model.layers) if model.n_copied is None else model.n_copied
    above = [*model.layers[n_copied:], *(model.upper if n_copied < len(model.layers) else [])]
    matrices = _matrices(model, model.layers[:n_copied], targets)
    if matrices:
        inject_adapter_in_model(
            LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=matrices, bias="none"), model
        )
    whole = {id(parameter) for module in (*above, model.fc) for parameter in module.parameters()}
    for name, parameter in model.named_parameters():
        is_update = ".lora_" in name
        parameter.requires_grad_(is_update or id(parameter) in whole or name.startswith(model.visual_names))
    try:
        yield
    finally:
        _merge(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trained[name])


def _matrices(model: EmotionNetwork, layers: list[nn.Module], targets: Sequence[str] | None) -> list[str]:
    """The full names of the linear layers to update; the pooler's too where it is used and all layers are copied."""
    parts = list(layers)
    if model.pooling == "pooler" and model.pooler is not None and len(layers) == len(model.layers):
        parts.append(model.pooler)
    inside = {id(module) for part in parts for module in part.modules()}
    linear = [name for name, module in model.named_modules() if id(module) in inside and isinstance(module, nn.Linear)]
    known = sorted({name.rpartition(".")[2] for name in linear})
    unknown = [name for name in targets or () if name not in known]
    if layers and unknown:
        raise EmocapError(f"lora.targets names {unknown[0]!r}, but the encoder's linear layers are {', '.join(known)}")
    return [name for name in linear if targets is None or name.rpartition(".")[2] in targets]


def _merge(model: EmotionNetwork) -> None:
    """Add each update to its matrix, and put the matrix back in its place."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            holder, _, own_name = name.rpartition(".")
            setattr(model.get_submodule(holder), own_name, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
