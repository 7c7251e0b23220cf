"""Integrated gradients of an emotion's log-odds for the words and the regions of a pair."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from emocap.api.deletion import pairs_per_pass
from emocap.training.batching import pad_regions
from emocap.training.checkpoint import SavedModel

STEPS = 32
GRADIENT_COST = 3  # of a forward and a backward pass, in forward passes


def tokenize_words(
    tokenizer: Any, caption: str, max_length: int
) -> tuple[list[int], list[tuple[int, int]], list[list[int]]]:
    """A caption's token ids, its words as (start, end) in the text, and the positions of each word's tokens."""
    encoded = tokenizer(caption, truncation=True, max_length=max_length, return_offsets_mapping=True)
    spans: list[tuple[int, int]] = []
    positions: list[list[int]] = []
    previous = None
    for position, (word, (start, end)) in enumerate(zip(encoded.word_ids(), encoded["offset_mapping"], strict=True)):
        if word is None:
            continue
        if word != previous:
            spans.append((start, end))
            positions.append([])
        spans[-1] = (spans[-1][0], end)
        positions[-1].append(position)
        previous = word
    return encoded["input_ids"], spans, positions


def effects(
    saved: SavedModel,
    ids: Sequence[int],
    positions: Sequence[Sequence[int]],
    features: np.ndarray | None,
    emotion: int,
    steps: int = STEPS,
    between: Callable[[], None] | None = None,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Effects of W words and R regions on calibrated log-odds, and the log-odds of the pair and of the baseline.

    The model holds no hooks while this runs, so that `between` may use it. A region's effect is that of its projection
    too, which is linear.

    Args:
        ids: T token ids.
        positions: of each word's tokens.
        features: (R, D), or None without an image.
        emotion: column of the emotion or rating; ratings are not calibrated.
        steps: of the numerical integration.
        between: called before each forward pass.
    """
    from captum.attr import IntegratedGradients

    model, slope, offset = saved.model, 1.0, 0.0
    if emotion < len(saved.vocabulary):
        scaling = saved.card.scaling
        slope, offset = float(scaling.slopes[emotion]), float(scaling.offsets[emotion])
    tokens = torch.tensor([list(ids)], device=model.device)
    masked = tokens.clone()
    for position in (position for word in positions for position in word):
        masked[0, position] = saved.tokenizer.mask_token_id
    embed = model.get_input_embeddings()
    with torch.no_grad():
        inputs, baselines = [embed(tokens)], [embed(masked)]
    if features is not None:
        regions = pad_regions([features])["visual_embeds"].to(model.device)
        inputs.append(regions)
        baselines.append(torch.zeros_like(regions))

    def log_odds(inputs_embeds: torch.Tensor, visual_embeds: torch.Tensor | None = None) -> torch.Tensor:
        if between is not None:
            between()
        output = model(inputs_embeds=inputs_embeds, visual_embeds=visual_embeds)
        return output.logits[:, emotion].float() * slope + offset

    with torch.no_grad():
        endpoints = [float(log_odds(*pair)[0]) for pair in (inputs, baselines)]
    size = pairs_per_pass(sum(value.shape[1] for value in inputs), GRADIENT_COST)
    attributions = IntegratedGradients(log_odds).attribute(
        tuple(inputs), baselines=tuple(baselines), n_steps=steps, internal_batch_size=size
    )
    by_token = attributions[0][0].sum(dim=-1).detach().cpu().numpy()
    words = np.array([by_token[list(word)].sum() for word in positions])
    regions_effect = attributions[1][0].sum(dim=-1).detach().cpu().numpy() if features is not None else np.zeros(0)
    return words, regions_effect, endpoints[0], endpoints[1]
