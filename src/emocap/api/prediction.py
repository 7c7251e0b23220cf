"""Prediction: what a model says of a pair, its emotions and its ratings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from emocap.evaluation.scored_predictions import ranking
from emocap.html_templates import percent
from emocap.ratings import Ratings

SHOWN = 5  # emotions in the text of a prediction


@dataclass(frozen=True)
class EmotionProbability:
    """The probability that at least one of a pair's annotators names this emotion."""

    emotion: str
    probability: float


@dataclass(frozen=True, repr=False)
class Prediction(Sequence[EmotionProbability]):
    """What a model predicts for a pair: a sequence of all its emotions, the most likely first, and its ratings.

    Attributes:
        emotions: empty for a model of ratings alone.
        ratings: name of each rating to its value in the rating's own units; empty for a model of emotions alone.
    """

    emotions: list[EmotionProbability]
    ratings: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = [f"{one.emotion} {one.probability:.2f}" for one in self.emotions[:SHOWN]]
        parts += [f"{len(self) - SHOWN} more emotions"] if len(self) > SHOWN else []
        return f"Prediction({', '.join([*parts, *(f'{name} = {value:.2f}' for name, value in self.ratings.items())])})"

    def _repr_html_(self) -> str:
        bars = [
            f"<tr><td>{escape(one.emotion)}</td><td>{percent(one.probability)}</td>"
            f'<td><meter value="{one.probability:.3f}" aria-hidden="true"></meter></td></tr>'
            for one in self.emotions
        ]
        ratings = [
            f'<tr><td>{escape(name)}</td><td colspan="2">{value:.2f}</td></tr>' for name, value in self.ratings.items()
        ]
        return f"<table>{''.join([*bars, *ratings])}</table>"

    def __len__(self) -> int:
        return len(self.emotions)

    def __getitem__(self, place: Any) -> Any:
        return self.emotions[place]


def predictions_of(labels: Sequence[str], ratings: Ratings, outputs: np.ndarray) -> list[Prediction]:
    """The predictions in a model's outputs (N, E + R): probabilities of E labels, then R ratings from 0 to 1.

    >>> predictions_of(["happy"], Ratings.of({"valence": [1, 7]}), np.array([[0.25, 0.5]]))
    [Prediction(happy 0.25, valence = 4.00)]
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
