"""Verdicts: the table of all cases, and the size of a test set."""

import numpy as np
import pytest

from emocap.evaluation.verdicts import LEAST_DECIDING, LEAST_IMAGES, LEAST_POSITIVES, decide, sample_size


@pytest.mark.parametrize(
    ("low", "high", "higher", "lower"),
    [
        (0.01, 0.03, "better", "worse"),
        (-0.03, -0.01, "worse", "better"),
        (-0.01, 0.03, "inconclusive", "inconclusive"),
        (0.0, 0.03, "inconclusive", "inconclusive"),
        (-0.03, 0.0, "inconclusive", "inconclusive"),
        (1e-12, 0.03, "inconclusive", "inconclusive"),
        (0.0, 0.0, "inconclusive", "inconclusive"),
    ],
)
def test_interval_and_direction_decide(low: float, high: float, higher: str, lower: str) -> None:
    assert decide(low, high, higher_is_better=True, is_enough=True) == higher
    assert decide(low, high, higher_is_better=False, is_enough=True) == lower
    assert decide(low, high, higher_is_better=True, is_enough=False) == "cannot tell"


def test_few_deciding_images_are_inconclusive() -> None:
    def of(deciding: int | None) -> str:
        return decide(0.01, 0.03, higher_is_better=True, is_enough=True, deciding_images=deciding)

    assert of(LEAST_DECIDING - 1) == "inconclusive"
    assert of(LEAST_DECIDING) == of(None) == "better"
    assert 2 * 0.5**LEAST_DECIDING < 0.05 < 2 * 0.5 ** (LEAST_DECIDING - 1), "the two-sided sign test"


def test_sample_needs_images_and_positives() -> None:
    def of(n_images: int, n_positives: int) -> bool:
        targets = np.zeros((2 * n_images, 4))
        targets.flat[:n_positives] = 1
        return sample_size(targets, [str(row // 2) for row in range(2 * n_images)])["is_enough"]

    assert of(LEAST_IMAGES, LEAST_POSITIVES)
    assert not of(LEAST_IMAGES - 1, LEAST_POSITIVES)
    assert not of(LEAST_IMAGES, LEAST_POSITIVES - 1)
