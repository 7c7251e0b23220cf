"""A run with a small captioner and ranker, on grid features of two cells and the whole image."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from emocap.captioning.checkpoint import RANKER, CaptionerCard, save_captioner
from emocap.captioning.model import VisualBertForCaptioning, build_captioner
from emocap.emotions import Vocabulary
from emocap.models.classifier import VisualBertForEmotion
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import FeatureCard, ModelCard, load_tokenizer, save_model

GRID = GridExtractor(rows=1, columns=2, dim=16)


Train = Callable[[VisualBertForEmotion, VisualBertForCaptioning, Any], None]


def write_captioner(
    run: Path,
    bert: Path,
    vocabulary: Vocabulary,
    *,
    train: Train | None = None,
    frequencies: list[float] | None = None,
    **changes: Any,
) -> Path:
    """Write `run/captioner/model`, and return the run.

    Args:
        train: trains the ranker and the captioner, given the tokenizer; None leaves them untrained.
        frequencies: of the ranker's emotions.
        changes: to the captioner's card.
    """
    config = build_config(bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16)
    model, _ = load_backbone(config, bert)
    tokenizer = load_tokenizer(bert)
    fingerprint = feature_fingerprint("grid", GRID.settings, "", 16)
    features: FeatureCard = {
        "fingerprint": fingerprint, "extractor": "grid", "settings": GRID.settings, "dim": 16,
    }  # fmt: skip
    folder = run / "captioner" / "model"
    encoder = copy.deepcopy(model.visualbert)
    captioner = build_captioner(encoder, model.visualbert, tokenizer, layers=1, seed=0)
    if train is not None:
        train(model, captioner, tokenizer)
    labels = list(vocabulary.labels)
    card = CaptionerCard(labels, vocabulary.hash, 12, features, candidates=6)
    save_captioner(folder, captioner, tokenizer, replace(card, **changes))
    ranker_card = ModelCard(labels, vocabulary.hash, 12, features, "AnB+", frequencies=frequencies)
    save_model(folder / RANKER, model, tokenizer, ranker_card)
    return run
