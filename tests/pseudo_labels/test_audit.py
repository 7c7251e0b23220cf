"""The audit: shares that one can count, and a warning that comes when it must and only then."""

import numpy as np
import pytest

from emocap.pseudo_labels.audit import audit
from emocap.pseudo_labels.select import select

LABELS = ["a", "b", "c", "d"]
SETTINGS = {"p": 1, "k": None, "fraction": 1.0, "targets": "hard", "min_agreement": None}
TARGETS = np.eye(4)


def run(probabilities: np.ndarray) -> dict:
    return audit(probabilities, select(probabilities, p=1, fraction=1.0), LABELS, TARGETS, SETTINGS)


def test_balanced_pseudo_labels_raise_no_warning() -> None:
    found = run(np.eye(4) * 0.5 + 0.1)
    assert found["after"] == [0.25] * 4 == found["before"]
    assert found["entropy_after"] == pytest.approx(np.log(4)) == pytest.approx(found["entropy_max"])
    assert found["never_chosen"] == []
    assert found["warning"] is None
    assert found["target_share"] == [0.25] * 4


def test_a_collapse_onto_one_emotion_is_loud() -> None:
    collapsed = np.full((10, 4), 0.1)
    collapsed[:, 1] = 0.9
    found = run(collapsed)
    assert found["never_chosen"] == ["a", "c", "d"]
    assert found["largest_share"] == 1.0
    assert found["entropy_after"] == 0.0
    assert "the 1 commonest emotions (b) hold 100% of the pseudo-labels" in found["warning"]
    assert "3 of 4 emotions are never chosen" in found["warning"]


def test_shares_before_are_of_the_whole_source_and_after_of_the_sample() -> None:
    probabilities = np.eye(4)[[0, 0, 0, 1]]
    chosen = select(probabilities, p=1, fraction=0.5, seed=0)
    found = audit(probabilities, chosen, LABELS, TARGETS, SETTINGS)
    assert found["before"] == [0.75, 0.25, 0.0, 0.0]
    assert found["n_selected"] == 2
    by_hand = chosen.kept.sum(axis=0) / 2
    assert found["after"] == by_hand.tolist()
