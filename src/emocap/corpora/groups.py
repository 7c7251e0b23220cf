"""Groups of pairs that no split divides: they share an image, a caption or a declared group, also through chains."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from emocap.corpora.duplicates import normalised_caption
from emocap.corpora.pairs import Pairs


def image_key(pairs: Pairs, same: Mapping[str, str] | None = None) -> list[str]:
    """The key of each pair: its image, or the pair itself if it has none.

    Args:
        pairs: N pairs.
        same: copied images to the first of the same bytes, from `duplicates.same_content`; the first is their key.
    """
    first = same or {}
    return [
        _composed(first.get(image, image)) if image else f"pair:{pair_id}"
        for image, pair_id in zip(pairs.images, pairs.pair_ids, strict=True)
    ]


def _composed(name: str) -> str:
    """A name in Unicode's composed form, so that two spellings of one name are one image also where no file is seen."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class Groups:
    """The groups of N pairs, which are the connected components of what pairs share.

    Attributes:
        keys: the K keys of images, sorted (see `image_key`).
        key_of: (N,) the index in `keys` of each pair's key.
        group_of: (K,) the group of each key, numbered from 0.
        shared: (N,) for each way of sharing, here captions and declared groups, what each pair shares; -1 for nothing.
        names: for each way of sharing, the text of each of its numbers.
    """

    keys: list[str]
    key_of: np.ndarray
    group_of: np.ndarray
    shared: tuple[np.ndarray, ...]
    names: tuple[list[str], ...]

    @staticmethod
    def of(pairs: Pairs, same: Mapping[str, str] | None = None, stock_captions: Collection[str] = ()) -> "Groups":
        """The groups of a corpus.

        Args:
            pairs: N pairs.
            same: copied images, as for `image_key`.
            stock_captions: captions that bind nothing, since they say nothing about one image.
        """
        stock = {normalised_caption(caption) for caption in stock_captions}
        captions = [normalised_caption(caption) for caption in pairs.captions]
        keys, key_of = _numbered(image_key(pairs, same))
        texts, caption_of = _numbered([None if caption in stock else caption or None for caption in captions])
        declared, declared_of = _numbered(pairs.groups)
        shared = (caption_of, declared_of)
        rows, columns, offset = [], [], len(keys)
        for numbers, names in zip(shared, (texts, declared), strict=True):
            is_bound = numbers >= 0
            rows.append(key_of[is_bound])
            columns.append(numbers[is_bound] + offset)
            offset += len(names)
        edges = (np.concatenate(rows), np.concatenate(columns))
        graph = coo_array((np.ones(len(edges[0]), dtype=bool), edges), shape=(offset, offset))
        components = connected_components(graph, directed=False)[1][: len(keys)]
        return Groups(keys, key_of, np.unique(components, return_inverse=True)[1], shared, (texts, declared))

    @cached_property
    def sizes(self) -> np.ndarray:
        """(G,) the number of keys in each group."""
        return np.bincount(self.group_of, minlength=1)

    def largest(self) -> tuple[int, str]:
        """The number of keys in the largest group, and the caption or declared group that binds most of them."""
        group = int(np.argmax(self.sizes))
        best = (0, "")
        for kind, numbers, names in zip(("caption", "group"), self.shared, self.names, strict=True):
            is_member = (self.group_of[self.key_of] == group) & (numbers >= 0)
            links = np.unique(np.stack([numbers[is_member], self.key_of[is_member]]), axis=1)[0]
            if len(links):
                count = np.bincount(links)
                best = max(best, (int(count.max()), f"{kind} {names[int(np.argmax(count))]!r}"))
        return int(self.sizes[group]), best[1]

    def bound(self) -> dict[str, str]:
        """Every key that shares a group with others, to the first key of its group."""
        first: dict[int, str] = {}
        for key, group in zip(self.keys, self.group_of.tolist(), strict=True):
            first.setdefault(group, key)
        return {
            key: first[group]
            for key, group in zip(self.keys, self.group_of.tolist(), strict=True)
            if self.sizes[group] > 1
        }


def _numbered(values: list[str] | list[str | None]) -> tuple[list[str], np.ndarray]:
    """The sorted distinct values, and the index of each value; -1 for None."""
    names = sorted({value for value in values if value is not None})
    index = {name: number for number, name in enumerate(names)}
    return names, np.array([-1 if value is None else index[value] for value in values], dtype=np.int64)
