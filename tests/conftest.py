"""Fixtures shared by the tests: a tiny BERT checkpoint folder, tiny models, a vocabulary, the folder of real data."""

import gc
import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are faster so, and workers share the cores
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True, scope="module")
def _frozen_heap() -> None:
    """Exempt what lives before a module's tests from garbage collection, which transformers calls in every training."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT checkpoint folder with three layers of 32, random weights and a vocabulary of about forty words."""
    from .tiny_bert import write_tiny_bert

    return write_tiny_bert(tmp_path_factory.mktemp("tiny-bert"))


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


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data next to the checkout; the test is skipped if there is none."""
    folder = Path(os.environ.get("EMOCAP_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data on this machine")
    return folder
