"""Splits: by image, stratified, independent of the order of rows."""

import numpy as np
import pytest

from emocap.corpora.groups import Groups, image_key
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.splits import emotion_notes, fold_by_image, rows_of, split_by_image
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

VOCABULARY = Vocabulary(("happy", "sad", "awe"))
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def synthetic(n: int, captions: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)
    builder = PairsBuilder("synthetic")
    for image in range(n):
        for caption in range(captions):
            emotions = [label for label, p in zip(VOCABULARY.labels, (0.7, 0.2, 0.05), strict=True) if rng.random() < p]
            builder.add("x", f"{image}-{caption}", f"{image}.jpg", f"text {image}", emotions)
    return builder.build()


def test_every_image_is_in_exactly_one_part() -> None:
    pairs = synthetic(200)
    parts = split_by_image(pairs, VOCABULARY, FRACTIONS).parts
    assert sorted(key for keys in parts.values() for key in keys) == sorted(set(image_key(pairs)))
    rows = rows_of(pairs, parts)
    images = {part: {pairs.images[row] for row in numbers} for part, numbers in rows.items()}
    assert not images["train"] & images["test"]
    assert not images["train"] & images["validation"]
    assert sum(map(len, rows.values())) == len(pairs)
    assert [len(parts[name]) / 200 for name in FRACTIONS] == pytest.approx([0.7, 0.1, 0.2], abs=0.001)


def test_split_depends_on_seed_not_row_order() -> None:
    pairs = synthetic(100)
    shuffled = pairs.select(np.random.default_rng(1).permutation(len(pairs)))
    first = split_by_image(pairs, VOCABULARY, FRACTIONS, 3)
    assert first == split_by_image(shuffled, VOCABULARY, FRACTIONS, 3)
    assert first != split_by_image(pairs, VOCABULARY, FRACTIONS, 4)


def test_split_is_better_balanced_than_chance() -> None:
    pairs = synthetic(300, captions=1)
    targets = pairs.targets(VOCABULARY)

    def imbalance(rows: dict[str, np.ndarray]) -> float:
        return float(np.abs(targets[rows["test"]].mean(0) - targets.mean(0)).max())

    ours = np.mean([imbalance(rows_of(pairs, split_by_image(pairs, VOCABULARY, FRACTIONS, s).parts)) for s in range(5)])
    chance = np.mean([imbalance({"test": np.random.default_rng(s).permutation(300)[:60]}) for s in range(50)])
    assert ours < chance / 2


def test_pairs_without_image_are_their_own_group() -> None:
    builder = PairsBuilder("synthetic")
    for number in range(40):
        builder.add("x", str(number), "", f"text {number}", ["happy"])
    parts = split_by_image(builder.build(), VOCABULARY, FRACTIONS).parts
    assert sum(len(keys) for keys in parts.values()) == 40
    assert parts["test"][0].startswith("pair:")


def test_rejects_too_few_images() -> None:
    with pytest.raises(EmocapError, match="3 images leave none for 'validation'"):
        split_by_image(synthetic(3), VOCABULARY, FRACTIONS)


def test_rejects_splits_of_other_data() -> None:
    pairs = synthetic(50)
    parts = split_by_image(pairs.select(range(60)), VOCABULARY, FRACTIONS).parts
    with pytest.raises(EmocapError, match="is in no part"):
        rows_of(pairs, parts)


def test_single_label_is_stratified_too() -> None:
    builder = PairsBuilder("synthetic")
    for number in range(40):
        builder.add("x", str(number), f"{number}.jpg", f"text {number}", ["happy"] if number < 20 else [])
    pairs = builder.build()
    rows = rows_of(pairs, split_by_image(pairs, Vocabulary(("happy",)), {"train": 0.5, "test": 0.5}).parts)
    assert [sum(pairs.emotions[row] == ["happy"] for row in rows[part]) for part in ("train", "test")] == [10, 10]


def test_rejects_image_in_two_parts() -> None:
    with pytest.raises(EmocapError, match=r"'0\.jpg' is in train and in test"):
        rows_of(synthetic(2), {"train": ["0.jpg", "1.jpg"], "test": ["0.jpg"]})


@pytest.mark.parametrize("fractions", [{}, {"train": 0.7, "test": 0.7}, {"train": 1.0, "test": 0.0}])
def test_rejects_fractions_that_do_not_sum_to_one(fractions: dict[str, float]) -> None:
    with pytest.raises(EmocapError, match="expected positive numbers that sum to 1"):
        split_by_image(synthetic(20), VOCABULARY, fractions)


def folds_of(pairs, n_folds: int = 5, *, vocabulary=VOCABULARY, validation: float = 0.1, seed: int = 0, same=None):
    settings = {"n_folds": n_folds, "validation": validation, "seed": seed, "groups": Groups.of(pairs, same)}
    return [fold_by_image(pairs, vocabulary, fold=fold, **settings).parts for fold in range(n_folds)]


def test_folds_test_every_image_once() -> None:
    pairs = synthetic(203)
    keys = sorted(set(image_key(pairs)))
    folds = folds_of(pairs)
    assert sorted(key for parts in folds for key in parts["test"]) == keys
    for parts in folds:
        assert sorted(key for part in parts.values() for key in part) == keys
        assert list(parts) == ["train", "validation", "test"]
        assert len(parts["validation"]) == 20
        assert len(parts["test"]) in (40, 41)


