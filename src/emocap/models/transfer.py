"""Transfer of a student's layers to the target (Yosinski et al. 2014): AnB freezes them, AnB+ fine-tunes them.

`n_transferred` counts encoder layers from the input; the embeddings are always copied, a pooler or a last layer norm
only with all of the layers. Layers above are re-initialised, and so is `fc` unless it is copied. `unfreeze` is for
fine-tuning after training with frozen layers: first the head, then everything (LP-FT, Kumar et al. 2022, arXiv
2202.10054).
"""

import copy

import torch
from torch import nn

from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.models.classifier import EmotionNetwork, n_ratings_of


def transfer(
    student: EmotionNetwork,
    n_transferred: int | None = None,
    *,
    freeze: bool,
    copy_head: bool = False,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    n_ratings: int = 0,
) -> EmotionNetwork:
    """A new model with the student's lowest layers.

    Args:
        student: the model to copy from; not modified.
        n_transferred: 0 to the number of encoder layers; None means all.
        freeze: True for AnB, False for AnB+.
        copy_head: also copy `fc`; the student must have the target's vocabulary.
        seed: of the re-initialised parts.
        vocabulary: of the target; None means the student's own, and its ratings. It determines the width of `fc` and
            the labels of the configuration.
        n_ratings: of the target, number of ratings.

    Raises:
        EmocapError: `n_transferred` is out of range, or `fc` would be copied to a different vocabulary.
    """
    model = _fresh_copy(student)
    same_emotions = vocabulary is None or list(vocabulary.labels) == list(model.config.id2label.values())
    if vocabulary is not None and not (same_emotions and n_ratings == n_ratings_of(model.config)):
        if copy_head:
            raise EmocapError(
                f"transfer.head is copied, but the student's emotions ({model.config.num_labels}) or ratings are not "
                f"the target's ({len(vocabulary)}) in the same order; use fresh"
            )
        _replace_vocabulary(model, vocabulary, n_ratings)
    unfreeze(model)
    layers = model.layers
    n = len(layers) if n_transferred is None else n_transferred
    if not 0 <= n <= len(layers):
        raise EmocapError(
            f"transfer.n_transferred is {n}, but the student has {len(layers)} layers; choose 0 to {len(layers)}"
        )
    fresh: list[nn.Module] = layers[n:]
    copied: list[nn.Module] = [*model.lower, *layers[:n]]
    (copied if n == len(layers) else fresh).extend(model.upper)
    if not copy_head:
        fresh.append(model.fc)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in fresh:
            initialise(module, getattr(model.config, "initializer_range", 0.02))
    model.n_copied = n
    if freeze:
        model.freeze(copied)
    return model


def _fresh_copy(model: EmotionNetwork) -> EmotionNetwork:
    """A new object of the same configuration and weights, without what a training left in the old one."""
    with torch.random.fork_rng(devices=[]):
        fresh = type(model)(copy.deepcopy(model.config))
    weights = model.state_dict()
    fresh.to(model.fc.weight.device, model.fc.weight.dtype).load_state_dict(weights)
    return fresh.train(model.training)


def _replace_vocabulary(model: EmotionNetwork, vocabulary: Vocabulary, n_ratings: int) -> None:
    """Replace `fc` by an uninitialised one for another vocabulary and number of ratings."""
    labels = vocabulary.labels
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: number for number, label in enumerate(labels)}
    model.config.num_ratings = n_ratings
    old = model.fc
    # No random draw, so that neither the caller's generator nor the re-initialised layers depend on the labels.
    model.fc = nn.utils.skip_init(
        nn.Linear, old.in_features, len(labels) + n_ratings, device=old.weight.device, dtype=old.weight.dtype
    )


def unfreeze(model: EmotionNetwork) -> None:
    """Make every parameter trainable."""
    model.freeze([])
    model.requires_grad_(True)


def initialise(module: nn.Module, deviation: float) -> None:
    """Initialise a module as BERT does: weights from N(0, deviation^2), biases 0, layer norms the identity."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
        elif isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def is_head_only(model: EmotionNetwork) -> bool:
    """Whether only `fc` is trained, so that the encoder needs to run only once."""
    used = [*model.lower, *model.layers, *model.upper]
    if model.pooling != "pooler":
        used = [module for module in used if module is not model.pooler]
    return not any(parameter.requires_grad for module in used for parameter in module.parameters())
