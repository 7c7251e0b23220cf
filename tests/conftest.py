"""Fixtures shared by the tests: a tiny BERT checkpoint folder, tiny models, a vocabulary."""

import json
import os
import re
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

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


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT checkpoint folder with three layers of 32, random weights and a vocabulary of about forty words."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    BertModel(BertConfig(**{key: value for key, value in TINY.items() if key != "model_type"})).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(TINY))
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32})
    )
    return folder


@pytest.fixture
def vocabulary():
    """Three emotions."""
    from emocap.emotions import Vocabulary

    return Vocabulary(("happy", "sad", "awe"))


@pytest.fixture
def tiny_model(tiny_bert: Path, vocabulary):
    """A classifier over the tiny BERT, with 8-dimensional regions and mean pooling."""
    from emocap.models.initialisation import build_config, load_backbone

    config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=8)
    return load_backbone(config, tiny_bert, seed=0)[0].eval()


@pytest.fixture
def tiny_batch():
    """Two pairs: five tokens and two regions; three tokens and one region."""
    import torch

    return {
        "input_ids": torch.tensor([[2, 5, 7, 12, 3], [2, 8, 3, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "visual_embeds": torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(0)),
        "visual_attention_mask": torch.tensor([[1, 1], [1, 0]]),
    }


@pytest.fixture(scope="session")
def detector_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a small Faster R-CNN, with the layout of the published one."""
    from .small_detector import write_detector

    return write_detector(tmp_path_factory.mktemp("detector"))


@pytest.fixture
def captioner_run(tiny_bert, vocabulary, tmp_path):
    """Writes a run directory with a small captioner and its ranker: `captioner_run("name", max_length=...)`."""
    from .small_captioner import write_captioner

    return lambda name="run", **changes: write_captioner(tmp_path / name, tiny_bert, vocabulary, **changes)


@pytest.fixture
def photo(tmp_path):
    """An image file."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"
