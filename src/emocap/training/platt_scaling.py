"""Platt scaling: a slope and an offset for the logits of each emotion, by which a model's probabilities are calibrated.

Source: Platt, "Probabilistic outputs for support vector machines" (1999). A temperature (Guo et al. 2017) is one slope
for all emotions and no offset. Every slope is above 0, so that no order of pairs changes; the order of the emotions of
one pair may change where slopes or offsets differ. This module never imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALLEST = 1e-12  # far below any model's probabilities, since clipping makes ties and changes the order


@dataclass(frozen=True, eq=False)
class PlattScaling:
    """Slopes and offsets of E emotions.

    Attributes:
        slopes: (E,) float64 above 0.
        offsets: (E,) float64, in logits.

    Raises:
        ValueError: the shapes differ, a slope is not above 0, or a number is not finite.

    >>> PlattScaling.of([0.5], [0.0])(np.array([[.9]])).round(3).tolist()  # odds of 9 become 3
    [[0.75]]
    """

    slopes: np.ndarray
    offsets: np.ndarray

    def __post_init__(self) -> None:
        if self.slopes.ndim != 1 or self.slopes.shape != self.offsets.shape:
            raise ValueError(f"{self.slopes.shape} slopes and {self.offsets.shape} offsets, expected (E,) alike")
        if not (np.isfinite(self.slopes).all() and np.isfinite(self.offsets).all()):
            raise ValueError("a slope or an offset is not finite")
        if not (self.slopes > 0).all():
            raise ValueError(f"a slope is {self.slopes.min():g}, expected above 0")

    @classmethod
    def of(cls, slopes: Sequence[float] | np.ndarray, offsets: Sequence[float] | np.ndarray) -> "PlattScaling":
        """Of plain numbers."""
        return cls(np.asarray(slopes, dtype=np.float64), np.asarray(offsets, dtype=np.float64))

    @classmethod
    def identity(cls, n_labels: int) -> "PlattScaling":
        """What changes no probability of so many emotions."""
        return cls(np.ones(n_labels), np.zeros(n_labels))

    @classmethod
    def of_temperature(cls, temperature: float, n_labels: int) -> "PlattScaling":
        """The division of all logits by a temperature.

        Raises:
            ValueError: the temperature is not above 0.
        """
        if not 0 < temperature < np.inf:
            raise ValueError(f"temperature is {temperature}, expected above 0")
        return cls(np.full(n_labels, 1 / temperature), np.zeros(n_labels))

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return bool((self.slopes == 1).all() and (self.offsets == 0).all())

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, E) float64 calibrated probabilities of uncalibrated ones (N, E).

        Raises:
            ValueError: a probability is not within 0 to 1.
        """
        scaled = logits_of(probabilities) * self.slopes + self.offsets
        return np.exp(-np.logaddexp(0, -scaled))

    def of_outputs(self, outputs: np.ndarray) -> np.ndarray:
        """A model's outputs (N, E + R) with the E probabilities calibrated, and the R ratings as they are."""
        n_labels = len(self.slopes)
        if n_labels == outputs.shape[1]:
            return self(outputs)
        return np.concatenate([self(outputs[:, :n_labels]), outputs[:, n_labels:]], axis=1)


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """The logits, float64, of probabilities of any shape, which are clipped to `SMALLEST` and 1 - `SMALLEST`.

    Raises:
        ValueError: a probability is not within 0 to 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be within 0 to 1")
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)
