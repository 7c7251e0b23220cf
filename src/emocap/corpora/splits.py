"""Train, validation and test parts by image, stratified by label (Sechidis et al. 2011, iterative stratification).

All captions of an image are in one part, and so are images of the same bytes. Left out: stratification by label pairs.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold, MultilabelStratifiedShuffleSplit

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

FEW_POSITIVES = 10


def group_key(pairs: Pairs, same: Mapping[str, str] | None = None) -> list[str]:
    """The group of each pair, which no split divides: its image, or the pair itself if it has none.

    Args:
        pairs: N pairs.
        same: copied images to the first of the same bytes, from `duplicates.same_content`; the first names the group.
    """
    first = same or {}
    return [
        first.get(image, image) if image else f"pair:{pair_id}"
        for image, pair_id in zip(pairs.images, pairs.pair_ids, strict=True)
    ]


def split_by_image(
    pairs: Pairs,
    vocabulary: Vocabulary,
    fractions: Mapping[str, float],
    seed: int = 0,
    same: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Part to its sorted group keys; every key is in exactly one part, and the order of the pairs does not matter.

    Args:
        pairs: labelled pairs.
        vocabulary: labels to stratify by; an image has those of all its captions.
        fractions: part to its share of the images; they sum to 1.
        seed: of the draw.
        same: copied images, as for `group_key`.

    Raises:
        EmocapError: fractions that do not sum to 1, or too few images for a part.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise EmocapError(f"splits: fractions are {dict(fractions)}, expected positive numbers that sum to 1")
    keys, targets = _labelled_keys(pairs, vocabulary, same)
    sizes = {part: round(share * len(keys)) for part, share in fractions.items()}
    if min(sizes.values()) < 1:
        part = min(sizes, key=lambda name: sizes[name])
        raise EmocapError(f"splits: {len(keys)} images leave none for {part!r}; use more data or another fraction")
    rest, parts = np.arange(len(keys)), {}
    names = sorted(fractions, key=lambda name: fractions[name])
    for name in names[:-1]:
        rest, parts[name] = _take_stratified(rest, targets, sizes[name], seed)
    parts[names[-1]] = rest
    if any(len(rows) == 0 for rows in parts.values()):
        raise EmocapError(f"splits: {len(keys)} images are too few for {len(fractions)} parts")
    return {name: _sorted_keys(keys, parts[name]) for name in fractions}


def fold_by_image(
    pairs: Pairs,
    vocabulary: Vocabulary,
    *,
    n_folds: int,
    fold: int,
    validation: float,
    seed: int,
    same: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Sorted group keys of "train", "validation" and "test"; over all folds every key is tested once.

    The folds depend on images, labels, `n_folds` and `seed`, not on the order of the pairs. An emotion with fewer
    images than folds is absent from some tests (see `emotion_notes`).

    Args:
        pairs: labelled pairs.
        vocabulary: labels to stratify by; an image has those of all its captions.
        n_folds: at least 2.
        fold: 0 to n_folds - 1, the one used for testing.
        validation: share of all images, taken from the other folds.
        seed: of the draws.
        same: copied images, as for `group_key`.

    Raises:
        EmocapError: a number out of range, or too few images for the folds or a part.
    """
    if n_folds < 2 or not 0 <= fold < n_folds:
        raise EmocapError(f"splits: fold {fold} of {n_folds}, expected at least 2 folds, numbered from 0")
    if not 0 < validation < 1 - 1 / n_folds:
        raise EmocapError(
            f"splits: validation is {validation:g}, expected above 0 and below {1 - 1 / n_folds:g}, "
            f"what a test on 1 of {n_folds} folds leaves"
        )
    keys, targets = _labelled_keys(pairs, vocabulary, same)
    if n_folds > len(keys):
        raise EmocapError(f"splits: {n_folds} folds of {len(keys)} images; use fewer folds or more data")
    splitter = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = [test for _, test in splitter.split(targets, targets)]
    n_validation = round(validation * len(keys))
    smallest = len(keys) - max(map(len, tests)) - n_validation
    if min(map(len, tests)) < 1 or n_validation < 1 or smallest < 1:
        raise EmocapError(
            f"splits: {len(keys)} images are too few for {n_folds} folds with {validation:g} of them for validation; "
            "use fewer folds or more data"
        )
    rest = np.setdiff1d(np.arange(len(keys)), tests[fold])
    train, held_out = _take_stratified(rest, targets, n_validation, seed)
    if not len(train) or not len(held_out):
        raise EmocapError(f"splits: {len(keys)} images are too few for {n_folds} folds; use fewer folds or more data")
    parts = {"train": train, "validation": held_out, "test": tests[fold]}
    return {name: _sorted_keys(keys, rows) for name, rows in parts.items()}


