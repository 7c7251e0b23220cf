"""The audit: shares by hand, and a warning exactly when the pseudo-labels collapse."""

import numpy as np
import pytest

from emocap.pseudo_labels.audit import audit
from emocap.pseudo_labels.select import select

LABELS = ["a", "b", "c", "d"]
SETTINGS = {"p": 1, "k": None, "fraction": 1.0, "label_type": "hard", "min_agreement": None}
TARGETS = np.eye(4)


def run(probabilities: np.ndarray) -> dict:
    return audit(probabilities, select(probabilities, p=1, fraction=1.0), LABELS, TARGETS, SETTINGS)


def test_balanced_pseudo_labels_raise_no_warning() -> None:
    report = run(np.eye(4) * 0.5 + 0.1)
    assert report["after"] == [0.25] * 4 == report["before"]
    assert report["entropy_after"] == pytest.approx(np.log(4)) == pytest.approx(report["entropy_max"])
    assert report["never_chosen"] == []
    assert report["warning"] is None
    assert report["target_share"] == [0.25] * 4


def test_warns_of_collapse_onto_one_emotion() -> None:
    collapsed = np.full((10, 4), 0.1)
    collapsed[:, 1] = 0.9
    report = run(collapsed)
    assert report["never_chosen"] == ["a", "c", "d"]
    assert report["largest_share"] == 1.0
    assert report["entropy_after"] == 0.0
    assert "the most frequent emotions (b) have 100% of the pseudo-labels" in report["warning"]
    assert "3 of 4 emotions are never chosen" in report["warning"]


def test_shares_before_and_after_selection_by_hand() -> None:
    probabilities = np.eye(4)[[0, 0, 0, 1]]
    chosen = select(probabilities, p=1, fraction=0.5, seed=0)
    report = audit(probabilities, chosen, LABELS, TARGETS, SETTINGS)
    assert report["before"] == [0.75, 0.25, 0.0, 0.0]
    assert report["n_selected"] == 2
    by_hand = chosen.kept.sum(axis=0) / 2
    assert report["after"] == by_hand.tolist()
