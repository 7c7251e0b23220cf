"""A model folder on disk and a PNG file, for the commands."""

from pathlib import Path

import pytest

from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model


@pytest.fixture
def model_folder(tiny_model, tiny_bert, vocabulary, tmp_path) -> Path:
    card = ModelCard(list(vocabulary.labels), vocabulary.hash, 16, None, "teacher")
    save_model(tmp_path / "teacher" / "model", tiny_model, load_tokenizer(tiny_bert), card)
    return tmp_path / "teacher"


@pytest.fixture
def pixel() -> bytes:
    """A PNG file of one pixel."""
    return bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
        "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
    )
