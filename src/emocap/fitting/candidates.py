"""The candidates that a table is tried with, simplest first: heads on fixed inputs, and a fine-tuned encoder.

A head is logistic regression of emotions and ridge regression of ratings, as the baselines of the studies. To try one
more encoder, add its name, as `sentence_vectors` takes it, to `ENCODERS`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from emocap.classifiers.base import StoredFeatures
from emocap.classifiers.baseline_files import save_baseline
from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.evaluation.fitted_baselines import FittedBaseline, Frequencies, LinearModel, Model
from emocap.evaluation.image_vectors import ImageVectors, described_rows
from emocap.evaluation.linear_fits import image_logistic_fits, logistic_fits, mean_ratings, ridge_fits, smoothed
from emocap.evaluation.sentence_vectors import OFFLINE, sentence_vectors
from emocap.evaluation.tfidf import Tfidf
from emocap.fitting.table import LabelledTable
from emocap.regions.store.reader import FeatureStore
from emocap.training.checkpoint import ModelCard, save_model

if TYPE_CHECKING:
    from emocap.fitting.upper_layers import LowerLayers

ENCODERS = (OFFLINE,)
BACKBONE = OFFLINE  # what is fine-tuned
MOST_TUNED_ROWS = 10_000
_WORD = re.compile(r"\w\w")  # what TF-IDF reads


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a candidate learned from some rows, with one head for each strength of the penalty.

    Attributes:
        predict: n pairs to the probabilities (n, E) of each head, and the ratings (n, R) of each head of ratings, from
            0 to 1; one list is empty where there are no ratings.
        save: writes the model with the heads of these numbers as a folder.
    """

    predict: Callable[[Pairs], tuple[list[np.ndarray], list[np.ndarray]]]
    save: Callable[[Path, ModelCard, int, int], None]