def test_folds_depend_on_seed_not_row_order() -> None:
    pairs = synthetic(60)
    shuffled = pairs.select(np.random.default_rng(1).permutation(len(pairs)))
    assert folds_of(pairs, 3, seed=2) == folds_of(shuffled, 3, seed=2)
    tests = [[parts["test"] for parts in folds_of(pairs, 3, seed=seed)] for seed in (2, 3)]
    assert tests[0] != tests[1]


def test_folds_are_better_balanced_than_chance() -> None:
    pairs = synthetic(300, captions=1)
    targets = pairs.targets(VOCABULARY)

    def imbalance(tests: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(targets[rows].mean(0) - targets.mean(0)).max() for rows in tests]))

    ours = imbalance([rows_of(pairs, parts)["test"] for parts in folds_of(pairs)])
    chance = [imbalance(np.array_split(np.random.default_rng(s).permutation(300), 5)) for s in range(20)]
    assert ours < np.mean(chance) / 2


def test_rare_emotion_is_absent_from_some_folds() -> None:
    builder = PairsBuilder("synthetic")
    for number in range(50):
        builder.add("x", str(number), f"{number}.jpg", f"text {number}", ["happy", "awe"] if number < 2 else ["happy"])
    pairs = builder.build()
    rows = [rows_of(pairs, parts) for parts in folds_of(pairs)]
    targets = pairs.targets(VOCABULARY)
    assert sum(targets[unit["test"]][:, 2].any() for unit in rows) == 2
    happy, awe = (
        emotion_notes(targets[:, [0, 2]], rows, ["happy", "awe"]),
        emotion_notes(targets[:, [2]], rows, ["awe"]),
    )
    assert happy == awe
    assert awe[0].startswith("'awe' has 2 positive pairs; ")
    assert "3 of 5 test parts have none: its average precision there is undefined" in awe[0]


def test_copies_stay_with_first_image() -> None:
    pairs = synthetic(80, captions=1)
    same = {f"{n}.jpg": f"{n - 40}.jpg" for n in range(40, 80)}
    drawn = [
        split_by_image(pairs, VOCABULARY, FRACTIONS, groups=Groups.of(pairs, same)).parts,
        *folds_of(pairs, same=same),
    ]
    for parts in drawn:
        assert sum(map(len, parts.values())) == 40
        rows = rows_of(pairs, parts, same)
        assert sum(map(len, rows.values())) == 80
        for numbers in rows.values():
            images = {pairs.images[row] for row in numbers}
            assert {same.get(image, image) for image in images} == {i for i in images if i not in same}
    with pytest.raises(EmocapError, match="is in no part"):
        rows_of(pairs, drawn[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_folds": 1, "fold": 0}, "fold 0 of 1, expected at least 2 folds"),
        ({"n_folds": 5, "fold": 5}, "fold 5 of 5, expected at least 2 folds, numbered from 0"),
        ({"n_folds": 13, "fold": 0}, "13 folds of 12 images; use fewer folds or more data"),
        ({"n_folds": 2, "fold": 0, "validation": 0.5}, r"validation is 0\.5, expected above 0 and below 0\.5"),
        ({"n_folds": 2, "fold": 0, "validation": 0.0}, "validation is 0, expected above 0"),
        ({"n_folds": 2, "fold": 0, "validation": 0.01}, "12 images are too few for 2 folds"),
    ],
)
def test_rejects_impossible_folds(settings, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        fold_by_image(synthetic(12), VOCABULARY, **({"validation": 0.1, "seed": 0} | settings))


def test_folds_of_one_label_and_unlabelled_images() -> None:
    builder = PairsBuilder("synthetic")
    for number in range(30):
        builder.add("x", str(number), f"{number}.jpg", f"text {number}", ["happy"] if number < 15 else [])
    folds = folds_of(builder.build(), 3, vocabulary=Vocabulary(("happy",)))
    assert [len(parts["test"]) for parts in folds] == [10, 10, 10]


def test_notes_name_parts_without_positives() -> None:
    targets = np.zeros((40, 3), dtype=np.float32)
    targets[:30, 0] = 1  # everywhere
    targets[:12, 1] = 1  # many, but not among the tested
    targets[[0, 20, 39], 2] = 1  # everywhere, but few
    first = {"train": np.arange(12), "validation": np.arange(12, 25), "test": np.arange(25, 40)}
    notes = emotion_notes(targets, [first], ["happy", "sad", "awe"])
    assert notes == [
        "'sad' has 12 positive pairs; the validation part has none: its threshold there is the common one; "
        "the test part has none: its average precision there is undefined",
        "'awe' has 3 positive pairs",
    ]
    second = {"train": np.arange(12, 40), "validation": np.arange(6), "test": np.arange(6, 12)}
    sad = emotion_notes(targets, [first, second, first], ["happy", "sad", "awe"])[0]
    assert "1 of 2 training parts has none: it cannot be learned there" in sad
    assert "1 of 2 test parts has none" in sad
