"""MPNet (Song et al. 2020, arXiv 2004.09297) from transformers, with relative positions by `position_ids`, and SDPA.

The library derives the relative positions of two tokens from their places in the sequence, so that regions, which share
a position, would be ordered.
"""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder, MPNetModel, MPNetSelfAttention


class SdpaMPNetAttention(MPNetSelfAttention):
    """The library's self-attention by `scaled_dot_product_attention`; same parameters, same result."""

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, ...]:
        """Self-attention over a sequence.

        Args:
            hidden_states: (B, L, H).
            attention_mask: additive, broadcastable to (B, heads, L, L), with the bias of relative positions.
        """
        heads = (*hidden_states.shape[:-1], self.num_attention_heads, self.attention_head_size)
        query, key, value = (
            projection(hidden_states).view(heads).transpose(1, 2) for projection in (self.q, self.k, self.v)
        )
        mask = None if attention_mask is None else attention_mask.to(query.dtype)
        context = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.dropout.p if self.training else 0.0
        )
        return (self.o(context.transpose(1, 2).flatten(2)),)


class MPNetWithPositions(MPNetModel):
    """The library's MPNet with positions as an input; same parameters."""

    def forward(
        self, inputs_embeds: torch.Tensor, attention_mask: torch.Tensor, position_ids: torch.Tensor, **_: Any
    ) -> BaseModelOutputWithPooling:
        """The states (B, L, H) of a sequence.

        Args:
            inputs_embeds: (B, L, H), without positions.
            attention_mask: (B, L), 1 for what is attended to.
            position_ids: (B, L) int64; the first token's is 2.
        """
        states = self.embeddings(inputs_embeds=inputs_embeds, position_ids=position_ids)
        bias = relative_position_bias(self.encoder, position_ids)
        bias = bias.masked_fill(~attention_mask.bool()[:, None, None], torch.finfo(bias.dtype).min)
        for layer in self.encoder.layer:
            states = layer(states, bias)[0]
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=self.pooler(states))


def relative_position_bias(encoder: MPNetEncoder, position_ids: torch.Tensor) -> torch.Tensor:
    """(B, heads, L, L) learnt bias of attention from each position to each, by their distance."""
    distance = position_ids[:, None, :] - position_ids[:, :, None]
    return encoder.relative_attention_bias(encoder.relative_position_bucket(distance)).permute(0, 3, 1, 2)


def use_positions(encoder: MPNetModel) -> None:
    """Change the classes in place, so that the parameters and their names stay the same."""
    encoder.__class__ = MPNetWithPositions
    for layer in encoder.encoder.layer:
        layer.attention.attn.__class__ = SdpaMPNetAttention
