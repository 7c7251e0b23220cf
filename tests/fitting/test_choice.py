"""The choice among candidates: the best one, and the simplest of those as good."""

import numpy as np

from emocap.fitting.choice import choose
from emocap.fitting.cross_validation import HeldOutPredictions, fold_of_rows
from emocap.fitting.scores import macro_f1_of_best
from emocap.fitting.table import labelled_table


def _predictions(probabilities: np.ndarray) -> HeldOutPredictions:
    return HeldOutPredictions(probabilities, np.empty((len(probabilities), 0)), 0, 0)


def test_better_candidate_is_chosen(pairs) -> None:
    table = labelled_table(pairs, "table")
    good = np.clip(table.truth, 0.1, 0.9)
    candidates = {"prior": np.full_like(good, 1 / 3), "tfidf": np.full_like(good, 0.5), "vectors": good}
    rows = np.arange(len(good))
    scored, chosen = choose(table, rows, {name: _predictions(p) for name, p in candidates.items()})
    assert [one.name for one in scored] == ["prior", "tfidf", "vectors", "tfidf+vectors"]
    assert chosen.name == "vectors"
    assert chosen.score == macro_f1_of_best(good, table.truth) == 1
    assert chosen.accuracy == 1


def test_simplest_of_equals_is_chosen(pairs) -> None:
    table = labelled_table(pairs, "table")
    good = np.clip(table.truth, 0.1, 0.9)
    predictions = {name: _predictions(good) for name in ("prior", "tfidf", "vectors")}
    _, chosen = choose(table, np.arange(len(good)), predictions)
    assert chosen.name == "prior"


def test_better_by_chance_is_not_chosen(pairs) -> None:
    table = labelled_table(pairs, "table")
    simple, lucky = (np.clip(table.truth, 0.1, 0.9) for _ in range(2))
    simple[:15] = simple[:15, [1, 2, 0]]  # 15 wrong rows
    lucky[-14:] = lucky[-14:, [1, 2, 0]]  # 14 wrong rows
    prior = np.full_like(simple, 1 / 3)
    predictions = {name: _predictions(p) for name, p in (("prior", prior), ("tfidf", simple), ("vectors", lucky))}
    scored, chosen = choose(table, np.arange(60), predictions)
    scores = {one.name: one.score for one in scored}
    assert scores["vectors"] > scores["tfidf"] > scores["prior"]
    assert chosen.name == "tfidf"


def test_folds_keep_groups_and_emotions(pairs) -> None:
    table = labelled_table(pairs, "table")
    folds = fold_of_rows(table)
    assert sorted(np.bincount(folds)) == [20, 20, 20]
    for fold in range(3):
        assert table.truth[folds == fold].any(axis=0).all()
