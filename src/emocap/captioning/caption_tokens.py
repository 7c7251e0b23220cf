"""The tokens that a captioner reads and generates: those of its tokenizer, or only those of its training captions.

A decoder over the tokens that occur in the training captions (about 7,000 of 30,000) has a smaller output layer, which
takes most of the time of training and generation, and generates no other tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


class CaptionTokens:
    """Captions as the decoder's token ids, and back.

    Args:
        tokenizer: of subword tokens.
        kept: (V,) ascending tokenizer ids of the decoder's tokens, special ones included; None keeps all. A token of a
            caption that is not kept is read as the unknown token.

    Attributes:
        cls_token_id, sep_token_id, pad_token_id: the special tokens in the decoder's ids.
    """

    def __init__(self, tokenizer: Any, kept: np.ndarray | None = None) -> None:
        self.tokenizer = tokenizer
        self._kept = kept
        if self._kept is not None:
            self._position = np.full(len(tokenizer), -1)
            self._position[self._kept] = np.arange(len(self._kept))
            self._position[self._position < 0] = self._position[tokenizer.unk_token_id]
        self.cls_token_id, self.sep_token_id, self.pad_token_id = (
            self._own(getattr(tokenizer, f"{name}_token_id")) for name in ("cls", "sep", "pad")
        )

    def encode(self, captions: Sequence[str], max_length: int) -> list[list[int]]:
        """Each caption's token ids between the special tokens, at most `max_length` in all."""
        encoded = self.tokenizer(list(captions), truncation=True, max_length=max_length, return_attention_mask=False)
        ids: list[list[int]] = encoded["input_ids"]
        return ids if self._kept is None else [self._position[row].tolist() for row in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The words of token ids, without the special tokens."""
        if self._kept is not None:
            ids = self._kept[list(ids)].tolist()
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def never_generated(self, size: int) -> list[int]:
        """Ascending ids below `size` that are no text: special tokens but the end, and rows that only pad."""
        unused = [i for token, i in self.tokenizer.get_vocab().items() if token.startswith("[unused")]
        special = {*self.tokenizer.all_special_ids, *unused}
        if self._kept is None:
            own = {*special, *range(len(self.tokenizer), size)}
        else:
            own = {row for row, token in enumerate(self._kept.tolist()) if token in special}
        return sorted(own - {self.sep_token_id})

    def _own(self, token: int) -> int:
        return token if self._kept is None else int(self._position[token])


def tokens_of_captions(captions: Sequence[str], tokenizer: Any, max_length: int) -> np.ndarray:
    """Ascending tokenizer ids (V,) int64 of the tokens that occur in captions, with the special tokens."""
    ids = {token for row in CaptionTokens(tokenizer).encode(captions, max_length) for token in row}
    special = (getattr(tokenizer, f"{name}_token_id") for name in ("pad", "unk", "cls", "sep"))
    return np.array(sorted(ids.union(special)), dtype=np.int64)
