"""Triples (picture, caption, emotions) as batches for the captioner, and what it minimises."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from emocap.corpora.pairs import Pairs
from emocap.regions.store.reader import FeatureStore
from emocap.training.batching import pad_regions, pad_tokens

IGNORED = -100
MOST_EMOTIONS = 3
MOST_WORDS = 1000


@dataclass
class Prompts:
    """How emotions become the encoder's text: their names one behind the other between the special tokens.

    Attributes:
        pieces: each emotion's word pieces.
        first, last: the special tokens before and behind.
    """

    pieces: list[list[int]]
    first: int
    last: int

    @classmethod
    def of(cls, labels: Sequence[str], tokenizer: Any) -> "Prompts":
        encoded = tokenizer(list(labels), add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return cls(encoded, tokenizer.cls_token_id, tokenizer.sep_token_id)

    def batch(self, emotions: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask (B, T) int64 of B lists of emotion numbers, empty ones included."""
        rows = [
            [self.first, *(piece for number in row for piece in self.pieces[number]), self.last] for row in emotions
        ]
        return pad_tokens(rows)


@dataclass
class CaptionDataset(Dataset):
    """N captions to learn, each with the emotions that it may be asked for.

    A caption is learnt for one to three of its emotions, drawn anew each time it is seen by how far their targets stand
    out, so that rare ones come as often as common ones; and for none, so that guidance has something to push away from.

    Attributes:
        captions: N lists of token numbers, special tokens included.
        images: N image keys.
        targets: (N, E) float32, the probability of the emotions that a caption may be asked for, else 0.
        prompts: the emotions as text.
        store: region features, or None without pictures.
        drop: how often a caption is learnt without emotions, 0 to 1.
        seed: of the draws, which depend on it and on a caption's number in its epoch alone: item e * N + i is caption i
            as it is seen in epoch e.
    """

    captions: Sequence[Sequence[int]]
    images: Sequence[str]
    targets: np.ndarray
    prompts: Prompts
    store: FeatureStore | None
    drop: float
    seed: int = 0

    @classmethod
    def of(
        cls, pairs: Pairs, targets: np.ndarray, prompts: Prompts, tokenizer: Any, max_length: int,
        store: FeatureStore | None, drop: float, seed: int = 0,
    ) -> "CaptionDataset":  # fmt: skip
        """Tokenize the captions, each cut at `max_length` tokens."""
        encoded = tokenizer(pairs.captions, truncation=True, max_length=max_length, return_attention_mask=False)
        return cls(encoded["input_ids"], pairs.images, targets, prompts, store, drop, seed)

    def __post_init__(self) -> None:
        totals = self.targets.sum(axis=0, dtype=np.float64)
        self._weights = self.targets / np.where(totals > 0, totals, 1.0)

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, row: int) -> int:
        return row

    @property
    def lengths(self) -> list[int]:
        """Each caption's number of tokens."""
        return [len(ids) for ids in self.captions]

    def collate(self, items: Sequence[int]) -> dict[str, torch.Tensor]:
        """One batch of B captions.

        Returns:
            input_ids, attention_mask (B, T): the emotions; visual_embeds, visual_attention_mask as for a classifier;
            decoder_input_ids, decoder_attention_mask (B, L): the captions without their last token; labels (B, L):
            without their first, -100 where there is padding.
        """
        rows = [item % len(self) for item in items]
        batch = self.prompts.batch([self.drawn(item) for item in items])
        captions = [self.captions[row] for row in rows]
        before, behind = pad_tokens([ids[:-1] for ids in captions]), pad_tokens([ids[1:] for ids in captions])
        batch |= {f"decoder_{key}": tensor for key, tensor in before.items()}
        batch["labels"] = behind["input_ids"].masked_fill(behind["attention_mask"] == 0, IGNORED)
        if self.store is not None:
            images = [self.images[row] for row in rows]
            batch |= pad_regions([self.store[image][0] if image in self.store else None for image in images])
        return batch

    def drawn(self, item: int) -> list[int]:
        """The numbers of the emotions that a caption is asked for this time."""
        weights = self._weights[item % len(self)]
        generator = np.random.default_rng([self.seed, item])
        known = int((weights > 0).sum())
        if not known or generator.random() < self.drop:
            return []
        number = int(generator.integers(1, min(known, MOST_EMOTIONS) + 1))
        return generator.choice(len(weights), number, replace=False, p=weights / weights.sum()).tolist()


@dataclass
class PictureWords(Dataset):
    """N pictures with the words that people say of them, for the reader of regions.

    Attributes:
        images: N image keys, each in the store.
        words: W token numbers, the most frequent first.
        targets: (N, W) float32, the share of a picture's captions that have the word.
        store: region features.
    """

    images: Sequence[str]
    words: Sequence[int]
    targets: np.ndarray
    store: FeatureStore

    @classmethod
    def of(cls, captions: CaptionDataset, most: int = MOST_WORDS) -> "PictureWords":
        """The pictures of a data set of captions that have features, and its `most` most frequent words."""
        assert captions.store is not None, "there are pictures"
        store = captions.store
        said: dict[str, list[set[int]]] = {
            image: [] for image in dict.fromkeys(captions.images) if image in store and len(store[image][0])
        }
        for image, ids in zip(captions.images, captions.captions, strict=True):
            if image in said:
                said[image].append(set(ids[1:-1]))
        counts = Counter(word for sets in said.values() for words in sets for word in words)
        words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]]
        column = {word: number for number, word in enumerate(words)}
        targets = np.zeros((len(said), len(words)), np.float32)
        for row, sets in enumerate(said.values()):
            for word in (word for words in sets for word in words if word in column):
                targets[row, column[word]] += 1 / len(sets)
        return cls(list(said), words, np.minimum(targets, 1), store)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> int:
        return row

    def collate(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """visual_embeds, visual_attention_mask as for a classifier, and labels (B, W)."""
        regions = pad_regions([self.store[self.images[row]][0] for row in rows])
        return regions | {"labels": torch.as_tensor(self.targets[list(rows)])}


def caption_loss(outputs: Any, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """Mean cross-entropy in nats of the next token, over all tokens of a batch that are no padding.

    Args:
        outputs: with `logits` (B, L, V).
        labels: (B, L), -100 for padding.
    """
    return nn.functional.cross_entropy(outputs.logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
