"""Integrated gradients of an emotion's log-odds for the words and the regions of a pair."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from emocap.training.batching import pad_regions
from emocap.training.checkpoint import SavedModel

STEPS = 32


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
    device: torch.device,
    ids: Sequence[int],
    positions: Sequence[Sequence[int]],
    features: np.ndarray | None,
    emotion: int,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Effects of W words and R regions on an emotion's calibrated log-odds, and those of the pair and of the baseline.

    Args:
        ids: T token ids.
        positions: of each word's tokens.
        features: (R, D), or None without an image.
        steps: of the numerical integration.
    """
    from captum.attr import LayerIntegratedGradients

    model = saved.model
    tokens = torch.tensor([list(ids)], device=device)
    masked = tokens.clone()
    for position in (position for word in positions for position in word):
        masked[0, position] = saved.tokenizer.mask_token_id
    embeddings = model.visualbert.embeddings
    layers: list[nn.Module] = [embeddings.word_embeddings]
    inputs, baselines = [tokens], [masked]
    if features is not None:
        regions = pad_regions([features])["visual_embeds"].to(device)
        layers.append(embeddings.visual_projection)
        inputs.append(regions)
        baselines.append(torch.zeros_like(regions))

    def log_odds(input_ids: torch.Tensor, visual_embeds: torch.Tensor | None = None) -> torch.Tensor:
        output = model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), visual_embeds=visual_embeds)
        return output.logits[:, emotion].float() / saved.card.temperature

    with torch.no_grad():
        endpoints = [float(log_odds(*pair)[0]) for pair in (inputs, baselines)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Multiple layers provided")  # neither depends on the other
        attributions = LayerIntegratedGradients(log_odds, layers).attribute(
            tuple(inputs), baselines=tuple(baselines), n_steps=steps, internal_batch_size=16
        )
    by_token = attributions[0][0].sum(dim=-1).detach().cpu().numpy()
    words = np.array([by_token[list(word)].sum() for word in positions])
    regions_effect = attributions[1][0].sum(dim=-1).detach().cpu().numpy() if features is not None else np.zeros(0)
    return words, regions_effect, endpoints[0], endpoints[1]
