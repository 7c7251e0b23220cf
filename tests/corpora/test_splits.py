"""Splits: by image, balanced, the same whatever the order of rows."""

import numpy as np
import pytest

from emocap.corpora.pairs import PairsBuilder
from emocap.corpora.splits import group_key, rows_of, split_by_image
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

VOCABULARY = Vocabulary(("happy", "sad", "awe"))
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def made(n: int, captions: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)
    builder = PairsBuilder("made")
    for image in range(n):
        for caption in range(captions):
            emotions = [label for label, p in zip(VOCABULARY.labels, (0.7, 0.2, 0.05), strict=True) if rng.random() < p]
            builder.add("x", f"{image}-{caption}", f"{image}.jpg", "text", emotions)
    return builder.build()


def test_every_image_is_in_exactly_one_part_with_all_its_captions() -> None:
    pairs = made(200)
    parts = split_by_image(pairs, VOCABULARY, FRACTIONS)
    assert sorted(key for keys in parts.values() for key in keys) == sorted(set(group_key(pairs)))
    rows = rows_of(pairs, parts)
    images = {part: {pairs.images[row] for row in found} for part, found in rows.items()}
    assert not images["train"] & images["test"]
    assert not images["train"] & images["validation"]
    assert sum(map(len, rows.values())) == len(pairs)
    assert [len(parts[name]) / 200 for name in FRACTIONS] == pytest.approx([0.7, 0.1, 0.2], abs=0.02)


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    pairs = made(100)
    shuffled = pairs.select(np.random.default_rng(1).permutation(len(pairs)))
    first = split_by_image(pairs, VOCABULARY, FRACTIONS, 3)
    assert first == split_by_image(shuffled, VOCABULARY, FRACTIONS, 3)
    assert first != split_by_image(pairs, VOCABULARY, FRACTIONS, 4)


def test_labels_are_better_balanced_than_by_chance() -> None:
    pairs = made(300, captions=1)
    targets = pairs.targets(VOCABULARY)

    def imbalance(rows: dict[str, np.ndarray]) -> float:
        return float(np.abs(targets[rows["test"]].mean(0) - targets.mean(0)).max())

    ours = np.mean([imbalance(rows_of(pairs, split_by_image(pairs, VOCABULARY, FRACTIONS, s))) for s in range(5)])
    chance = np.mean([imbalance({"test": np.random.default_rng(s).permutation(300)[:60]}) for s in range(50)])
    assert ours < chance / 2


def test_pairs_without_an_image_stand_alone() -> None:
    builder = PairsBuilder("made")
    for number in range(40):
        builder.add("x", str(number), "", "text", ["happy"])
    parts = split_by_image(builder.build(), VOCABULARY, FRACTIONS)
    assert sum(len(keys) for keys in parts.values()) == 40
    assert parts["test"][0].startswith("pair:")


def test_too_few_images_are_refused() -> None:
    with pytest.raises(EmocapError, match="3 images leave none for 'validation'"):
        split_by_image(made(3), VOCABULARY, FRACTIONS)


def test_splits_of_other_data_are_refused() -> None:
    pairs = made(50)
    parts = split_by_image(pairs.select(range(60)), VOCABULARY, FRACTIONS)
    with pytest.raises(EmocapError, match="is in no part"):
        rows_of(pairs, parts)


def test_one_label_is_balanced_too() -> None:
    builder = PairsBuilder("made")
    for number in range(40):
        builder.add("x", str(number), f"{number}.jpg", "text", ["happy"] if number < 20 else [])
    pairs = builder.build()
    rows = rows_of(pairs, split_by_image(pairs, Vocabulary(("happy",)), {"train": 0.5, "test": 0.5}))
    assert [sum(pairs.emotions[row] == ["happy"] for row in rows[part]) for part in ("train", "test")] == [10, 10]


def test_an_image_in_two_parts_is_refused() -> None:
    with pytest.raises(EmocapError, match=r"'0\.jpg' is in train and in test"):
        rows_of(made(2), {"train": ["0.jpg", "1.jpg"], "test": ["0.jpg"]})


@pytest.mark.parametrize("fractions", [{}, {"train": 0.7, "test": 0.7}, {"train": 1.0, "test": 0.0}])
def test_shares_that_do_not_sum_to_one_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(EmocapError, match="expected some above 0 that sum to 1"):
        split_by_image(made(20), VOCABULARY, fractions)