class Candidate(Protocol):
    """A way to make a model.

    Attributes:
        name: of the model.
        description: what it is, for the report.
        cost: CPU seconds of one fit, roughly, for the progress.
        uses_images, uses_captions: whether it reads images, and captions.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def cost(self) -> float: ...

    @property
    def uses_images(self) -> bool: ...

    @property
    def uses_captions(self) -> bool: ...

    def fit(self, table: LabelledTable, rows: np.ndarray) -> Fitted:
        """What it learns from these rows of a table."""


@dataclass(frozen=True, eq=False)
class HeadCandidate:
    """A linear head on TF-IDF, sentence vectors or image vectors, or the label frequencies; see `Candidate`.

    Attributes:
        kind: of the model folder, one of `emocap.classifiers.baseline_files.KINDS`.
        caption: what it makes of a caption.
        store: region features of the images it reads; None where it reads none.
    """

    name: str
    kind: str
    description: str
    caption: Literal["nothing", "tfidf"] | Callable[[Sequence[str]], np.ndarray]
    store: FeatureStore | None = None
    cost: float = 0.3

    @property
    def uses_images(self) -> bool:
        """Whether it reads images."""
        return self.store is not None

    @property
    def uses_captions(self) -> bool:
        """Whether it reads captions; the label frequencies are for captions too."""
        return self.caption != "nothing" or self.store is None

    def fit(self, table: LabelledTable, rows: np.ndarray) -> Fitted:
        """As `Candidate.fit`."""
        pairs, truth, ratings = table.pairs.select(rows), table.truth[rows] > 0, table.rating_values[rows]
        shell = self._unfitted(pairs, truth, ratings)
        if self.caption == "nothing" and self.store is not None:  # an image that is missing says nothing
            seen = described_rows(self._features(pairs))
            pairs, truth, ratings = pairs.select(seen), truth[seen], ratings[seen]
        heads, rating_heads = self._heads(shell, pairs, truth, ratings)

        def predict(wanted: Pairs) -> tuple[list[np.ndarray], list[np.ndarray]]:
            features = self._features(wanted)
            inputs = shell.inputs(wanted.captions, features)
            found = [model(inputs) for model in heads], [model(inputs) for model in rating_heads]
            if shell.without_image is not None:
                missing = np.setdiff1d(np.arange(len(wanted)), described_rows(features))
                n_labels = truth.shape[1]
                for outputs, constant in zip(found, np.split(shell.without_image, [n_labels]), strict=True):
                    for predicted in outputs:
                        predicted[missing] = constant
            return found

        def save(folder: Path, card: ModelCard, number: int, rating_number: int) -> None:
            rated = rating_heads[rating_number] if rating_heads else None
            fitted = replace(shell, model=heads[number], rating_model=rated)
            save_baseline(folder, fitted, replace(card, kind=self.kind))

        return Fitted(predict, save)

    def _features(self, pairs: Pairs) -> Sequence[np.ndarray | None]:
        return StoredFeatures(self.store, pairs.images)

    def _unfitted(self, pairs: Pairs, truth: np.ndarray, ratings: np.ndarray) -> FittedBaseline:
        read = None if self.caption == "nothing" else self.caption
        images = None if self.store is None else ImageVectors.fit(self._features(pairs))
        constant = None
        if read is None and images is not None:
            constant = np.concatenate([smoothed(truth), mean_ratings(ratings)])
        reader: Any = Tfidf.fit(pairs.captions) if read == "tfidf" else read
        return FittedBaseline(self.kind, reader, Frequencies(np.empty(0)), images=images, without_image=constant)

    def _heads(
        self, shell: FittedBaseline, pairs: Pairs, truth: np.ndarray, ratings: np.ndarray
    ) -> tuple[list[Model], list[Model]]:
        has_ratings = ratings.shape[1] > 0
        if shell.read is None and shell.images is None:
            rated: list[Model] = [Frequencies(mean_ratings(ratings))] if has_ratings else []
            return [Frequencies(smoothed(truth))], rated
        inputs = shell.inputs(pairs.captions, self._features(pairs))
        fits = image_logistic_fits if shell.images is not None else logistic_fits
        return fits(inputs, truth, 0), ridge_fits(inputs, ratings) if has_ratings else []


@dataclass(frozen=True, eq=False)
class TunedCandidate:
    """An encoder fine-tuned on the table, with a linear head on its vectors; see `Candidate`.

    Attributes:
        backbone: as `find_backbone` takes it.
        vocabulary: the table's.
        scratch: folder for the files of the training.
    """

    backbone: str
    vocabulary: Vocabulary
    scratch: Path
    name: str = "tuned"
    description: str = "upper layers of the sentence encoder fine-tuned, with logistic regression on its vectors"
    cost: float = 10.0
    uses_images: bool = False
    uses_captions: bool = True

    def fit(self, table: LabelledTable, rows: np.ndarray) -> Fitted:
        """As `Candidate.fit`."""
        from emocap.fitting.contrastive import mean_length, set_head, tuned_layers

        lower = self._lower
        pairs, truth = table.pairs.select(rows), table.truth[rows]
        network, upper = tuned_layers(lower, pairs, truth, self.scratch, name=self.name, seed=0)

        def vectors(wanted: Pairs) -> np.ndarray:
            return upper.vectors(lower.states(wanted.captions))

        training = vectors(pairs)
        scale = mean_length(training)
        heads = logistic_fits(training / scale, truth > 0, 0)

        def predict(wanted: Pairs) -> tuple[list[np.ndarray], list[np.ndarray]]:
            inputs = vectors(wanted) / scale
            return [head(inputs) for head in heads], []

        def save(folder: Path, card: ModelCard, number: int, _rating_number: int) -> None:
            head = heads[number]
            assert isinstance(head, LinearModel), "logistic regression"
            set_head(network, head.weights, head.intercepts, scale)
            save_model(folder, network, lower.tokenizer, replace(card, kind=network.kind, max_length=lower.max_length))

        return Fitted(predict, save)

    @cached_property
    def _lower(self) -> "LowerLayers":
        """The frozen layers, shared by all fits."""
        from emocap.fitting.contrastive import TRAINED_LAYERS
        from emocap.fitting.upper_layers import LowerLayers

        return LowerLayers(self.backbone, self.vocabulary, TRAINED_LAYERS)


def candidates_for(table: LabelledTable, store: FeatureStore | None, scratch: Path) -> list[Candidate]:
    """What a table is tried with, simplest first; the first is the prior."""
    head = partial(HeadCandidate, store=None)
    found: list[Candidate] = [
        head("prior", "prior", "the frequency of each emotion, the same for every row", "nothing")
    ]
    if table.has_captions:
        if sum(_WORD.search(caption) is not None for caption in table.pairs.captions) > len(table.pairs) / 2:
            found.append(head("tfidf", "tfidf", "logistic regression on words and word pairs", "tfidf"))
        for encoder in ENCODERS:
            name = "vectors" if encoder == OFFLINE else f"vectors_{encoder}"
            found.append(head(name, "vectors", "logistic regression on sentence vectors", sentence_vectors(encoder)))
    if store is not None:
        found.append(
            HeadCandidate("image_probe", "image_probe", "logistic regression on image vectors", "nothing", store)
        )
        if table.has_captions:
            text = "logistic regression on sentence vectors and image vectors"
            found.append(HeadCandidate("vectors_image", "vectors_image", text, sentence_vectors(OFFLINE), store))
    if table.has_captions and not len(table.ratings) and len(table.pairs) <= MOST_TUNED_ROWS:
        found.append(TunedCandidate(BACKBONE, table.vocabulary, scratch))
    return found
