"""A study's files: those that `prepare` wrote for all of it (`Study`), and those of one unit, a seed's fold (`Unit`).

Each file is read once by an object of these classes; every stage gets a fresh one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from emocap.corpora.annotators import vote_shares
from emocap.corpora.groups import image_key
from emocap.corpora.image_folders import common_folder
from emocap.corpora.languages import main_language
from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import rows_of
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError
from emocap.files import read_array
from emocap.ratings import Ratings
from emocap.regions.store.reader import FeatureStore
from emocap.study.artifacts import backbone_file, read_parquet, read_value

if TYPE_CHECKING:  # a stage gets the configuration as values, which its fingerprint holds
    from emocap.study.config.corpora import CorpusConfig
    from emocap.study.config.study import StudyConfig

PARTS = ("train", "validation", "test")
HELD_OUT = ("validation", "test")
T = TypeVar("T")
U = TypeVar("U", bound="Unit")


def _once(cache: dict[tuple[str, str], Any], kind: str, name: str, read: Callable[[], T]) -> T:
    key = (kind, name)
    if key not in cache:
        cache[key] = read()
    return cache[key]


@dataclass
class Study:
    """A study's configuration and its run directory.

    Attributes:
        config: of the study.
        root: the run directory: corpora, vocabulary, backbone and features, the same for every unit.
    """

    config: "StudyConfig"
    root: Path
    _files: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def place(self, path: Path) -> Path:
        """A corpus's path, below `data_root` unless absolute."""
        return self.config.data_root / path

    def backbone(self, key: str, role: str | None = None) -> Any:
        """A value of the backbone that models start from.

        Args:
            key: "name", "sha256" or "n_layers".
            role: "teacher" or "labelled", which may have their own; None means the one of `model.backbone`.

        Raises:
            EmocapError: it was not resolved, or the file is damaged.
        """
        own = role if role in self.config.own_backbones else None
        return read_value(backbone_file(self.root, own), key)

    def image_folders(self, corpus: "CorpusConfig") -> list[Path]:
        """The folders of a corpus's images; empty where there are none."""
        return [self.place(folder) for folder in corpus.image_folders]

    def folders_of(self, domain: str) -> list[Path]:
        """The folders of the images of all corpora of a domain."""
        return [folder for corpus in self.config.corpora.get(domain, ()) for folder in self.image_folders(corpus)]

    def given_store(self, domain: str) -> Path | None:
        """The feature store that a domain names; None where its features are extracted, or it has none."""
        corpora = self.config.corpora.get(domain, ())
        return next((self.place(corpus.store) for corpus in corpora if corpus.store is not None), None)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The emotions of the target."""
        return self._vocabulary("vocabulary.json")

    @cached_property
    def labelled_vocabulary(self) -> Vocabulary:
        """The emotions of the labelled source."""
        return self._vocabulary("labelled_vocabulary.json")

    @cached_property
    def labelled_emotions(self) -> np.ndarray:
        """(N, E) float32 of 0 and 1: the emotions of the labelled source's pairs.

        NaN where the pair's corpus, one of several, never has the emotion, so that nobody was asked for it.
        """
        emotions = self.whole("labelled_source").targets(self.labelled_vocabulary)
        start = 0
        for corpus in read_value(self.root / "labelled_vocabulary.json", "corpora"):
            stop = start + corpus["pairs"]
            is_unknown = [label not in corpus["labels"] for label in self.labelled_vocabulary.labels]
            emotions[start:stop, is_unknown] = np.nan
            start = stop
        return emotions

    @cached_property
    def ratings(self) -> Ratings:
        """The ratings of the target."""
        return self._ratings("ratings.json")

    @cached_property
    def labelled_ratings(self) -> Ratings:
        """The ratings of the labelled source."""
        return self._ratings("labelled_ratings.json")

    def _ratings(self, name: str) -> Ratings:
        path = self.root / name
        try:
            return Ratings.of(read_value(path, "ratings"))
        except EmocapError as error:
            raise EmocapError(f"{path}: {error}; delete it and run again") from None

    def _vocabulary(self, name: str) -> Vocabulary:
        path = self.root / name
        labels = read_value(path, "labels")
        if not isinstance(labels, list):
            raise EmocapError(f"{path}: the vocabulary's labels are {labels!r:.80}; delete it and run again")
        try:
            vocabulary = Vocabulary(tuple(labels))
        except EmocapError as error:
            raise EmocapError(f"{path}: {error}; delete it and run again") from None
        if vocabulary.hash != (recorded := read_value(path, "hash")):
            raise EmocapError(f"{path}: the vocabulary does not have the hash {recorded}; delete it and run again")
        return vocabulary

    def whole(self, domain: str) -> Pairs:
        """All "target", "source" or "labelled_source" pairs as read by `prepare`."""

        def read() -> Pairs:
            embedded, folders = self.data("embedded_images").get(domain), self.folders_of(domain)
            images = Path(embedded) if embedded is not None else common_folder(folders) if folders else None
            return Pairs(read_parquet(self.root / f"{domain}.parquet"), images, (), open_vocabulary=True)

        return _once(self._files, "whole", domain, read)

    def has_captions(self, domain: str) -> bool:
        """Whether any pair of a domain has a caption."""
        return any(map(str.strip, self.whole(domain).captions))

    @property
    def same_content(self) -> dict[str, str]:
        """Images of the target whose bytes another has too, with the first such image."""
        return self.data("same_content")

    def data(self, key: str) -> Any:
        """What `prepare` found out about the corpora."""
        path = self.root / "data.json"
        return _once(self._files, "data", key, lambda: read_value(path, key))

    def store(self, domain: str) -> FeatureStore | None:
        """The region features of a domain; None where the study or the corpus has no images.

        Raises:
            EmocapError: the corpus has images, but their features are missing or damaged.
        """
        path = self.store_path(domain)
        return _once(self._files, "store", domain, lambda: FeatureStore.open(path)) if path is not None else None

    def store_path(self, domain: str) -> Path | None:
        """Where the region features of a domain are, or will be; None where the study or the corpus has no images."""
        if domain not in self.config.corpora or self.config.features is None:
            return None
        if (given := self.given_store(domain)) is not None:
            return given
        has_images = bool(self.folders_of(domain)) or self.data("embedded_images").get(domain) is not None
        return self.root / "features" / domain if has_images else None

    def any_store(self) -> FeatureStore | None:
        """Region features of the first domain that has some; those of all domains have one fingerprint."""
        stores = (self.store(domain) for domain in self.config.corpora)
        return next((store for store in stores if store is not None), None)


@dataclass
class Unit(Study):
    """One seed's fold of a study, with the parts of the target that it trains and tests on.

    Attributes:
        run: folder of the unit, `root` itself where there is one unit.
        seed: of the unit's initialisations, orders and samples.
        fold: which part of the target is tested; None for one split.
    """

    run: Path
    seed: int
    fold: int | None = None
    _parts: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def pairs(self, domain: str) -> Pairs:
        """The pairs of a domain that this unit may use: of the source those that share nothing with held-out pairs."""
        if domain != "source":
            return self.whole(domain)
        rows = self.run / "source_rows.npy"
        return _once(self._parts, "pairs", domain, lambda: self.whole(domain).select(read_array(rows)))

    def array(self, file: str) -> np.ndarray:
        """An array that a stage of this unit wrote; callers must not change it."""
        return _once(self._parts, "array", file, lambda: read_array(self.run / file))

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """Row numbers of the target's "train", "validation" and "test" pairs."""
        path = self.run / "splits.json"
        parts, left_out = read_value(path, "parts"), read_value(path, "left_out")
        return rows_of(self.pairs("target"), parts, self.same_content, left_out)

    @cached_property
    def groups(self) -> list[str]:
        """The group of each target pair, by its first image: what no split divides and resampling keeps together."""
        bound = read_value(self.run / "splits.json", "bound")
        return [bound.get(key, key) for key in image_key(self.pairs("target"), self.same_content)]

    def part(self, name: str) -> Pairs:
        """The target's "train", "validation" or "test" pairs."""
        return _once(self._parts, "part", name, lambda: self.pairs("target").select(self.rows[name]))

    @cached_property
    def language(self) -> str | None:
        """ISO 639 code of the language of the target's training captions; None if unknown or mixed."""
        return main_language(self.part("train").table["caption"])

    @property
    def is_synthetic(self) -> bool:
        """Whether emocap drew the target: its true probabilities are then known."""
        return self.config.target.oracle is not None

    def truth(self, name: str) -> np.ndarray:
        """(N, E) float32 of 0 and 1: the emotions that any annotator named, of a part of the target."""
        return _once(self._parts, "truth", name, lambda: self.part(name).targets(self.vocabulary))

    def true_ratings(self, name: str) -> np.ndarray:
        """(N, R) float64 from 0 to 1, NaN where missing: the ratings of a part of the target."""
        return _once(self._parts, "ratings", name, lambda: self.part(name).rating_values(self.ratings.names))

    def training_targets(self, name: str) -> np.ndarray:
        """(N, E + R) float32: what the target's models learn of a part.

        The emotions are those of the study's `label_aggregation`; behind them are the ratings, NaN where missing.
        """

        emotions = self._emotion_targets(name)
        if not self.ratings:
            return emotions
        return _once(
            self._parts,
            "targets",
            name,
            lambda: np.concatenate([emotions, self.true_ratings(name)], axis=1).astype(np.float32),
        )

    def _emotion_targets(self, name: str) -> np.ndarray:
        if self.config.label_aggregation == "union" or not len(self.vocabulary):
            return self.truth(name)
        return _once(self._parts, "votes", name, lambda: vote_shares(self.part(name), self.vocabulary))


def fresh_copies(units: Sequence[U]) -> list[U]:
    """Copies of a study's units that have read nothing yet; they read what belongs to the whole study once together."""
    copies = [replace(unit) for unit in units]
    for unit in copies:
        unit._files = copies[0]._files
    return copies
