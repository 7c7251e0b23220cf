"""Tiny text encoders of several architectures with random weights, and their checkpoint folders."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from .tiny_bert import WORDS

# The order of RoBERTa and MPNet: the padding is 1, so that their positions start at 2.
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SHARED = {
    "vocab_size": len(SPECIAL) + len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    # Large enough that attention and positions matter.
    "initializer_range": 0.3,
}
OWN: dict[str, dict] = {
    "bert": {},
    "mpnet": {},
    "roberta": {},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": 0, "sep_token_id": 2},
    "electra": {"embedding_size": 16},
}


def tiny_config(architecture: str, **changes):
    """The configuration of a tiny encoder."""
    own = OWN[architecture]
    shared = {} if architecture != "distilbert" else {"hidden_size", "num_hidden_layers", "num_attention_heads"}
    kept = {key: value for key, value in SHARED.items() if key not in {*shared, "intermediate_size" if shared else ""}}
    return CONFIG_MAPPING[architecture](**{**kept, **own, **changes})


def write_tiny_encoder(folder: Path, architecture: str) -> Path:
    """Write the checkpoint of a tiny encoder with its tokenizer to an existing folder, and return it."""
    torch.manual_seed(0)
    AutoModel.from_config(tiny_config(architecture)).save_pretrained(folder)
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate([*SPECIAL, *WORDS])}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    ).save_pretrained(folder)
    return folder
