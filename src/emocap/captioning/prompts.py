"""Conditions of captions, emotions and styles, as input of a captioner's encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from emocap.errors import EmocapError
from emocap.training.batching import pad_tokens

IGNORED = -100


@dataclass
class Prompts:
    """How conditions become the encoder's text: their names in sequence between the special tokens.

    Attributes:
        token_ids: of each emotion, then of each style, its token ids.
        cls_token_id, sep_token_id: the special tokens at the start and the end.
        styles: their names.
    """

    token_ids: list[list[int]]
    cls_token_id: int
    sep_token_id: int
    styles: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Sequence[str], tokenizer: Any, styles: Sequence[str] = ()) -> "Prompts":
        """For an encoder that reads the subword tokens of a condition's name."""
        names = [*labels, *styles]
        token_ids = tokenizer(names, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        return cls(token_ids, tokenizer.cls_token_id, tokenizer.sep_token_id, tuple(styles))

    @classmethod
    def numbered(cls, labels: Sequence[str], styles: Sequence[str] = ()) -> "Prompts":
        """For an encoder with one embedding for each condition, and two for the start and the end."""
        n = len(labels) + len(styles)
        return cls([[number] for number in range(n)], n, n + 1, tuple(styles))

    @property
    def n_emotions(self) -> int:
        """The number of emotions; a style's index is this plus its position."""
        return len(self.token_ids) - len(self.styles)

    def style_index(self, style: str) -> int:
        """The index of a style among all conditions.

        Raises:
            EmocapError: it is none of the styles.
        """
        if style in self.styles:
            return self.n_emotions + self.styles.index(style)
        expected = f"expected one of {', '.join(self.styles)}" if self.styles else "but the captioner knows no styles"
        raise EmocapError(f"style is {style!r}, {expected}")

    def batch(self, conditions: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """input_ids and attention_mask (B, T) int64 of B lists of condition indices, which may be empty."""
        rows = [
            [self.cls_token_id, *(token for index in row for token in self.token_ids[index]), self.sep_token_id]
            for row in conditions
        ]
        return pad_tokens(rows)
