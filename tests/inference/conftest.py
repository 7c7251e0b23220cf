"""A captioner's folder with its ranker, untrained, over the grid's features of two cells and the whole image."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from emocap.models.backbone import build_config, load_backbone
from emocap.models.captioner import build_captioner
from emocap.regions.grid import GridExtractor
from emocap.regions.store import kind_of
from emocap.training.captioner_folder import RANKER, CaptionerCard, save_captioner
from emocap.training.checkpoint import ModelCard, load_tokenizer, save_model

GRID = GridExtractor(rows=1, columns=2, dim=16)


@pytest.fixture
def captioner_run(tiny_bert, vocabulary, tmp_path):
    """A run directory with `captioner/model`; `write` may change the card."""

    def write(name="run", **changes):
        config = build_config(tiny_bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
        model, _ = load_backbone(config, tiny_bert)
        tokenizer = load_tokenizer(tiny_bert)
        features = {
            "kind": kind_of("grid", GRID.settings, "", 16), "extractor": "grid", "settings": GRID.settings, "dim": 16,
        }  # fmt: skip
        folder = tmp_path / name / "captioner" / "model"
        captioner = build_captioner(model.visualbert, model.visualbert, tokenizer, layers=1, seed=0)
        card = CaptionerCard(list(vocabulary.labels), vocabulary.hash, 12, features, candidates=6)
        save_captioner(folder, captioner, tokenizer, replace(card, **changes))
        save_model(
            folder / RANKER, model, tokenizer, ModelCard(list(vocabulary.labels), vocabulary.hash, 12, features, "AnB+")
        )
        return tmp_path / name

    return write


@pytest.fixture
def photo(tmp_path):
    """A picture file."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"
