"""Decoders of captions with cross-attention: BERT with the layers of the backbone, or GPT-2 with new ones.

New layers normalise their input (pre-norm), as GPT-2's do, and so train well with a high learning rate; BERT's
normalise their output.
"""

from typing import Any

import numpy as np
from torch import nn
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertLMHeadModel
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel

BERT_KEYS = (
    "hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "hidden_dropout_prob",
    "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size", "initializer_range",
    "layer_norm_eps", "pad_token_id",
)  # fmt: skip
HEAD_SIZE = 64


def bert_decoder(backbone: Any, tokens: Any, *, layers: int, vocab_size: int, dropout: float | None) -> BertLMHeadModel:
    """A BERT decoder of the backbone's size.

    Args:
        backbone: its configuration.
        tokens: with `pad_token_id`.
        dropout: None means the backbone's.
    """
    settings = {key: getattr(backbone, key) for key in BERT_KEYS}
    if dropout is not None:
        settings |= dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), dropout)
    return BertLMHeadModel(
        BertConfig(
            **settings, vocab_size=vocab_size, num_hidden_layers=layers, is_decoder=True, add_cross_attention=True
        )
    )


def gpt2_decoder(backbone: Any, tokens: Any, *, layers: int, vocab_size: int, dropout: float | None) -> GPT2LMHeadModel:
    """A GPT-2 decoder of the backbone's size; arguments as for `bert_decoder`, with all special tokens."""
    dropout = backbone.hidden_dropout_prob if dropout is None else dropout
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=backbone.max_position_embeddings,
            n_embd=backbone.hidden_size,
            n_layer=layers,
            n_head=max(1, backbone.hidden_size // HEAD_SIZE),
            n_inner=backbone.intermediate_size,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            is_decoder=True,
            add_cross_attention=True,
            bos_token_id=tokens.cls_token_id,
            eos_token_id=tokens.sep_token_id,
            pad_token_id=tokens.pad_token_id,
        )
    )


def copy_backbone(decoder: BertLMHeadModel | GPT2LMHeadModel, backbone: nn.Module, kept: np.ndarray | None) -> None:
    """Copy the backbone's word vectors into a decoder, and into BERT all else that both have.

    Args:
        kept: (V,) tokenizer ids of the decoder's tokens; None means all.
    """
    source = backbone.state_dict()
    words = source["embeddings.word_embeddings.weight"]
    words = words if kept is None else words[kept]
    if isinstance(decoder, GPT2LMHeadModel):
        decoder.transformer.wte.weight.data.copy_(words)
        return
    own = decoder.bert.state_dict()
    copied = {name: tensor for name, tensor in source.items() if name in own}
    decoder.bert.load_state_dict(copied | {"embeddings.word_embeddings.weight": words}, strict=False)
