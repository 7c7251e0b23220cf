"""Train, validation and test parts by image, balanced over labels (Sechidis et al. 2011, iterative stratification).

All captions of an image fall into one part. Left out: balance over pairs of labels.
"""

import hashlib
import warnings
from collections.abc import Mapping

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

from emocap.corpora.pairs import Pairs
from emocap.emotions import Vocabulary
from emocap.errors import EmocapError


def group_key(pairs: Pairs) -> list[str]:
    """What may not be divided: a pair's image, or the pair itself where it has none."""
    return [image or f"pair:{pair_id}" for image, pair_id in zip(pairs.images, pairs.pair_ids, strict=True)]


def split_by_image(
    pairs: Pairs, vocabulary: Vocabulary, fractions: Mapping[str, float], seed: int = 0
) -> dict[str, list[str]]:
    """Part to the group keys in it, sorted; every key in exactly one part, whatever the order of the pairs.

    Args:
        pairs: labelled pairs.
        vocabulary: labels to balance; those of all captions of an image count.
        fractions: part to its share; they sum to 1.
        seed: of the draw.

    Raises:
        EmocapError: shares that do not sum to 1, or too few images for a part.
    """
    if not fractions or min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise EmocapError(f"splits: shares are {dict(fractions)}, expected some above 0 that sum to 1")
    labels: dict[str, set[str]] = {}
    for key, named in zip(group_key(pairs), pairs.emotions, strict=True):
        labels.setdefault(key, set()).update(named or ())
    keys = sorted(labels, key=lambda key: hashlib.sha256(key.encode()).digest())
    sizes = {part: round(share * len(keys)) for part, share in fractions.items()}
    if min(sizes.values()) < 1:
        part = min(sizes, key=lambda name: sizes[name])
        raise EmocapError(f"splits: {len(keys)} images leave none for {part!r}; use more data or another share")
    targets = np.stack([vocabulary.encode(labels[key]) for key in keys])
    if len(vocabulary) == 1:  # the library takes several columns only
        targets = np.hstack([targets, 1 - targets])
    rest, parts = np.arange(len(keys)), {}
    names = sorted(fractions, key=lambda name: fractions[name])
    for name in names[:-1]:
        share = sizes[name] / len(rest)
        splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept, taken = next(splitter.split(rest, targets[rest]))
        parts[name], rest = rest[taken], rest[kept]
    parts[names[-1]] = rest
    if any(len(rows) == 0 for rows in parts.values()):
        raise EmocapError(f"splits: {len(keys)} images are too few for {len(fractions)} parts")
    return {name: sorted(keys[row] for row in parts[name]) for name in fractions}


def rows_of(pairs: Pairs, parts: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """Part to the ascending row numbers (int64) of its pairs.

    Raises:
        EmocapError: an image is in two parts, or a pair belongs to none.
    """
    part_of: dict[str, str] = {}
    for part, keys in parts.items():
        for key in keys:
            if part_of.setdefault(key, part) != part:
                raise EmocapError(
                    f"splits: image {key!r} is in {part_of[key]} and in {part}; parts must share no image"
                )
    rows: dict[str, list[int]] = {part: [] for part in parts}
    for row, key in enumerate(group_key(pairs)):
        if key not in part_of:
            raise EmocapError(f"splits: image {key!r} is in no part; the splits were made for other data")
        rows[part_of[key]].append(row)
    return {part: np.array(found, dtype=np.int64) for part, found in rows.items()}
