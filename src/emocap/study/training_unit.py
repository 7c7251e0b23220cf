"""A unit with its models: datasets of its pairs, fresh models, and the folders that trained ones are saved in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.calibration import Calibration
from emocap.models.backbones import find_backbone
from emocap.models.classifier import EmotionNetwork
from emocap.models.initialisation import build_config, load_backbone
from emocap.ratings import NO_RATINGS, Ratings
from emocap.study.model_card import feature_card, model_card
from emocap.study.unit import Unit
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import (
    FeatureCard,
    SavedModel,
    load_model,
    load_tokenizer,
    read_card,
    save_model,
)

if TYPE_CHECKING:  # a stage gets the table of models as values, which its fingerprint holds
    from emocap.study.models import StudyModel


@dataclass
class TrainingUnit(Unit):
    """A unit whose stages train, save and load models.

    Attributes:
        models: the models of the study by name.
    """

    models: "Mapping[str, StudyModel]" = field(default_factory=dict)

    def dataset(self, tokenizer: Any, pairs: Pairs, domain: str, targets: np.ndarray | None = None) -> PairDataset:
        """Pairs of a domain as a dataset; targets (N, E) float32."""
        return PairDataset.of(pairs, tokenizer, self.config.model.max_length, self.store(domain), targets)

    def fresh_model(
        self, seed: int, vocabulary: Vocabulary | None = None, ratings: Ratings = NO_RATINGS, *, role: str | None = None
    ) -> tuple[EmotionNetwork, Any]:
        """A classifier at its backbone's weights, and the tokenizer.

        Args:
            seed: of the parts that the backbone lacks.
            vocabulary: its emotions; None means the target's, with the target's ratings.
            ratings: beside a vocabulary, its ratings.
            role: "teacher" or "labelled", which may have a backbone of their own.
        """
        settings = self.config.model
        backbone = find_backbone(self.backbone("name", role))
        store = self.any_store()
        config = build_config(
            backbone.folder,
            self.vocabulary if vocabulary is None else vocabulary,
            pooling=settings.pooling,
            visual_token_type=settings.visual_token_type,
            visual_dim=store.header.dim if store is not None else None,
            dropout=settings.dropout,
            n_ratings=len(self.ratings if vocabulary is None else ratings),
        )
        model, _ = load_backbone(config, backbone.folder, seed)
        return model, load_tokenizer(backbone.tokenizer_folder)

    def place_of(self, name: str) -> str:
        """The folder of a model and of its predictions for held-out pairs, below the unit's."""
        return f"baselines/{name}" if self.models[name].kind == "baseline" else name

    def folder(self, name: str) -> Path:
        """Where a model's files are; one that learns another corpus only is the same for every unit."""
        return (self.root if self._is_shared(name) else self.run) / name

    def save(
        self,
        name: str,
        model: EmotionNetwork,
        tokenizer: Any,
        *,
        calibration: Calibration | None = None,
        vocabulary: Vocabulary | None = None,
        ratings: Ratings = NO_RATINGS,
        frequencies: np.ndarray | None = None,
        language: str | None = None,
        synthetic: bool = False,
    ) -> None:
        """Write a model's folder, with the fingerprint of the region features that it, or its base model, saw.

        Args:
            calibration: scaling and thresholds from the validation pairs; None means none, and 0.5.
            vocabulary: its emotions; None means the target's, with the target's ratings.
            ratings: beside a vocabulary, its ratings.
            frequencies: (E,) of the emotions in its training pairs; None means the target's training pairs.
            language: of its training captions, ISO 639-1; None if unknown.
            synthetic: whether emocap drew the corpus that it was trained on.
        """
        card = model_card(
            self,
            name,
            model.kind,
            calibration,
            vocabulary=vocabulary,
            ratings=ratings,
            frequencies=frequencies,
            language=language,
            synthetic=synthetic,
        )
        backbone = self.backbone("name", self._role(name))
        card = replace(
            card,
            features=self._feature_card(name),
            max_length=self.config.model.max_length,
            training=card.training | {"backbone": backbone},
            uses_captions=self._uses_captions(name),
        )
        save_model(self.folder(name) / "model", model, tokenizer, card)

    def _role(self, name: str) -> str | None:
        """Whose backbone a model starts from, itself or by way of the model whose layers it copies."""
        entry = self.models[name]
        while entry.starts_from is not None and entry.starts_from in self.models:
            entry = self.models[entry.starts_from]
        return entry.settings if entry.settings in ("teacher", "labelled") else None

    def _feature_card(self, name: str) -> FeatureCard | None:
        stores = (self.store(domain) for domain in self.models[name].features_from)
        return feature_card(next((store for store in stores if store is not None), None))

    def _uses_captions(self, name: str) -> bool:
        """Whether the corpus that a model learns has captions, or that of the model whose layers it copies."""
        entry = self.models[name]
        if self.has_captions(next(iter(entry.features_from), "target")):
            return True
        base = entry.starts_from
        return base is not None and base in self.models and read_card(self.folder(base) / "model").uses_captions

    def load(self, name: str) -> SavedModel:
        """A trained model, checked against the study's vocabulary."""
        saved = load_model(self.folder(name) / "model")
        expected = self.labelled_vocabulary if self._is_shared(name) else self.vocabulary
        expected.require_same(saved.vocabulary.labels, str(saved.folder))
        ratings = self.labelled_ratings if self._is_shared(name) else self.ratings
        if saved.card.ratings != ratings.ranges:
            raise EmocapError(f"{saved.folder}: predicts other ratings than the study's; delete it and run again")
        return saved

    def _is_shared(self, name: str) -> bool:
        """Whether a model belongs to the whole study; points of a sub-study such as "transfer/AnB_n04_s0" do not."""
        return name in self.models and self.models[name].kind == "pretraining"
