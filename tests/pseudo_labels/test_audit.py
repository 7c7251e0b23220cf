"""The audit: shares by hand, and a warning exactly when the pseudo-labels collapse."""

from collections.abc import Sequence

import numpy as np
import pytest

from emocap.pseudo_labels.audit import audit
from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.pseudo_labels.select import select

LABELS = ["a", "b", "c", "d"]
SETTINGS = {"p": 1, "k": None, "fraction": 1.0, "label_type": "hard", "min_agreement": None, "rank": "probability"}
TARGETS = np.eye(4)


def run(probabilities: np.ndarray, rank: str = "probability", images: Sequence[str] = ()) -> dict:
    lifts = lift(probabilities, LiftScale.of(probabilities))
    chosen = select(probabilities, p=1, fraction=1.0, lifts=lifts if rank == "lift" else None)
    keys = images or [""] * len(probabilities)
    return audit(probabilities, chosen, LABELS, TARGETS, SETTINGS | {"rank": rank}, lifts=lifts, images=keys)


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
    report = audit(probabilities, chosen, LABELS, TARGETS, SETTINGS, lifts=probabilities, images=[""] * 4)
    assert report["before"] == [0.75, 0.25, 0.0, 0.0]
    assert report["n_selected"] == 2
    by_hand = chosen.kept.sum(axis=0) / 2
    assert report["after"] == by_hand.tolist()


def test_lift_ends_a_collapse_by_frequent_emotions() -> None:
    frequent = np.tile([0.1, 0.8, 0.1, 0.1], (4, 1)) + np.eye(4) * 0.1
    by_probability, by_lift = run(frequent, images=["a"] * 4), run(frequent, "lift", images=["a"] * 4)
    assert by_probability["never_chosen"] == ["a", "c", "d"]
    assert "or set pseudo_labels.k or pseudo_labels.rank: lift." in by_probability["warning"]
    assert by_lift["before"] == by_lift["after"] == [0.25] * 4
    assert (by_lift["warning"], by_lift["rank"]) == (None, "lift")
    assert by_probability["contrast"] == by_lift["contrast"]
    assert by_lift["contrast"] == {
        "probability": {"n_images": 1, "same_image": 1.0, "other_images": None, "n_occurring": 1},
        "lift": {"n_images": 1, "same_image": 0.0, "other_images": None, "n_occurring": 4},
    }
