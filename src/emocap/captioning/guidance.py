"""Classifier-free guidance of a captioner (Ho and Salimans 2022, arXiv 2207.12598), or of its first tokens only."""

from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from emocap.captioning.model import CACHE, VisualBertForCaptioning


class ClassifierFreeGuidance(LogitsProcessor):
    """Moves next-token log-probabilities away from those of the same image without a condition.

    guided = log_softmax(unconditional + scale * (conditional - unconditional)); a scale of 1 changes nothing.

    Args:
        states, mask: (B, T + R, H) and (B, T + R), the encoded images without the condition.
        scale: of the guidance.
        steps: number of first tokens that are guided; None guides all.
    """

    def __init__(
        self,
        model: VisualBertForCaptioning,
        states: torch.Tensor,
        mask: torch.Tensor,
        scale: float,
        steps: int | None = None,
    ) -> None:
        self.model, self.states, self.mask, self.scale, self.steps = model, states, mask, scale, steps
        self._prefix: torch.Tensor | None = None
        self._cache: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Guided log-probabilities (B * copies, V) of the token that follows `input_ids` (B * copies, L)."""
        conditional = nn.functional.log_softmax(scores.float(), dim=-1)
        if self.steps is not None and input_ids.shape[1] > self.steps:  # the start token is no step
            return conditional
        copies = len(input_ids) // len(self.states)
        continues = self._prefix is not None and self._prefix.shape == (len(input_ids), input_ids.shape[1] - 1)
        if continues:
            self._reorder_cache(input_ids[:, :-1], copies)
        output = self.model(
            encoder_outputs=BaseModelOutput(self.states.repeat_interleave(copies, 0)),
            attention_mask=self.mask.repeat_interleave(copies, 0),
            decoder_input_ids=input_ids[:, -1:] if continues else input_ids,
            use_cache=True,
            logits_to_keep=1,
            **({CACHE: self._cache} if continues else {}),
        )
        self._prefix, self._cache = input_ids.clone(), output[CACHE]
        unconditional = nn.functional.log_softmax(output.logits[:, -1].float(), dim=-1)
        return nn.functional.log_softmax(unconditional + self.scale * (conditional - unconditional), dim=-1)

    def _reorder_cache(self, prefix: torch.Tensor, copies: int) -> None:
        """Reorder the cache as beam search reordered its beams, which stay within their image."""
        image_index = torch.arange(len(prefix), device=prefix.device) // copies
        assert self._prefix is not None, "there is a previous step"
        same = (prefix[:, None] == self._prefix[None]).all(dim=2) & (image_index[:, None] == image_index)
        parents = same.int().argmax(dim=1)
        assert bool(same.any(dim=1).all()), "every beam continues a beam of the previous step"
        if not torch.equal(parents, torch.arange(len(parents), device=parents.device)):
            self._cache.reorder_cache(parents)
