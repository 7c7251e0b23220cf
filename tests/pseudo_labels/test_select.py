"""Selection from four pairs and three emotions, counted by hand."""

import numpy as np
import pytest

from emocap.errors import EmocapError
from emocap.pseudo_labels.select import agreement_over_captions, select, student_targets, top_p_emotions

P = np.array([[0.9, 0.5, 0.1], [0.8, 0.2, 0.6], [0.1, 0.3, 0.7], [0.7, 0.6, 0.2]])


def test_top_p_emotions_per_pair() -> None:
    assert top_p_emotions(P, 2).astype(int).tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0]]


def test_without_k_every_candidate_is_kept() -> None:
    chosen = select(P, p=2, fraction=1.0)
    assert chosen.rows.tolist() == [0, 1, 2, 3]
    assert chosen.n_candidates == 4
    assert chosen.kept.tolist() == top_p_emotions(P, 2).tolist()


def test_top_k_pairs_per_emotion() -> None:
    chosen = select(P, p=2, k=1, fraction=1.0)
    # best candidate of emotion 0 is pair 0, of emotion 1 pair 3, of emotion 2 pair 2; pair 1 is dropped
    assert chosen.rows.tolist() == [0, 2, 3]
    assert chosen.kept.astype(int).tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_k_counts_only_candidates_of_p() -> None:
    chosen = select(P, p=1, k=3, fraction=1.0)
    assert chosen.kept[:, 1].sum() == 0


def test_sample_depends_only_on_the_seed() -> None:
    rng = np.random.default_rng(0)
    many = rng.random((1000, 5))
    first, again, other = (select(many, p=2, fraction=0.1, seed=seed) for seed in (1, 1, 2))
    assert len(first.rows) == 100
    assert len(set(first.rows.tolist())) == 100
    assert first.rows.tolist() == again.rows.tolist() != other.rows.tolist()


def test_hard_and_soft_targets() -> None:
    chosen = select(P, p=2, fraction=1.0)
    assert student_targets(P, chosen, "hard")[0].tolist() == [1.0, 1.0, 0.0]
    assert student_targets(P, chosen, "soft")[0].tolist() == pytest.approx([0.9, 0.5, 0.0])
    with pytest.raises(EmocapError, match="expected 'hard', 'soft' or 'votes'"):
        student_targets(P, chosen, "warm")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p": 0}, "p is 0, expected 1 to 3"),
        ({"p": 4}, "p is 4, expected 1 to 3"),
        ({"k": 0}, "k is 0"),
        ({"fraction": 0.0}, "fraction is 0"),
        ({"probabilities": P[:0]}, "source has no pairs"),
        ({"probabilities": P * np.nan}, "NaN"),
    ],
)
def test_rejects_settings_out_of_range(changes, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        select(**({"probabilities": P, "p": 2} | changes))


def test_min_agreement_filters_by_share_of_captions() -> None:
    images = ["a", "a", "a", "b"]
    # the top two of pairs 0, 1, 2: {0, 1}, {0, 2}, {1, 2}: each emotion for two of three captions of a
    share = agreement_over_captions(top_p_emotions(P, 2), images)
    assert share[:3] == pytest.approx(np.full((3, 3), 2 / 3))
    assert share[3].tolist() == [1, 1, 0]
    assert select(P, p=2, fraction=1.0, images=images, min_agreement=2 / 3).rows.tolist() == [0, 1, 2, 3]
    assert select(P, p=2, fraction=1.0, images=images, min_agreement=0.7).rows.tolist() == [3]
    assert select(P, p=2, fraction=1.0, images=["", "", "", ""], min_agreement=1.0).rows.tolist() == [0, 1, 2, 3]
    with pytest.raises(EmocapError, match="min_agreement is 1.0, which no emotion of any image reaches"):
        select(P[:3], p=2, fraction=1.0, images=images[:3], min_agreement=1.0)


def test_votes_are_shares_of_captions() -> None:
    images = ["a", "a", "a", "b"]
    chosen = select(P, p=2, fraction=1.0, images=images)
    votes = student_targets(P, chosen, "votes", p=2, images=images)
    assert votes[0] == pytest.approx([2 / 3, 2 / 3, 0])
    assert votes[3].tolist() == [1, 1, 0]
