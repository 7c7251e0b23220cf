"""Prediction: what a model says of a pair, its emotions and its ratings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emocap.evaluation.scored_predictions import ranking
from emocap.ratings import Ratings


@dataclass(frozen=True)
class EmotionProbability:
    """The probability that at least one of a pair's annotators names this emotion."""

    emotion: str
    probability: float


@dataclass(frozen=True)
class Prediction(Sequence[EmotionProbability]):
    """What a model predicts for a pair: a sequence of all its emotions, the most likely first, and its ratings.

    Attributes:
        emotions: empty for a model of ratings alone.
        ratings: name of each rating to its value in the rating's own units; empty for a model of emotions alone.
    """

    emotions: list[EmotionProbability]
    ratings: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.emotions)

    def __getitem__(self, place: Any) -> Any:
        return self.emotions[place]


def predictions_of(labels: Sequence[str], ratings: Ratings, outputs: np.ndarray) -> list[Prediction]:
    """The predictions in a model's outputs (N, E + R): probabilities of E labels, then R ratings from 0 to 1.

    >>> predictions_of(["happy"], Ratings.of({"valence": [1, 7]}), np.array([[0.25, 0.5]]))
    [Prediction(emotions=[EmotionProbability(emotion='happy', probability=0.25)], ratings={'valence': 4.0})]
    """
    probabilities = outputs[:, : len(labels)]
    values = ratings.in_units(outputs[:, len(labels) :])
    return [
        Prediction(
            [EmotionProbability(labels[i], float(row[i])) for i in order],
            dict(zip(ratings.names, numbers, strict=True)),
        )
        for row, order, numbers in zip(probabilities, ranking(probabilities), values.tolist(), strict=True)
    ]
