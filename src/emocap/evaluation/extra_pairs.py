"""Pairs of another corpus beside the training pairs: each output is fitted with and without them.

The validation pairs, all of the target, decide for each output by itself, since a source that helps to predict one
rating may harm another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emocap.evaluation.fitted_baselines import LinearModel, Model
from emocap.evaluation.image_vectors import described_rows


@dataclass(frozen=True, eq=False)
class ExtraPairs:
    """S pairs of another corpus, with the outputs of the target.

    Attributes:
        features: per pair the (R_i, D) region features of its image, or None.
        truth: (S, E) float, above 0 where the pair has the emotion, NaN where that is not known.
        ratings: (S, number of ratings) from 0 to 1 on the corpus's own scales, NaN where not known.
    """

    features: Sequence[np.ndarray | None]
    truth: np.ndarray
    ratings: np.ndarray

    def matches(self, n_labels: int, n_ratings: int) -> bool:
        """Whether everything has one row per image, and so many columns."""
        n = len(self.features)
        return (self.truth.shape, self.ratings.shape) == ((n, n_labels), (n, n_ratings))

    def with_image(self) -> "ExtraPairs":
        """The pairs whose image has features."""
        rows = described_rows(self.features)
        return ExtraPairs([self.features[row] for row in rows], self.truth[rows], self.ratings[rows])


def standardised(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Ratings (S, R) with the mean and standard deviation of other ratings (N, R), column by column.

    People use scales of different ends differently. NaN stays NaN; a column becomes NaN where either has no spread.

    >>> standardised(np.array([[0.0], [1.0], [np.nan]]), np.array([[0.4], [0.6]])).tolist()
    [[0.4], [0.6], [nan]]
    """
    scaled = np.full(values.shape, np.nan)
    for column in range(values.shape[1]):
        own, other = (array[:, column][~np.isnan(array[:, column])] for array in (values, reference))
        if len(own) and len(other) and np.ptp(own) > 0 and np.ptp(other) > 0:
            scaled[:, column] = (values[:, column] - own.mean()) / own.std() * other.std() + other.mean()
    return scaled


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs (n, H) of n pairs, and their values (n, K) of K outputs, NaN where not known."""

    vectors: Any
    values: np.ndarray

    def of_output(self, column: int) -> "Inputs":
        """The pairs whose value of one output is known, with this output alone."""
        rows = np.flatnonzero(~np.isnan(self.values[:, column]))
        return Inputs(self.vectors[rows], self.values[rows][:, [column]])


def fit_each_output(
    fit: Callable[[Any, np.ndarray], list[Model]],
    select: Callable[[Sequence[Model], Any, np.ndarray], Model],
    training: Inputs,
    extra: Inputs,
    validation: Inputs,
) -> LinearModel:
    """A linear model of K outputs; each has its own setting, and is fitted with or without the extra pairs.

    Args:
        fit: (inputs, values (n, 1)) to the linear models to select from.
        select: chooses among models by the validation pairs' inputs and values (V, 1), the first if none has a value.
        training, extra, validation: pairs, of which the last two may be none.
    """
    chosen: list[LinearModel] = []
    for column in range(training.values.shape[1]):
        own, other = Inputs(training.vectors, training.values[:, [column]]), extra.of_output(column)
        candidates = fit(own.vectors, own.values)
        if len(other.values):
            joined = [np.concatenate(parts) for parts in ((own.vectors, other.vectors), (own.values, other.values))]
            candidates += fit(*joined)
        selected = select(candidates, validation.vectors, validation.values[:, [column]])
        assert isinstance(selected, LinearModel), "its outputs can be put side by side"
        chosen.append(selected)
    none = np.zeros((training.vectors.shape[1], 0), dtype=np.float32)
    return LinearModel(
        np.concatenate([none, *(model.weights for model in chosen)], axis=1),
        np.concatenate([np.zeros(0), *(model.intercepts for model in chosen)]),
        all(model.is_logistic for model in chosen),
    )
