"""A study's files: what `prepare` fixed for all of it, and what one unit of it (a seed's fold) reads and leaves."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emocap.corpora.annotators import vote_shares
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import rows_of
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.evaluation.calibration import Calibration
from emocap.files import read_array
from emocap.models.backbones import build_config, find_backbone, load_backbone
from emocap.models.classifier import VisualBertForEmotion
from emocap.regions.store.reader import FeatureStore
from emocap.study.artifacts import read_parquet, read_value
from emocap.study.config.study import StudyConfig
from emocap.training.batching import PairDataset
from emocap.training.checkpoint import FeatureCard, ModelCard, SavedModel, load_model, load_tokenizer, save_model

PARTS = ("train", "validation", "test")


@dataclass
class Study:
    """A study's configuration and folders, and what its stages read of each other.

    Attributes:
        config: of the study.
        root: the run directory: corpora, vocabulary, backbone and features, the same for every unit.
        run: folder of the unit, `root` itself where there is one.
        seed: of the unit's initialisations, orders and samples.
        fold: which part of the target is tested; None for one split.
    """

    config: StudyConfig
    root: Path
    run: Path
    seed: int
    fold: int | None = None

    def place(self, path: Path) -> Path:
        """A corpus's path, below `data_root` unless absolute."""
        return self.config.data_root / path

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary("vocabulary.json")

    @cached_property
    def labelled_vocabulary(self) -> Vocabulary:
        """The emotions of the labelled source."""
        return self._vocabulary("labelled_vocabulary.json")

    def _vocabulary(self, name: str) -> Vocabulary:
        path = self.root / name
        vocabulary = Vocabulary(tuple(read_value(path, "labels")))
        if vocabulary.hash != (found := read_value(path, "hash")):
            raise EmocapError(f"{path}: labels do not have the hash {found}; delete it and run again")
        return vocabulary

    def whole(self, domain: str) -> Pairs:
        """All "target", "source" or "labelled_source" pairs as read by `prepare`."""
        corpus = self.config.corpora.get(domain)
        images = self.place(corpus.images) if corpus is not None and corpus.images is not None else None
        return Pairs(read_parquet(self.root / f"{domain}.parquet"), images, (), open_vocabulary=True)

    def pairs(self, domain: str) -> Pairs:
        """The pairs of a domain that this unit may use: of the source those that show nothing held out."""
        pairs = self.whole(domain)
        return pairs.select(read_array(self.run / "source_rows.npy")) if domain == "source" else pairs

    @cached_property
    def same_content(self) -> dict[str, str]:
        """Images of the target whose bytes another has too, with the first such image."""
        return read_value(self.root / "data.json", "same_content")

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """Row numbers of the target's "train", "validation" and "test" pairs."""
        parts = read_value(self.run / "splits.json", "parts")
        return rows_of(self.pairs("target"), parts, self.same_content)

    def part(self, name: str) -> Pairs:
        """The target's "train", "validation" or "test" pairs."""
        return self.pairs("target").select(self.rows[name])

    def truth(self, name: str) -> np.ndarray:
        """(N, E) float32 of 0 and 1: the emotions that any annotator named, of a part of the target."""
        return self.part(name).targets(self.vocabulary)

    def training_targets(self, name: str) -> np.ndarray:
        """(N, E) float32: what the target's models learn of a part, by the study's `targets`."""
        pairs = self.part(name)
        votes = self.config.targets == "votes"
        return vote_shares(pairs, self.vocabulary) if votes else pairs.targets(self.vocabulary)

    def store(self, domain: str) -> FeatureStore | None:
        """The region features of a domain; None for captions alone."""
        corpus = self.config.corpora.get(domain)
        if corpus is None or self.config.features is None:
            return None
        if corpus.store is not None:
            return FeatureStore.open(self.place(corpus.store))
        path = self.root / "features" / domain
        return FeatureStore.open(path) if path.is_dir() else None

    def any_store(self) -> FeatureStore | None:
        """Region features of the first domain that has some; those of all domains are of one kind."""
        stores = (self.store(domain) for domain in self.config.corpora)
        return next((store for store in stores if store is not None), None)

    def dataset(self, tokenizer: Any, pairs: Pairs, domain: str, targets: np.ndarray | None = None) -> PairDataset:
        """Pairs of a domain as a dataset."""
        return PairDataset.of(pairs, tokenizer, self.config.model.max_length, self.store(domain), targets)

    def fresh_model(self, seed: int, vocabulary: Vocabulary | None = None) -> tuple[VisualBertForEmotion, Any]:
        """A classifier at its backbone's weights, of the target's emotions unless told otherwise, and the tokenizer."""
        settings = self.config.model
        backbone = find_backbone(read_value(self.root / "backbone.json", "name"))
        store = self.any_store()
        config = build_config(
            backbone.folder,
            vocabulary or self.vocabulary,
            pooling=settings.pooling,
            visual_token_type=settings.visual_token_type,
            visual_dim=store.header.dim if store is not None else 1,
            dropout=settings.dropout,
        )
        model, _ = load_backbone(config, backbone.folder, seed)
        return model, load_tokenizer(backbone.tokenizer_folder)

    def folder(self, run: str) -> Path:
        """Where a run's files are; the model of the labelled source is the same for every unit."""
        return self.root / run if run == "labelled" else self.run / run

    def save(
        self,
        run: str,
        model: VisualBertForEmotion,
        tokenizer: Any,
        *,
        calibration: Calibration | None = None,
        vocabulary: Vocabulary | None = None,
        frequencies: np.ndarray | None = None,
    ) -> None:
        """Write a run's model folder, with the kind of region features that it, or the student it stems from, saw.

        Args:
            calibration: temperature and thresholds from the validation pairs; None leaves them at 1 and 0.5.
            vocabulary: its emotions; None means the target's.
            frequencies: (E,) of the emotions in its training pairs; None means the target's training pairs.
        """
        if frequencies is None:
            frequencies = self.truth("train").mean(axis=0)
        card = ModelCard(
            labels=list((vocabulary or self.vocabulary).labels),
            vocabulary=(vocabulary or self.vocabulary).hash,
            max_length=self.config.model.max_length,
            features=self._feature_card(run),
            run=run,
            frequencies=[float(share) for share in frequencies],
            **(
                {}
                if calibration is None
                else {
                    "temperature": calibration.temperature,
                    "threshold": calibration.threshold,
                    "thresholds": calibration.thresholds.tolist(),
                }
            ),
            training={
                "study": self.config.name,
                "seed": self.seed,
                "fold": self.fold,
                "backbone": read_value(self.root / "backbone.json", "name"),
            },
        )
        save_model(self.folder(run) / "model", model, tokenizer, card)

    def _feature_card(self, run: str) -> FeatureCard | None:
        domains = {
            "student": ["source"],
            "labelled": ["labelled_source"],
            "AnB": ["target", "source"],
            "AnB+": ["target", "source"],
            "labelled_AnB": ["target", "labelled_source"],
            "labelled_AnB+": ["target", "labelled_source"],
        }.get(run, ["target"])
        stores = (self.store(domain) for domain in domains)
        store = next((store for store in stores if store is not None), None)
        if store is None:
            return None
        header = store.header
        return {
            "kind": store.kind,
            "extractor": header.extractor,
            "settings": dict(header.settings),
            "dim": header.dim,
        }

    def load(self, run: str) -> SavedModel:
        """A run's model, checked against the study's vocabulary."""
        saved = load_model(self.folder(run) / "model")
        expected = self.labelled_vocabulary if run == "labelled" else self.vocabulary
        expected.require_same(saved.vocabulary.labels, str(saved.folder))
        return saved
