"""Pairs as batches: token ids, region features, masks and targets, padded to the longest of a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.regions.store.reader import FeatureStore


@dataclass
class PairDataset(Dataset):
    """N pairs for a model; an item holds no region features, which are read when the batch is collated.

    Attributes:
        input_ids: N lists of token ids, special tokens included.
        images: N image keys.
        targets: (N, E + R) float32, 0 to 1, NaN for a missing rating, or None.
        store: region features, or None for captions only.
    """

    input_ids: Sequence[Sequence[int]]
    images: Sequence[str]
    targets: np.ndarray | None = None
    store: FeatureStore | None = None

    @classmethod
    def of(
        cls,
        pairs: Pairs,
        tokenizer: Any,
        max_length: int,
        store: FeatureStore | None,
        targets: np.ndarray | None = None,
    ) -> "PairDataset":
        """Tokenize the captions, each truncated to `max_length` tokens."""
        encoded = tokenizer(
            pairs.captions, truncation=True, max_length=max_length, add_special_tokens=True, return_attention_mask=False
        )
        return cls(encoded["input_ids"], pairs.images, targets, store)

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        item: dict[str, Any] = {"input_ids": self.input_ids[row], "image": self.images[row]}
        if self.targets is not None:
            item["labels"] = self.targets[row]
        return item

    @property
    def lengths(self) -> list[int]:
        """Each caption's number of tokens."""
        return [len(ids) for ids in self.input_ids]

    def by_length(self) -> np.ndarray:
        """(N,) int64 row numbers, longest caption first, so that a batch needs little padding."""
        return np.argsort(-np.array(self.lengths), kind="stable")

    def collate(self, items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch of B pairs.

        Returns:
            input_ids, attention_mask (B, T) int64; visual_embeds (B, R, D) float32, visual_attention_mask (B, R) int64
            if any image of the batch has features; labels (B, E) float32 if the pairs have targets. The visual mask of
            an image without features is zero.

        Raises:
            EmocapError: a feature is NaN or infinite.
        """
        batch = pad_tokens([item["input_ids"] for item in items])
        if self.store is not None:
            batch |= stored_regions(self.store, [item["image"] for item in items])
        if "labels" in items[0]:
            batch["labels"] = torch.as_tensor(np.stack([item["labels"] for item in items]))
        return batch


def pad_tokens(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Token ids of B rows as input_ids and attention_mask (B, T) int64, padded at the end."""
    longest = max(map(len, rows))
    input_ids, mask = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(2))
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = torch.as_tensor(ids)
        mask[row, : len(ids)] = 1
    return {"input_ids": input_ids, "attention_mask": mask}


def pad_regions(features: Sequence[np.ndarray | None]) -> dict[str, torch.Tensor]:
    """Region features of B images as one padded block.

    Args:
        features: per image (R_i, D), or None.

    Returns:
        visual_embeds (B, R, D) float32 and visual_attention_mask (B, R) int64; nothing if no image has a region.
    """
    present = [array for array in features if array is not None and len(array)]
    if not present:
        return {}
    most = max(len(array) for array in present)
    # Padded in half precision, then converted by torch, which is about ten times faster at it than numpy.
    block = np.zeros((len(features), most, present[0].shape[1]), dtype=present[0].dtype)
    mask = torch.zeros(len(features), most, dtype=torch.long)
    for row, array in enumerate(features):
        if array is not None and len(array):
            block[row, : len(array)] = array
            mask[row, : len(array)] = 1
    embeds = torch.from_numpy(block).float()
    return {"visual_embeds": embeds, "visual_attention_mask": mask}


def stored_regions(store: FeatureStore, images: Sequence[str]) -> dict[str, torch.Tensor]:
    """The region features of B images as `pad_regions` gives them; images that the store lacks have none.

    Raises:
        EmocapError: a feature is NaN or infinite; the store and the image are named.
    """
    features = [store[image][0] if image in store else None for image in images]
    batch = pad_regions(features)
    # The sum of all is many times faster than a look at each, and infinite or NaN if one is.
    if batch and not math.isfinite(batch["visual_embeds"].sum().item()):
        for image, array in zip(images, features, strict=True):
            if array is not None and not np.isfinite(array).all():
                raise EmocapError(
                    f"{getattr(store, 'path', 'features')}: the features of image {image!r} contain NaN or infinity; "
                    "extract or import them again"
                )
    return batch


@dataclass
class PooledDataset(Dataset):
    """Pooled vectors (N, H) float32 with targets (N, E), on which `fc` trains when the encoder is frozen."""

    pooled: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"pooled": self.pooled[row], "labels": self.targets[row]}

    @staticmethod
    def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """pooled (B, H) and labels (B, E), float32."""
        return {key: torch.as_tensor(np.stack([item[key] for item in items])) for key in ("pooled", "labels")}
