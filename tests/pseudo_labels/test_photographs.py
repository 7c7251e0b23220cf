"""Photographs' z, and the composition of the student's sample, on arrays that one can count by hand."""

import numpy as np
import pytest

from emocap.pseudo_labels.lift import LiftScale, lift
from emocap.pseudo_labels.photographs import KINDS, caption_means, class_prior, compose, photograph_targets

SHARES = {"neutral": 0.25, "dropped": 0.25, "exchanged": 0.15}


def rows_of(composition, kind: str) -> np.ndarray:
    return np.flatnonzero(composition.kinds == KINDS.index(kind))


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def test_captions_of_a_photograph_are_averaged() -> None:
    lifts = np.array([[1.0, 0.0], [9.0, 9.0], [3.0, 2.0], [5.0, -1.0]])
    means = caption_means(lifts, ["b", "", "b", "a"], ["a", "b"])
    assert means.tolist() == [[5.0, -1.0], [2.0, 1.0]]


def test_class_prior_follows_likely_classes_with_unit_spread() -> None:
    classes = np.array([[0.9, 0.2], [0.1, 0.2]])  # the first emotion depends on the class, the second does not
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    prior = class_prior(logits, classes, 2.5)
    assert prior[:, 0] == pytest.approx([np.sqrt(1.5), -np.sqrt(1.5), 0.0])
    assert (prior[:, 1] == 0).all()
    sharper = class_prior(np.array([[2.0, 0.0], [0.5, 0.0], [0.0, 9.0]]), classes, 0.1)[:, 0]
    assert sharper[1] > 0.95 * sharper[0] > 0, "at a low temperature the best class decides alone"


def test_shares_are_of_pairs_with_a_photograph() -> None:
    photographs = np.array([-1] * 50 + list(range(100)) + list(range(100)))
    composition = compose(photographs, SHARES, 3, 0)
    assert composition.counts() == {
        "without_image": 50,
        "matched": 70,
        "neutral": 50,
        "dropped": 50,
        "exchanged": 30,
    }
    for kind in ("matched", "neutral"):
        rows = rows_of(composition, kind)
        assert (composition.photographs[rows] == photographs[rows]).all()
    for kind in ("dropped", "without_image"):
        assert (composition.photographs[rows_of(composition, kind)] == -1).all()
    exchanged = rows_of(composition, "exchanged")
    assert (composition.photographs[exchanged] != photographs[exchanged]).all()
    assert (composition.photographs[exchanged] >= 0).all()
    assert np.bincount(composition.neutral[rows_of(composition, "neutral")]).tolist() == [17, 17, 16]
    assert (composition.neutral[composition.kinds != KINDS.index("neutral")] == -1).all()


def test_draws_depend_on_the_seed_alone() -> None:
    photographs = np.arange(40)
    first, again, other = (compose(photographs, SHARES, 2, seed) for seed in (0, 0, 1))
    assert (first.kinds == again.kinds).all()
    assert (first.photographs == again.photographs).all()
    assert (first.kinds != other.kinds).any()


def test_one_photograph_is_not_exchanged() -> None:
    composition = compose(np.zeros(8, dtype=np.int64), {"neutral": 0, "dropped": 0, "exchanged": 1}, 0, 0)
    assert composition.counts()["matched"] == 8


def test_targets_add_the_photograph_to_the_caption() -> None:
    corpus = np.array([[0.2, 0.5], [0.4, 0.5], [0.7, 0.5], [0.3, 0.5]])  # the second emotion has no spread
    scale = LiftScale.of(corpus)
    photographs = np.array([0, 0, 1, -1])
    z = np.array([[2.0, 1.0], [-1.0, 1.0]])
    none = {"neutral": 0, "dropped": 0, "exchanged": 0}
    matched = photograph_targets(corpus, compose(photographs, none, 1, 0), z, scale, 0.3)
    raised = 0.3 * scale.sd * z[[0, 0, 1]]
    assert logit(matched[:3].astype(float)) == pytest.approx(logit(corpus[:3]) + raised, abs=1e-5)
    assert matched[3] == pytest.approx(corpus[3])
    neutral = photograph_targets(corpus, compose(photographs, none | {"neutral": 1}, 1, 0), z, scale, 0.3)
    assert logit(neutral[:3].astype(float)) == pytest.approx(scale.mean + scale.sd * z[[0, 0, 1]], abs=1e-5)
    dropped = photograph_targets(corpus, compose(photographs, none | {"dropped": 1}, 1, 0), z, scale, 0.3)
    assert dropped == pytest.approx(corpus)
    exchanged = compose(photographs, none | {"exchanged": 1}, 1, 0)
    assert exchanged.photographs.tolist() == [1, 1, 0, -1]
    swapped = lift(photograph_targets(corpus, exchanged, z, scale, 0.3), scale)
    assert swapped[:3, 0] == pytest.approx(lift(corpus, scale)[:3, 0] + 0.3 * z[[1, 1, 0], 0], abs=1e-5)
