"""Training data of the captioner: (image, caption, emotions) triples as batches, and the loss."""

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
MAX_EMOTIONS = 3
MAX_WORDS = 1000


@dataclass
class Prompts:
    """How emotions become the encoder's text: their names in sequence between the special tokens.

    Attributes:
        token_ids: of each emotion, its subword token ids.
        cls_token_id, sep_token_id: the special tokens at the start and the end.
    """

    token_ids: list[list[int]]
    cls_token_id: int
    sep_token_id: int

    @classmethod
    def of(cls, labels: Sequence[str], tokenizer: Any) -> "Prompts":
        token_ids = tokenizer(list(labels), add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return cls(token_ids, tokenizer.cls_token_id, tokenizer.sep_token_id)

    def batch(self, emotions: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask (B, T) int64 of B lists of emotion indices, which may be empty."""
        rows = [
            [self.cls_token_id, *(token for index in row for token in self.token_ids[index]), self.sep_token_id]
            for row in emotions
        ]
        return pad_tokens(rows)


@dataclass
class CaptionDataset(Dataset):
    """N training captions, each with the emotions that may condition it.

    Each time a caption is seen, one to three of its emotions are sampled in proportion to their targets divided by the
    emotion's total, so that rare and common emotions are equally frequent; or none, as classifier-free guidance needs.

    Attributes:
        captions: N lists of token ids, special tokens included.
        images: N image keys.
        targets: (N, E) float32, the probabilities of the emotions that may condition a caption, 0 for the others.
        prompts: the emotions as text.
        store: region features, or None without images.
        drop_emotions: how often a caption is learnt without emotions, 0 to 1.
        seed: of the samples, which depend only on it and on the item: item e * N + i is caption i in epoch e.
    """

    captions: Sequence[Sequence[int]]
    images: Sequence[str]
    targets: np.ndarray
    prompts: Prompts
    store: FeatureStore | None
    drop_emotions: float
    seed: int = 0

    @classmethod
    def of(
        cls, pairs: Pairs, targets: np.ndarray, prompts: Prompts, tokenizer: Any, max_length: int,
        store: FeatureStore | None, drop_emotions: float, seed: int = 0,
    ) -> "CaptionDataset":  # fmt: skip
        """Tokenize the captions, each truncated to `max_length` tokens."""
        encoded = tokenizer(pairs.captions, truncation=True, max_length=max_length, return_attention_mask=False)
        return cls(encoded["input_ids"], pairs.images, targets, prompts, store, drop_emotions, seed)

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
            the captions without their first token, -100 for padding.
        """
        rows = [item % len(self) for item in items]
        batch = self.prompts.batch([self.sample_emotions(item) for item in items])
        captions = [self.captions[row] for row in rows]
        inputs, labels = pad_tokens([ids[:-1] for ids in captions]), pad_tokens([ids[1:] for ids in captions])
        batch |= {f"decoder_{key}": tensor for key, tensor in inputs.items()}
        batch["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, IGNORED)
        if self.store is not None:
            images = [self.images[row] for row in rows]
            batch |= pad_regions([self.store[image][0] if image in self.store else None for image in images])
        return batch

    def sample_emotions(self, item: int) -> list[int]:
        """The indices of the emotions that condition a caption this time."""
        weights = self._weights[item % len(self)]
        generator = np.random.default_rng([self.seed, item])
        n_known = int((weights > 0).sum())
        if not n_known or generator.random() < self.drop_emotions:
            return []
        number = int(generator.integers(1, min(n_known, MAX_EMOTIONS) + 1))
        return generator.choice(len(weights), number, replace=False, p=weights / weights.sum()).tolist()


@dataclass
class ImageWords(Dataset):
    """N images with the words of their captions, to train the projector of regions.

    Attributes:
        images: N image keys, each in the store.
        word_ids: W token ids, the most frequent first.
        targets: (N, W) float32, the share of an image's captions that have the word.
        store: region features.
    """

    images: Sequence[str]
    word_ids: Sequence[int]
    targets: np.ndarray
    store: FeatureStore

    @classmethod
    def of(cls, captions: CaptionDataset, max_words: int = MAX_WORDS) -> "ImageWords":
        """The images of a caption dataset that have features, and its `max_words` most frequent words."""
        assert captions.store is not None, "the dataset has images"
        store = captions.store
        words_by_image: dict[str, list[set[int]]] = {
            image: [] for image in dict.fromkeys(captions.images) if image in store and len(store[image][0])
        }
        for image, ids in zip(captions.images, captions.captions, strict=True):
            if image in words_by_image:
                words_by_image[image].append(set(ids[1:-1]))
        counts = Counter(word for sets in words_by_image.values() for words in sets for word in words)
        word_ids = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:max_words]]
        column = {word: number for number, word in enumerate(word_ids)}
        targets = np.zeros((len(words_by_image), len(word_ids)), np.float32)
        for row, sets in enumerate(words_by_image.values()):
            for word in (word for words in sets for word in words if word in column):
                targets[row, column[word]] += 1 / len(sets)
        return cls(list(words_by_image), word_ids, np.minimum(targets, 1), store)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> int:
        return row

    def collate(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """visual_embeds, visual_attention_mask as for a classifier, and labels (B, W)."""
        regions = pad_regions([self.store[self.images[row]][0] for row in rows])
        return regions | {"labels": torch.as_tensor(self.targets[list(rows)])}


def caption_loss(outputs: Any, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """Mean cross-entropy in nats of the next token, over all tokens of a batch except padding.

    Args:
        outputs: with `logits` (B, L, V).
        labels: (B, L), -100 for padding.
    """
    return nn.functional.cross_entropy(outputs.logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
