"""The ordered emotion vocabulary: cleaning of free-text labels, frequency threshold, order and hash.

These rules reduce the 982 strings of Socratis (Deng et al. 2023, arXiv 2308.16741) to 29 emotions.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

import numpy as np

from emocap.errors import EmocapError

ABSENT = frozenset({"", "none", "not entered"})
# Both of Socratis' vocabulary.
PLEASANT = frozenset({
    "amazed", "awe", "beautiful", "calm", "excited", "good", "happy", "hopeful", "impressed", "inspired", "joy",
    "proud",
})  # fmt: skip
UNPLEASANT = frozenset({
    "anger", "angry", "annoyed", "bored", "concerned", "disgusted", "fear", "sad", "scared", "upset", "worried",
})  # fmt: skip
_WRAPPING = re.compile(r"[\"'`“”‘’\[\](){}]")
_WORD = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]+)*")


def clean_emotion(text: str | None) -> str | None:
    """One emotion word in lower case, or None if the annotator's text is not a single word.

    >>> clean_emotion(' "Happy" '), clean_emotion("['sad']"), clean_emotion("very sad"), clean_emotion("Not entered")
    ('happy', 'sad', None, None)
    """
    if text is None:
        return None
    word = _WRAPPING.sub("", str(text)).strip().lower()
    if word in ABSENT or not _WORD.fullmatch(word):
        return None
    return word


def opposites(emotions: Set[str]) -> tuple[set[str], set[str]] | None:
    """The pleasant and the unpleasant emotions among those given, or None unless there are both.

    >>> opposites({"happy", "sad", "curious"}), opposites({"sad", "angry"})
    (({'happy'}, {'sad'}), None)
    """
    pleasant, unpleasant = PLEASANT.intersection(emotions), UNPLEASANT.intersection(emotions)
    return (set(pleasant), set(unpleasant)) if pleasant and unpleasant else None


@dataclass(frozen=True)
class Vocabulary:
    """The emotions that a model predicts, in a fixed order; none for a model of ratings alone.

    Raises:
        EmocapError: an empty label or a duplicate.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if any(not isinstance(label, str) or not label.strip() for label in self.labels):
            raise EmocapError("vocabulary: an emotion is empty or not text")
        duplicates = [label for label, count in Counter(self.labels).items() if count > 1]
        if duplicates:
            raise EmocapError(f"vocabulary: {duplicates[0]!r} occurs twice")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def hash(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the labels in order."""
        return hashlib.sha256(json.dumps(list(self.labels)).encode()).hexdigest()[:16]

    def encode(self, emotions_by_pair: Sequence[Iterable[str]]) -> np.ndarray:
        """Targets of N pairs: (N, E) float32 of 0 and 1; emotions outside the vocabulary are ignored.

        >>> Vocabulary(("happy", "sad")).encode([["sad", "seasick"], ["happy"]])
        array([[0., 1.],
               [1., 0.]], dtype=float32)
        """
        column_of = {label: column for column, label in enumerate(self.labels)}
        rows: list[int] = []
        columns: list[int] = []
        for row, emotions in enumerate(emotions_by_pair):
            for emotion in emotions:
                if emotion in column_of:
                    rows.append(row)
                    columns.append(column_of[emotion])
        targets = np.zeros((len(emotions_by_pair), len(self)), dtype=np.float32)
        targets[rows, columns] = 1
        return targets

    def require_same(self, labels: Sequence[str], where: str) -> None:
        """Check that an artifact was made for this vocabulary.

        Raises:
            EmocapError: `labels` differ from this vocabulary or its order.
        """
        other = Vocabulary(tuple(labels))
        if other.hash == self.hash:
            return
        missing = [label for label in self.labels if label not in other.labels]
        unknown = [label for label in other.labels if label not in self.labels]
        difference = "; ".join(
            text
            for text in (
                f"lacks {', '.join(missing[:5])}" if missing else "",
                f"adds {', '.join(unknown[:5])}" if unknown else "",
                "" if missing or unknown else "the order differs",
            )
            if text
        )
        raise EmocapError(
            f"{where}: emotion vocabulary {other.hash} ({len(other)}) is not the expected {self.hash} ({len(self)}): "
            f"{difference}; use data and a model with the same vocabulary"
        )


def build_vocabulary(emotions_by_pair: Iterable[Iterable[str] | None], min_count: int = 1) -> Vocabulary:
    """The emotions of at least `min_count` pairs, sorted by count, then alphabetically.

    >>> build_vocabulary([["sad", "happy"], ["happy"], ["angry"], ["angry"]], min_count=2).labels
    ('angry', 'happy')

    Raises:
        EmocapError: no emotion reaches `min_count`.
    """
    counts: Counter[str] = Counter()
    for emotions in emotions_by_pair:
        counts.update(set(emotions or ()))
    frequent = [label for label, count in counts.items() if count >= min_count]
    if not frequent:
        raise EmocapError(
            f"vocabulary: none of {len(counts)} emotions is named for at least {min_count} pairs; lower min_count"
        )
    return Vocabulary(tuple(sorted(frequent, key=lambda label: (-counts[label], label))))
