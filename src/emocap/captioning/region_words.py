"""What words a region stands for: a reader of regions, learnt from the captions of whole pictures alone.

After Fang et al. 2015 (arXiv 1411.4952): a picture has a word if one of its regions has it, and no caption says which.
Here the many become one by a smooth maximum (Pinheiro and Collobert 2015, arXiv 1411.6228), and a region is read into
the space of the decoder's word vectors, where it can say what it shows. Left out: the noisy-or of the former, the
sharpness of the latter.
"""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput


class RegionReader(nn.Sequential):
    """(..., D) features of regions to (..., H) vectors."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.Linear(features, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden))


class WordsOfRegions(nn.Module):
    """The logits of a picture's words, from its regions.

    Args:
        reader: what is trained.
        vectors: (W, H), of the words; not trained.
        shares: (W,), how often a picture has each word; what a picture without regions gets.
    """

    vectors: torch.Tensor

    def __init__(self, reader: RegionReader, vectors: torch.Tensor, shares: torch.Tensor) -> None:
        super().__init__()
        self.reader = reader
        self.register_buffer("vectors", vectors.detach().clone(), persistent=False)
        self.bias = nn.Parameter(torch.logit(shares, eps=1e-4))

    def forward(
        self, visual_embeds: torch.Tensor, visual_attention_mask: torch.Tensor, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Logits (B, W) from (B, R, D) with its mask (B, R): the smooth maximum over a picture's regions."""
        logits = self.reader(visual_embeds) @ self.vectors.T
        there = visual_attention_mask != 0
        n_regions = there.sum(dim=1, keepdim=True)
        lowest = torch.finfo(logits.dtype).min
        pooled = logits.masked_fill(~there[:, :, None], lowest).logsumexp(dim=1) - n_regions.clamp(min=1).log()
        return SequenceClassifierOutput(logits=torch.where(n_regions > 0, pooled, 0.0) + self.bias)


def words_loss(outputs: Any, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """Mean over pictures of the binary cross-entropy in nats, summed over the words.

    Args:
        outputs: with `logits` (B, W).
        labels: (B, W), the share of a picture's captions that have each word.

    >>> round(words_loss(SequenceClassifierOutput(logits=torch.zeros(1, 2)), torch.tensor([[1.0, 0.5]])).item(), 4)
    1.3863
    """
    logits = outputs.logits.float()
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)
