"""Train, validation and test parts by image, stratified by label.

What shares an image, a caption or a declared group is in one part (see `groups`). Left out: stratification by pairs
of labels.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from emocap.corpora.groups import Groups, image_key
from emocap.corpora.pairs import STRICTEST_FIRST, Pairs
from emocap.corpora.stratification import stratify
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError

FEW_POSITIVES = 10
_ADVICE = "; if it is a stock sentence, add it to splits.stock_captions"


@dataclass(frozen=True)
class Split:
    """A division of a corpus.

    Attributes:
        parts: part to its sorted keys (see `groups.image_key`); a key is in at most one part.
        left_out: ids of pairs that are in no part although their image may be.
        asked: part to the number of keys that was asked for.
    """

    parts: dict[str, list[str]]
    left_out: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)


def split_by_image(
    pairs: Pairs, vocabulary: Vocabulary, fractions: Mapping[str, float], seed: int = 0, groups: Groups | None = None
) -> Split:
    """Parts in which every key is exactly once; the order of the pairs does not matter if they have ids or images.

    Args:
        pairs: labelled pairs.
        vocabulary: labels to stratify by; a group has those of all its captions.
        fractions: part to its share of the images; they sum to 1.
        seed: of the draw.
        groups: what no part may divide; None for those of the pairs, without copied images.

    Raises:
        EmocapError: fractions that do not sum to 1, or too few images or groups for a part.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise EmocapError(f"splits: fractions are {dict(fractions)}, expected positive numbers that sum to 1")
    groups = groups or Groups.of(pairs)
    n = len(groups.keys)
    sizes = {part: round(share * n) for part, share in fractions.items()}
    largest = max(fractions, key=lambda part: fractions[part])
    sizes[largest] = n - sum(size for part, size in sizes.items() if part != largest)
    if min(sizes.values()) < 1:
        part = min(sizes, key=lambda name: sizes[name])
        raise EmocapError(f"splits: {n} images leave none for {part!r}; use more data or another fraction")
    parts = _draw(_Items.of(pairs, groups, vocabulary), sizes, seed)
    _require_pairs(parts, groups)
    return Split(parts, asked=sizes)


def fold_by_image(
    pairs: Pairs,
    vocabulary: Vocabulary,
    *,
    n_folds: int,
    fold: int,
    validation: float,
    seed: int,
    groups: Groups | None = None,
) -> Split:
    """The parts "train", "validation" and "test"; over all folds every key is tested once.

    The folds depend on the pairs' content and ids, `n_folds` and `seed`, not on the order of the pairs. An emotion with
    fewer images than folds is absent from some tests (see `emotion_notes`).

    Args:
        pairs: labelled pairs.
        vocabulary: labels to stratify by; a group has those of all its captions.
        n_folds: at least 2.
        fold: 0 to n_folds - 1, the one used for testing.
        validation: share of all images, taken from the other folds.
        seed: of the draws.
        groups: what no part may divide; None for those of the pairs, without copied images.

    Raises:
        EmocapError: a number out of range, or too few images or groups for the folds or a part.
    """
    if n_folds < 2 or not 0 <= fold < n_folds:
        raise EmocapError(f"splits: fold {fold} of {n_folds}, expected at least 2 folds, numbered from 0")
    groups = groups or Groups.of(pairs)
    n, (n_validation, test_sizes) = len(groups.keys), fold_sizes(len(groups.keys), n_folds, validation)
    items = _Items.of(pairs, groups, vocabulary)
    tests = _draw(items, test_sizes, seed)
    _require_pairs(tests, groups)
    test = tests[str(fold)]
    rest = items.only(set(groups.keys).difference(test))
    sizes = {"train": n - len(test) - n_validation, "validation": n_validation}
    parts = _draw(rest, sizes, seed) | {"test": test}
    _require_pairs(parts, groups)
    return Split(parts, asked=sizes | {"test": test_sizes[str(fold)]})


def fold_sizes(n: int, n_folds: int, validation: float) -> tuple[int, dict[str, int]]:
    """The number of validation images in each fold, and that of test images by the fold's number as text.

    Args:
        n: number of images.
        n_folds: at least 2.
        validation: share of all images, taken from the other folds.

    Raises:
        EmocapError: a share out of range, or too few images for the folds or a part.
    """
    if not 0 < validation < 1 - 1 / n_folds:
        raise EmocapError(
            f"splits: validation is {validation:g}, expected above 0 and below {1 - 1 / n_folds:g}, "
            f"what a test on 1 of {n_folds} folds leaves"
        )
    if n_folds > n:
        raise EmocapError(f"splits: {n_folds} folds of {n} images; use fewer folds or more data")
    n_validation = round(validation * n)
    test_sizes = {str(number): len(part) for number, part in enumerate(np.array_split(np.arange(n), n_folds))}
    n_train = n - max(test_sizes.values()) - n_validation
    if n_validation < 1 or n_train < 1:
        raise EmocapError(
            f"splits: {n} images are too few for {n_folds} folds with {validation:g} of them for validation; "
            "use fewer folds or more data"
        )
    return n_validation, test_sizes


