"""VisualBERT (Li et al. 2019, arXiv 1908.03557) from transformers, with `scaled_dot_product_attention`.

Attention maps take the library's own slower path, since the fused kernel does not return them.
"""

from typing import Any

import torch
from torch import nn
from transformers.models.visual_bert.configuration_visual_bert import VisualBertConfig
from transformers.models.visual_bert.modeling_visual_bert import VisualBertModel, VisualBertSelfAttention


class SdpaSelfAttention(VisualBertSelfAttention):
    """The library's self-attention by `scaled_dot_product_attention`; same parameters, same result."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, ...]:
        """Self-attention over a sequence.

        Args:
            hidden_states: (B, L, H).
            attention_mask: None or additive, broadcastable to (B, heads, L, L); very negative where masked.
            output_attentions: also return the (B, heads, L, L) attention probabilities, by the slower path.

        Returns:
            The context (B, L, H), and the probabilities if requested.
        """
        if output_attentions:
            return super().forward(hidden_states, attention_mask, output_attentions=True)
        heads = (*hidden_states.shape[:-1], self.num_attention_heads, self.attention_head_size)
        query, key, value = (
            projection(hidden_states).view(heads).transpose(1, 2) for projection in (self.query, self.key, self.value)
        )
        context = nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=self.dropout.p if self.training else 0.0
        )
        return (context.transpose(1, 2).flatten(2),)


def build_visualbert(config: VisualBertConfig) -> VisualBertModel:
    """A randomly initialised VisualBERT encoder with `scaled_dot_product_attention`."""
    encoder = VisualBertModel(config)
    use_sdpa(encoder)
    return encoder


def use_sdpa(encoder: VisualBertModel) -> None:
    """Change the class of each attention module in place, so that its parameters and their names stay the same."""
    for layer in encoder.encoder.layer:
        layer.attention.self.__class__ = SdpaSelfAttention


def encode_pairs(
    encoder: VisualBertModel,
    visual_token_type: int,
    attention_mask: torch.Tensor,
    *,
    input_ids: torch.Tensor | None = None,
    inputs_embeds: torch.Tensor | None = None,
    visual_embeds: torch.Tensor | None = None,
    visual_attention_mask: torch.Tensor | None = None,
) -> tuple[Any, torch.Tensor]:
    """The encoder's output for text and regions, and the attention mask (B, T + R) of both.

    Args:
        visual_token_type: of every region.
        attention_mask: (B, T).
        input_ids, inputs_embeds: (B, T) or (B, T, H); exactly one is given.
        visual_embeds: (B, R, D), or None without images.
        visual_attention_mask: (B, R); None means no padding.
    """
    visual_token_type_ids, mask = None, attention_mask
    if visual_embeds is not None:
        if visual_attention_mask is None:
            visual_attention_mask = attention_mask.new_ones(visual_embeds.shape[:2])
        visual_token_type_ids = torch.full_like(visual_attention_mask, visual_token_type, dtype=torch.long)
        mask = torch.cat([attention_mask, visual_attention_mask], dim=1)
    output = encoder(
        input_ids=input_ids,
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        visual_embeds=visual_embeds,
        visual_attention_mask=visual_attention_mask,
        visual_token_type_ids=visual_token_type_ids,
        return_dict=True,
    )
    return output, mask
