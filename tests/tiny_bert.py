"""A tiny BERT checkpoint folder: three layers of 32, random weights and a vocabulary of about forty words."""

import json
import re
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

WORDS = re.findall(
    r"\w+",
    "a the dog cat child boat sits runs waits alone home happy sad bright dark night sun rain on in by of and is at "
    "last lost found party storm quiet field sea nobody knows why celebrates",
)
TINY = {
    "model_type": "bert",
    "vocab_size": 5 + len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def write_tiny_bert(folder: Path) -> Path:
    """Write the checkpoint to an existing folder, and return it."""
    torch.manual_seed(0)
    BertModel(BertConfig(**{key: value for key, value in TINY.items() if key != "model_type"})).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(TINY))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32})
    )
    return folder