def own_split(
    pairs: Pairs, vocabulary: Vocabulary, fractions: Mapping[str, float], seed: int = 0, groups: Groups | None = None
) -> Split | None:
    """The corpus's own parts, from its column `split`; None where it names no training or no test pairs.

    A group that the corpus divides keeps its test pairs if it has some, else its validation pairs; its other pairs are
    left out, as are pairs without a part. Without validation pairs, the share asked for is drawn from the training
    part.

    Args:
        pairs: labelled pairs.
        vocabulary: labels to stratify the validation part by.
        fractions: shares of "train" and "validation".
        seed: of that draw.
        groups: what no part may divide; None for those of the pairs, without copied images.

    Raises:
        EmocapError: too few training images for a validation part.
    """
    own = pairs.splits
    if not {"train", "test"} <= set(own):
        return None
    groups = groups or Groups.of(pairs)
    group_of_row = groups.group_of[groups.key_of].tolist()
    part_of: dict[int, str] = {}
    for part in reversed(STRICTEST_FIRST):
        part_of |= {group: part for group, named in zip(group_of_row, own, strict=True) if named == part}
    kept = [part_of.get(group) == named and named is not None for group, named in zip(group_of_row, own, strict=True)]
    keys: dict[str, set[str]] = {part: set() for part in ("train", "validation", "test")}
    for key, named, is_kept in zip(groups.key_of.tolist(), own, kept, strict=True):
        if is_kept and named is not None:
            keys[named].add(groups.keys[key])
    parts = {part: sorted(names) for part, names in keys.items()}
    if not parts["validation"]:
        share = fractions["validation"] / (fractions["train"] + fractions["validation"])
        size = round(share * len(parts["train"]))
        if not 0 < size < len(parts["train"]):
            raise EmocapError(
                f"splits: the corpus's own split has no validation part and {len(parts['train'])} training images, too "
                "few to take one from; use more data or set splits.corpus_split to false"
            )
        items = _Items.of(pairs, groups, vocabulary).only(keys["train"])
        parts |= _draw(items, {"train": len(parts["train"]) - size, "validation": size}, seed)
    _require_pairs(parts, groups)
    left_out = [pair_id for pair_id, is_kept in zip(pairs.pair_ids, kept, strict=True) if not is_kept]
    return Split(parts, left_out, {part: len(names) for part, names in parts.items()})


@dataclass(frozen=True)
class _Items:
    """G groups in an order independent of that of the pairs: their keys, and (G, E) the labels of their captions."""

    keys: list[list[str]]
    targets: np.ndarray

    @staticmethod
    def of(pairs: Pairs, groups: Groups, vocabulary: Vocabulary) -> "_Items":
        keys: list[list[str]] = [[] for _ in groups.sizes]
        for key, group in zip(groups.keys, groups.group_of.tolist(), strict=True):
            keys[group].append(key)
        labels: list[set[str]] = [set() for _ in keys]
        for key, named in zip(groups.key_of, pairs.emotions, strict=True):
            labels[groups.group_of[key]].update(named or ())
        order = sorted(range(len(keys)), key=lambda group: hashlib.sha256(keys[group][0].encode()).digest())
        return _Items([keys[group] for group in order], vocabulary.encode([labels[group] for group in order]))

    def only(self, wanted: Collection[str]) -> "_Items":
        """The groups with these keys alone, without those that have none."""
        keys = [[key for key in own if key in wanted] for own in self.keys]
        rows = [row for row, own in enumerate(keys) if own]
        return _Items([keys[row] for row in rows], self.targets[rows])


def _draw(items: _Items, sizes: Mapping[str, int], seed: int) -> dict[str, list[str]]:
    weights = np.array([len(keys) for keys in items.keys], dtype=np.int64)
    drawn = stratify(weights, items.targets, list(sizes.values()), seed).tolist()
    parts: dict[str, list[str]] = {name: [] for name in sizes}
    names = list(sizes)
    for keys, part in zip(items.keys, drawn, strict=True):
        parts[names[part]] += keys
    return {name: sorted(keys) for name, keys in parts.items()}


def _require_pairs(parts: Mapping[str, list[str]], groups: Groups) -> None:
    empty = next((name for name, keys in parts.items() if not keys), None)
    if empty is None:
        return
    size, tie = groups.largest()
    reason = f"; the {tie} binds {size} of them{_ADVICE if tie.startswith('caption') else ''}" if size > 1 else ""
    raise EmocapError(
        f"splits: {len(groups.keys)} images in {len(groups.sizes)} groups are too few for {len(parts)} parts{reason}"
    )


def size_notes(split: Split, groups: Groups) -> list[str]:
    """Sentences on parts whose size is not the one asked for by more than an image and 1%, and on what causes it."""
    n = len(groups.keys)
    allowed = max(1.0, 0.01 * n)
    wrong = [
        f"{part} has {len(keys)} images instead of {split.asked[part]}"
        for part, keys in split.parts.items()
        if abs(len(keys) - split.asked.get(part, len(keys))) > allowed
    ]
    size, tie = groups.largest()
    notes = [f"splits: {', '.join(wrong)}, since groups of images are not divided"] if wrong else []
    smallest = min((count for count in split.asked.values()), default=size)
    if size > max(smallest, 1):
        notes.append(
            f"splits: {size} of {n} images are one group, more than the smallest part has ({smallest}); the {tie} "
            f"binds most of them{_ADVICE if tie.startswith('caption') else ''}"
        )
    return notes


def rows_of(
    pairs: Pairs,
    parts: Mapping[str, list[str]],
    same: Mapping[str, str] | None = None,
    left_out: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Part to the ascending row numbers (int64) of its pairs.

    Args:
        pairs: N pairs.
        parts: part to its keys.
        same: copied images, as when the parts were drawn.
        left_out: ids of pairs that are in no part.

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
    unused = set(left_out)
    for row, (key, pair_id) in enumerate(zip(image_key(pairs, same), pairs.pair_ids, strict=True)):
        if pair_id in unused:
            continue
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
