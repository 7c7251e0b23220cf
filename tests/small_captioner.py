"""A run with an untrained captioner and ranker, on grid features of two cells and the whole image."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from emocap.captioning.checkpoint import RANKER, CaptionerCard, save_captioner
from emocap.captioning.model import build_captioner
from emocap.emotions import Vocabulary
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import FeatureCard, ModelCard, load_tokenizer, save_model

GRID = GridExtractor(rows=1, columns=2, dim=16)


def write_captioner(run: Path, bert: Path, vocabulary: Vocabulary, **changes: Any) -> Path:
    """Write `run/captioner/model`, with `changes` to its card, and return the run."""
    config = build_config(bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    model, _ = load_backbone(config, bert)
    tokenizer = load_tokenizer(bert)
    fingerprint = feature_fingerprint("grid", GRID.settings, "", 16)
    features: FeatureCard = {
        "fingerprint": fingerprint, "extractor": "grid", "settings": GRID.settings, "dim": 16,
    }  # fmt: skip
    folder = run / "captioner" / "model"
    captioner = build_captioner(model.visualbert, model.visualbert, tokenizer, layers=1, seed=0)
    labels = list(vocabulary.labels)
    card = CaptionerCard(labels, vocabulary.hash, 12, features, candidates=6)
    save_captioner(folder, captioner, tokenizer, replace(card, **changes))
    save_model(folder / RANKER, model, tokenizer, ModelCard(labels, vocabulary.hash, 12, features, "AnB+"))
    return run
