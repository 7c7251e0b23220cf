"""A small encoder of conditions and regions, trained from scratch: BERT layers over word vectors and projected regions.

A region's position is its place in the list of regions, which for an extractor with a grid is its cell. Each condition
has one embedding, which starts as the mean of the backbone's vectors of the words of its name.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertModel

MAX_POSITIONS = 128  # regions further down the list share the last one


def build_light_encoder(
    backbone: Any, tokenizer: Any, names: Sequence[str], visual_dim: int, *, layers: int, dropout: float | None,
    seed: int,
) -> BertModel:  # fmt: skip
    """A new encoder.

    Args:
        backbone: whose size, heads and word vectors are used.
        names: C names of conditions; the embeddings C and C + 1 are of the start and the end.
        visual_dim: dimension of the region features.
        layers: of the encoder.
        dropout: None means the backbone's.
        seed: of the new weights.
    """
    own = backbone.config
    dropout = own.hidden_dropout_prob if dropout is None else dropout
    config = BertConfig(
        vocab_size=len(names) + 2,
        hidden_size=own.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=own.num_attention_heads,
        intermediate_size=own.intermediate_size,
        hidden_act=own.hidden_act,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=MAX_POSITIONS,
        type_vocab_size=2,
        layer_norm_eps=own.layer_norm_eps,
        initializer_range=own.initializer_range,
        pad_token_id=None,
        visual_embedding_dim=visual_dim,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = BertModel(config)
    words = backbone.get_input_embeddings().weight.detach()
    token_ids = tokenizer(list(names), add_special_tokens=False, return_attention_mask=False)["input_ids"]
    with torch.no_grad():
        for row, ids in enumerate([*token_ids, [tokenizer.cls_token_id], [tokenizer.sep_token_id]]):
            encoder.embeddings.word_embeddings.weight[row] = words[ids].mean(dim=0)
    return encoder


def encode_light(
    encoder: BertModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    regions: torch.Tensor | None,
    visual_attention_mask: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """States (B, T + R, H) of conditions and regions, and their mask (B, T + R).

    Args:
        input_ids, attention_mask: (B, T) of the conditions.
        regions: (B, R, H) projected region features, or None without images.
        visual_attention_mask: (B, R); None means no padding.
    """
    embeds = encoder.embeddings.word_embeddings(input_ids)
    positions = torch.zeros_like(input_ids)
    mask = attention_mask
    if regions is not None:
        if visual_attention_mask is None:
            visual_attention_mask = attention_mask.new_ones(regions.shape[:2])
        places = torch.arange(1, regions.shape[1] + 1, device=regions.device).clamp(max=MAX_POSITIONS - 1)
        embeds = torch.cat([embeds, regions], dim=1)
        positions = torch.cat([positions, places.expand(len(regions), -1)], dim=1)
        mask = torch.cat([attention_mask, visual_attention_mask], dim=1)
    output = encoder(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=positions,
        token_type_ids=(positions > 0).long(),
        return_dict=True,
    )
    return output.last_hidden_state, mask
