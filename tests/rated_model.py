"""A tiny, untrained model folder that predicts ratings, beside emotions or alone, from captions and grid features."""

from pathlib import Path

from emocap.emotions import Vocabulary
from emocap.models.initialisation import build_config, load_backbone
from emocap.regions.extractors.grid import GridExtractor
from emocap.regions.store.format import feature_fingerprint
from emocap.training.checkpoint import FeatureCard, ModelCard, load_tokenizer, save_model

GRID = GridExtractor(rows=1, columns=2, dim=16)
RANGES = {"valence": [1.0, 7.0], "arousal": [0.0, 100.0]}


def write_rated_model(folder: Path, bert: Path, labels: tuple[str, ...] = (), temperature: float = 1.0) -> Path:
    """Write `folder/model` of a model of these emotions and of valence and arousal; returns `folder`."""
    vocabulary = Vocabulary(labels)
    config = build_config(bert, vocabulary, pooling="mean", visual_token_type=0, visual_dim=16, n_ratings=len(RANGES))
    model, _ = load_backbone(config, bert, seed=0)
    fingerprint = feature_fingerprint("grid", GRID.settings, "", 16)
    features: FeatureCard = {"fingerprint": fingerprint, "extractor": "grid", "settings": GRID.settings, "dim": 16}
    card = ModelCard(
        list(labels), vocabulary.hash, 16, features, "teacher", temperature=temperature, ratings=RANGES,
        frequencies=[0.5] * len(labels) if labels else None,
    )  # fmt: skip
    save_model(folder / "model", model, load_tokenizer(bert), card)
    return folder