def _labelled_keys(
    pairs: Pairs, vocabulary: Vocabulary, same: Mapping[str, str] | None
) -> tuple[list[str], np.ndarray]:
    """The group keys in an order independent of that of the pairs, and (K, E) the labels of all their captions."""
    labels: dict[str, set[str]] = {}
    for key, named in zip(group_key(pairs, same), pairs.emotions, strict=True):
        labels.setdefault(key, set()).update(named or ())
    keys = sorted(labels, key=lambda key: hashlib.sha256(key.encode()).digest())
    targets = vocabulary.encode([labels[key] for key in keys])
    if len(vocabulary) == 1:  # the library needs several columns
        targets = np.hstack([targets, 1 - targets])
    return keys, targets


def _take_stratified(rest: np.ndarray, targets: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `rest` into those that remain and about `size` that are taken, stratified by label."""
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size / len(rest), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        remaining, taken = next(splitter.split(rest, targets[rest]))
    return rest[remaining], rest[taken]


def _sorted_keys(keys: Sequence[str], rows: np.ndarray) -> list[str]:
    return sorted(keys[row] for row in rows)


def rows_of(
    pairs: Pairs, parts: Mapping[str, list[str]], same: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Part to the ascending row numbers (int64) of its pairs; `same` must be as when the parts were drawn.

    Raises:
        EmocapError: an image is in two parts, or in none.
    """
    part_of: dict[str, str] = {}
    for part, keys in parts.items():
        for key in keys:
            if part_of.setdefault(key, part) != part:
                raise EmocapError(
                    f"splits: image {key!r} is in {part_of[key]} and in {part}; parts must share no image"
                )
    rows: dict[str, list[int]] = {part: [] for part in parts}
    for row, key in enumerate(group_key(pairs, same)):
        if key not in part_of:
            raise EmocapError(f"splits: image {key!r} is in no part; the splits were made for other data")
        rows[part_of[key]].append(row)
    return {part: np.array(numbers, dtype=np.int64) for part, numbers in rows.items()}


def emotion_notes(
    targets: np.ndarray, rows_by_unit: Sequence[Mapping[str, np.ndarray]], labels: Sequence[str]
) -> list[str]:
    """A sentence for every emotion with fewer than 10 positive pairs, or none in some part of a split.

    Args:
        targets: (M, E); above 0 is positive.
        rows_by_unit: for every unit, part to its rows of `targets`; units with the same split count once.
        labels: the E emotions.

    >>> parts = {"train": np.array([1, 2]), "test": np.array([0])}
    >>> emotion_notes(np.array([[1], [0], [0]]), [parts], ["tired"])
    ["'tired' has 1 positive pair; the training part has none: it cannot be learned there"]
    """
    truth = np.asarray(targets) > 0
    splits = list({tuple(rows.tobytes() for rows in unit.values()): unit for unit in rows_by_unit}.values())
    notes = []
    for label, positive in zip(labels, truth.T, strict=True):
        lacks = {part: sum(not positive[unit[part]].any() for unit in splits if part in unit) for part in _CONSEQUENCES}
        n = int(positive.sum())
        if n >= FEW_POSITIVES and not any(lacks.values()):
            continue
        clauses = [f"{label!r} has {n} positive {'pair' if n == 1 else 'pairs'}"]
        for part, (name, consequence) in _CONSEQUENCES.items():
            if lacks[part]:
                verb = "has" if lacks[part] == 1 else "have"
                which = f"the {name} part" if len(splits) == 1 else f"{lacks[part]} of {len(splits)} {name} parts"
                clauses.append(f"{which} {verb} none: {consequence}")
        notes.append("; ".join(clauses))
    return notes


_CONSEQUENCES = {
    "train": ("training", "it cannot be learned there"),
    "validation": ("validation", "its threshold there is the common one"),
    "test": ("test", "its average precision there is undefined"),
}
