"""Training data of the captioner: (image, caption, emotions) triples as batches, and the loss."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from emocap.captioning.caption_tokens import CaptionTokens
from emocap.captioning.prompts import IGNORED, Prompts
from emocap.corpora.pairs import Pairs
from emocap.regions.store.reader import FeatureStore
from emocap.training.batching import pad_regions, pad_tokens

MAX_EMOTIONS = 3
MAX_WORDS = 1000


@dataclass
class CaptionDataset(Dataset):
    """N training captions, each with the emotions and the style that may condition it.

    Each time a caption is seen, one to three of its emotions are sampled in proportion to their targets divided by the
    emotion's total, so that rare and common emotions are equally frequent. Emotions and style are left out, both or one
    of them, as often as `drop_emotions` says, since classifier-free guidance needs captions without them.

    Attributes:
        captions: N lists of token ids, special tokens included.
        images: N image keys.
        targets: (N, E) float32, the weights of the emotions that may condition a caption, 0 for the others.
        prompts: the conditions as input of the encoder.
        store: region features, or None without images.
        drop_emotions: how often a caption is learnt without emotions and style, 0 to 1; of the others, as many are
            learnt without emotions, and as many without the style.
        seed: of the samples, which depend only on it and on the item: item e * N + i is caption i in epoch e.
        styles: N names of styles, known to the prompts, or None for captions without one; None if no caption has one.
        contrasted: whether a batch also has each caption with the conditions of another caption of its image.
    """

    captions: Sequence[Sequence[int]]
    images: Sequence[str]
    targets: np.ndarray
    prompts: Prompts
    store: FeatureStore | None
    drop_emotions: float
    seed: int = 0
    styles: Sequence[str | None] | None = None
    contrasted: bool = False

    @classmethod
    def of(
        cls, pairs: Pairs, targets: np.ndarray, prompts: Prompts, tokens: CaptionTokens, max_length: int,
        store: FeatureStore | None, drop_emotions: float, seed: int = 0, **further: Any,
    ) -> "CaptionDataset":  # fmt: skip
        """Tokenize the captions, each truncated to `max_length` tokens."""
        captions = tokens.encode(pairs.captions, max_length)
        return cls(captions, pairs.images, targets, prompts, store, drop_emotions, seed, **further)

    def __post_init__(self) -> None:
        totals = self.targets.sum(axis=0, dtype=np.float64)
        self._weights = self.targets / np.where(totals > 0, totals, 1.0)
        self._rows_of: dict[str, list[int]] = {}
        for row, image in enumerate(self.images):
            self._rows_of.setdefault(image, []).append(row)

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
            input_ids, attention_mask (B, T): the conditions; visual_embeds, visual_attention_mask as for a classifier;
            decoder_input_ids, decoder_attention_mask (B, L): the captions without their last token; labels (B, L):
            the captions without their first token, -100 for padding. With `contrasted` all have 2B rows: the same
            captions again with the conditions of other captions; labels are -100 where there are no other conditions.
        """
        rows = [item % len(self) for item in items]
        conditions = [self.sample_conditions(item) for item in items]
        others = [self.other_conditions(item) for item in items] if self.contrasted else []
        repeated = [*rows, *rows[: len(others)]]
        batch = self.prompts.batch([*conditions, *(other or [] for other in others)])
        captions = [self.captions[row] for row in repeated]
        inputs, labels = pad_tokens([ids[:-1] for ids in captions]), pad_tokens([ids[1:] for ids in captions])
        batch |= {f"decoder_{key}": tensor for key, tensor in inputs.items()}
        batch["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, IGNORED)
        for number, (own, other) in enumerate(zip(conditions, others, strict=False)):
            if not own or other is None or set(own) == set(other):
                batch["labels"][len(rows) + number] = IGNORED
        if self.store is not None:
            images = [self.images[row] for row in repeated]
            batch |= pad_regions([self.store[image][0] if image in self.store else None for image in images])
        return batch

    def sample_conditions(self, item: int) -> list[int]:
        """The indices of the emotions and the style that condition a caption this time."""
        if self.styles is None:
            return self.sample_emotions(item)
        without_both, without_emotions, without_style = (
            np.random.default_rng([self.seed, item, 1]).random(3) < self.drop_emotions
        )
        if without_both:
            return []
        emotions = [] if without_emotions else self._sampled(item)
        style = self.styles[item % len(self)]
        return emotions if style is None or without_style else [*emotions, self.prompts.style_index(style)]

    def sample_emotions(self, item: int) -> list[int]:
        """The indices of the emotions that condition a caption this time, where there are no styles."""
        is_dropped = np.random.default_rng([self.seed, item]).random() < self.drop_emotions
        return [] if is_dropped else self._sampled(item)

    def other_conditions(self, item: int) -> list[int] | None:
        """The conditions of another caption of the same image, drawn by the item; None if there is no other."""
        row = item % len(self)
        others = [other for other in self._rows_of[self.images[row]] if other != row]
        if not others or not self.images[row]:
            return None
        other = others[int(np.random.default_rng([self.seed, item, 2]).integers(len(others)))]
        return self.sample_conditions(item - row + other) or None

    def _sampled(self, item: int) -> list[int]:
        weights = self._weights[item % len(self)]
        generator = np.random.default_rng([self.seed, item])
        generator.random()  # decides in `sample_emotions`
        n_known = int((weights > 0).sum())
        if not n_known:
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


def caption_loss(outputs: Any, labels: torch.Tensor, label_smoothing: float = 0.0, **kwargs: Any) -> torch.Tensor:
    """Mean cross-entropy in nats of the next token, over all tokens of a batch except padding.

    Args:
        outputs: with `logits` (B, L, V).
        labels: (B, L), -100 for padding.
        label_smoothing: share of the target that is spread over all tokens (Szegedy et al. 2016, arXiv 1512.00567).
    """
    return nn.functional.cross_entropy(
        outputs.logits.float().flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
    )


def contrastive_loss(
    outputs: Any, labels: torch.Tensor, weight: float, label_smoothing: float = 0.0, **kwargs: Any
) -> torch.Tensor:
    """`caption_loss` of B captions, plus how poorly their likelihood tells their own conditions from others.

    The second term is the cross-entropy of recognising a caption's conditions among two, its own and those of another
    caption of its image, from the caption's likelihood under both (InfoNCE, van den Oord et al. 2018, arXiv 1807.03748,
    with one negative).

    Args:
        outputs: with `logits` (2B, L, V), the same captions under their own, then under other conditions.
        labels: (2B, L), -100 for padding and for captions without other conditions.
        weight: of the second term.
    """
    n = len(labels) // 2
    own = SimpleNamespace(logits=outputs.logits[:n])
    loss = caption_loss(own, labels[:n], label_smoothing)
    compared = (labels[n:] != IGNORED).any(dim=1)
    if not compared.any():
        return loss
    targets = torch.cat([labels[:n][compared], labels[n:][compared]])
    logits = torch.cat([outputs.logits[:n][compared], outputs.logits[n:][compared]]).float()
    losses = nn.functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    own_loss, other_loss = losses.sum(dim=1).chunk(2)
    return loss + weight * nn.functional.softplus(own_loss - other_loss).mean()
