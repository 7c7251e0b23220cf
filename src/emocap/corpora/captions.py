"""Captions of a corpus in numbers: their length, repetition, writing systems and languages."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emocap.corpora.duplicates import normalised_caption
from emocap.corpora.languages import languages, writing_systems
from emocap.corpora.pairs import Pairs


@dataclass(frozen=True)
class Captions:
    """The captions of a corpus; those of one `normalised_caption` are the same.

    Attributes:
        min_words: words between spaces of the shortest; writing systems without spaces have few, an empty caption 0.
        median_words: of all pairs.
        max_words: of the longest.
        repeated: pairs that share their caption with another pair.
        most_repeated: the caption of the most pairs and their number; None if none is repeated.
        writing_systems: shares of a sample, as `languages.writing_systems` gives them.
        languages: shares of a sample, as `languages.languages` gives them.
    """

    min_words: int
    median_words: float
    max_words: int
    repeated: int
    most_repeated: tuple[str, int] | None
    writing_systems: dict[str, float]
    languages: dict[str, float] | None


def numbered_captions(pairs: Pairs) -> pa.DictionaryArray:
    """The captions by `normalised_caption`, of which equal ones have one number; null for an empty one."""
    return pa.array(
        (normalised_caption(caption) or None for caption in pairs.captions), pa.string()
    ).dictionary_encode()


def summarise_captions(pairs: Pairs, numbered: pa.DictionaryArray) -> Captions:
    """The captions of N >= 1 pairs.

    Args:
        numbered: of `numbered_captions`.
    """
    number = pc.fill_null(numbered.indices, -1).to_numpy()
    n_words = np.append(pc.count_substring(numbered.dictionary, " ").to_numpy() + 1, 0)[number]
    count = np.bincount(number[number >= 0], minlength=1)
    most = int(np.argmax(count))
    caption = pairs.table["caption"][int(np.argmax(number == most))].as_py()
    return Captions(
        min_words=int(n_words.min()),
        median_words=float(np.median(n_words)),
        max_words=int(n_words.max()),
        repeated=int(count[count > 1].sum()),
        most_repeated=(caption, int(count[most])) if count[most] > 1 else None,
        writing_systems=writing_systems(pairs.table["caption"]),
        languages=languages(pairs.table["caption"]),
    )
