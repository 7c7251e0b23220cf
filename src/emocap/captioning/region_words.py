"""Multiple-instance learning of words: region features projected to word vectors, learnt from image-level captions.

After Fang et al. 2015 (arXiv 1411.4952): an image has a word if one of its regions has it, and captions do not say
which. Here regions are pooled by a smooth maximum (Pinheiro and Collobert 2015, arXiv 1411.6228), and each region is
projected into the space of the decoder's word vectors. Left out: the noisy-or of the former, the temperature of the
latter.
"""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput


class RegionProjector(nn.Sequential):
    """Projects (..., D) region features to (..., H) vectors."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.Linear(features, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden))


class RegionWordClassifier(nn.Module):
    """The logits of an image's words, from its regions.

    Args:
        projector: trained.
        vectors: (W, H) word vectors; not trained.
        frequencies: (W,) share of the images that have each word; the prediction for an image without regions.
    """

    vectors: torch.Tensor

    def __init__(self, projector: RegionProjector, vectors: torch.Tensor, frequencies: torch.Tensor) -> None:
        super().__init__()
        self.projector = projector
        self.register_buffer("vectors", vectors.detach().clone(), persistent=False)
        self.bias = nn.Parameter(torch.logit(frequencies, eps=1e-4))

    def forward(
        self, visual_embeds: torch.Tensor, visual_attention_mask: torch.Tensor, **kwargs: Any
    ) -> SequenceClassifierOutput:
        """Logits (B, W) from (B, R, D) with its mask (B, R): the smooth maximum over an image's regions."""
        logits = self.projector(visual_embeds) @ self.vectors.T
        present = visual_attention_mask != 0
        n_regions = present.sum(dim=1, keepdim=True)
        lowest = torch.finfo(logits.dtype).min
        pooled = logits.masked_fill(~present[:, :, None], lowest).logsumexp(dim=1) - n_regions.clamp(min=1).log()
        return SequenceClassifierOutput(logits=torch.where(n_regions > 0, pooled, 0.0) + self.bias)


def region_word_loss(outputs: Any, labels: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """Mean over images of the binary cross-entropy in nats, summed over the words.

    Args:
        outputs: with `logits` (B, W).
        labels: (B, W), the share of an image's captions that have each word.

    >>> outputs = SequenceClassifierOutput(logits=torch.zeros(1, 2))
    >>> round(region_word_loss(outputs, torch.tensor([[1.0, 0.5]])).item(), 4)
    1.3863
    """
    logits = outputs.logits.float()
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)
