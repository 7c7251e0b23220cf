"""Moving a student's layers to the target (Yosinski et al. 2014): AnB keeps them frozen, AnB+ trains them on.

`n_transferred` counts encoder layers from below; the embeddings always move with them, the pooler only with all of
them. Layers above are re-initialised, and so is `fc` unless it is asked to move. `unfreeze` is for what follows a
frozen run: first the head, then everything (LP-FT, Kumar et al. 2022, arXiv 2202.10054).
"""

import copy

import torch
from torch import nn

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.models.classifier import VisualBertForEmotion


def transfer(
    student: VisualBertForEmotion,
    n_transferred: int | None = None,
    *,
    freeze: bool,
    copy_head: bool = False,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
) -> VisualBertForEmotion:
    """A new model with the student's lowest layers.

    Args:
        student: the model to copy from; it is left as it is.
        n_transferred: 0 to the number of encoder layers; None means all.
        freeze: True for AnB, False for AnB+.
        copy_head: also copy `fc`, which needs the student's vocabulary to be the target's.
        seed: of the re-initialised parts.
        vocabulary: of the target; None means the student's own. Another gives `fc` its width and the configuration
            its labels.

    Raises:
        EmocapError: `n_transferred` is out of range, or `fc` is to be copied to another vocabulary.
    """
    model = copy.deepcopy(student)
    if vocabulary is not None and list(vocabulary.labels) != list(model.config.id2label.values()):
        if copy_head:
            raise EmocapError(
                f"transfer.head is copied, but the student's emotions ({model.config.num_labels}) are not the target's "
                f"({len(vocabulary)}), or not in their order; use fresh"
            )
        _give_vocabulary(model, vocabulary)
    unfreeze(model)
    encoder = model.visualbert
    layers = list(encoder.encoder.layer)
    n = len(layers) if n_transferred is None else n_transferred
    if not 0 <= n <= len(layers):
        raise EmocapError(
            f"transfer.n_transferred is {n}, but the student has {len(layers)} layers; choose 0 to {len(layers)}"
        )
    fresh: list[nn.Module] = layers[n:]
    moved: list[nn.Module] = [encoder.embeddings, *layers[:n]]
    (moved if n == len(layers) else fresh).append(encoder.pooler)
    if not copy_head:
        fresh.append(model.fc)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in fresh:
            initialise(module, encoder.config.initializer_range)
    if freeze:
        model.freeze(moved)
    return model


def _give_vocabulary(model: VisualBertForEmotion, vocabulary: Vocabulary) -> None:
    """Put an undrawn `fc` of another vocabulary in the place of the old one."""
    labels = vocabulary.labels
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    old = model.fc
    # Without a draw, so that neither the caller's numbers nor those of the re-initialised layers depend on the labels.
    model.fc = nn.utils.skip_init(
        nn.Linear, old.in_features, len(labels), device=old.weight.device, dtype=old.weight.dtype
    )


def unfreeze(model: VisualBertForEmotion) -> None:
    """Let every parameter train again."""
    model.freeze([])
    model.requires_grad_(True)


def initialise(module: nn.Module, deviation: float) -> None:
    """Draw a module's parameters as BERT does: weights from N(0, deviation^2), biases 0, layer norms the identity."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=deviation)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)


def is_head_only(model: VisualBertForEmotion) -> bool:
    """Whether `fc` is all that trains, so that the encoder need run only once."""
    used = [model.visualbert.embeddings, model.visualbert.encoder]
    if model.pooling == "pooler":
        used.append(model.visualbert.pooler)
    return not any(parameter.requires_grad for module in used for parameter in module.parameters())
