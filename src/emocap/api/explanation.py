"""Why a model expects an emotion: what each word and each region adds to it, and what other wordings would do.

Effects are integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of an emotion's log-odds, by captum, over
the word vectors and the projected regions, from a caption of masked words beside regions of zeros. They sum to what the
pair has more than that. Left out: attention as an explanation (Jain and Wallace 2019, arXiv 1902.10186).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from emocap.regions.extractors.base import Regions
from emocap.training.batching import pad_regions
from emocap.training.checkpoint import SavedModel

STEPS = 32
NEIGHBOURS = 2
MOST_WORDS = 24


@dataclass(frozen=True)
class WordEffect:
    """A word of the caption, `caption[start:end]`, and what it adds to the emotion's log-odds."""

    word: str
    start: int
    end: int
    effect: float


@dataclass(frozen=True)
class RegionEffect:
    """A region, its corners (x1, y1, x2, y2) in pixels of the upright image, and what it adds to the log-odds."""

    box_xyxy: tuple[float, float, float, float]
    effect: float


@dataclass(frozen=True)
class Change:
    """Another wording: a word left out (`instead` is empty) or exchanged, and how far each emotion moves.

    Attributes:
        caption: the whole wording.
        word, start, end: as it stood in the caption.
        moves: emotion to the change of its probability.
    """

    caption: str
    word: str
    start: int
    end: int
    instead: str
    moves: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """What moves one emotion for one pair.

    Attributes:
        emotion, probability: the emotion and its calibrated probability.
        log_odds, reference: of the pair, and of masked words beside empty regions; the effects sum to the difference,
            up to the error of the numerical integral, where nothing but words and regions differs.
        words: in the caption's order, as far as the model reads.
        regions: in the extractor's order; none for a caption alone.
        changes: the strongest first.
    """

    emotion: str
    probability: float
    log_odds: float
    reference: float
    words: list[WordEffect]
    regions: list[RegionEffect]
    changes: list[Change]


def words_of(tokenizer: Any, caption: str, max_length: int) -> tuple[list[int], list[tuple[int, int]], list[list[int]]]:
    """A caption's tokens, its words as (start, end) in the text, and the places of each word's tokens."""
    encoded = tokenizer(caption, truncation=True, max_length=max_length, return_offsets_mapping=True)
    spans: list[tuple[int, int]] = []
    places: list[list[int]] = []
    before = None
    for place, (word, (start, end)) in enumerate(zip(encoded.word_ids(), encoded["offset_mapping"], strict=True)):
        if word is None:
            continue
        if word != before:
            spans.append((start, end))
            places.append([])
        spans[-1] = (spans[-1][0], end)
        places[-1].append(place)
        before = word
    return encoded["input_ids"], spans, places


def effects(
    saved: SavedModel,
    device: torch.device,
    ids: Sequence[int],
    places: Sequence[Sequence[int]],
    features: np.ndarray | None,
    emotion: int,
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Effects of W words and R regions on an emotion's calibrated log-odds, that of the pair, and that of nothing.

    Args:
        ids: T tokens.
        places: of each word's tokens.
        features: (R, D), or None for the caption alone.
        steps: of the integral.
    """
    from captum.attr import LayerIntegratedGradients

    model = saved.model
    tokens = torch.tensor([list(ids)], device=device)
    masked = tokens.clone()
    for place in (place for word in places for place in word):
        masked[0, place] = saved.tokenizer.mask_token_id
    embeddings = model.visualbert.embeddings
    layers: list[nn.Module] = [embeddings.word_embeddings]
    inputs, nothing = [tokens], [masked]
    if features is not None:
        regions = pad_regions([features])["visual_embeds"].to(device)
        layers.append(embeddings.visual_projection)
        inputs.append(regions)
        nothing.append(torch.zeros_like(regions))

    def log_odds(input_ids: torch.Tensor, visual_embeds: torch.Tensor | None = None) -> torch.Tensor:
        answer = model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), visual_embeds=visual_embeds)
        return answer.logits[:, emotion].float() / saved.card.temperature

    with torch.no_grad():
        ends = [float(log_odds(*pair)[0]) for pair in (inputs, nothing)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Multiple layers provided")  # neither depends on the other
        found = LayerIntegratedGradients(log_odds, layers).attribute(
            tuple(inputs), baselines=tuple(nothing), n_steps=steps, internal_batch_size=16
        )
    by_token = found[0][0].sum(dim=-1).detach().cpu().numpy()
    words = np.array([by_token[list(word)].sum() for word in places])
    regions_effect = found[1][0].sum(dim=-1).detach().cpu().numpy() if features is not None else np.zeros(0)
    return words, regions_effect, ends[0], ends[1]


def neighbours(saved: SavedModel, word: str, n: int = NEIGHBOURS) -> list[str]:
    """The n words nearest to this one by the cosine of the model's word vectors; none for a word of several pieces."""
    tokenizer = saved.tokenizer
    (ids,) = tokenizer([word.lower()], add_special_tokens=False, return_attention_mask=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id or not word.isalpha():
        return []
    vectors = saved.model.visualbert.embeddings.word_embeddings.weight.detach()
    near = nn.functional.cosine_similarity(vectors, vectors[ids[0]][None], dim=1).argsort(descending=True)[:50]
    names = [tokenizer.convert_ids_to_tokens(int(number)) for number in near]
    stem = word.lower()
    fit = [name for name in names if name.isalpha() and len(name) > 2 and not _kin(name, stem)]
    return [name.capitalize() if word[0].isupper() else name for name in fit[:n]]


def _kin(name: str, word: str) -> bool:
    """Whether two words are forms of one, by their beginnings."""
    return name == word or (len(word) > 3 and (name.startswith(word[:-1]) or word.startswith(name[:-1])))


def other_wordings(
    saved: SavedModel, caption: str, spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int, str, str]]:
    """(start, end, instead, caption) of each word left out, and exchanged for its neighbours."""
    found = []
    for start, end in spans[:MOST_WORDS]:
        word = caption[start:end]
        if not any(letter.isalnum() for letter in word):
            continue
        without = " ".join((caption[:start] + caption[end:]).split())
        if any(letter.isalnum() for letter in without):
            found.append((start, end, "", without))
        found += [
            (start, end, instead, caption[:start] + instead + caption[end:]) for instead in neighbours(saved, word)
        ]
    return found


def boxed(regions: Regions, effect: np.ndarray) -> list[RegionEffect]:
    """Regions with their effects."""
    return [
        RegionEffect((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(value))
        for box, value in zip(regions.boxes_xyxy, effect, strict=True)
    ]
