"""Labels of a corpus brought to those of a model: some renamed, and those left out that only one of them knows."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from emocap.corpora.pairs import SCHEMA, Pairs
from emocap.errors import EmocapError


@dataclass(frozen=True)
class CommonLabels:
    """The labels that a model and a corpus share.

    Attributes:
        shared: in the model's order.
        only_model: labels of the model that no pair names.
        only_data: labels of the corpus that the model does not know.
    """

    shared: list[str]
    only_model: list[str]
    only_data: list[str]

    @classmethod
    def of(cls, labels: Sequence[str], pairs: Pairs) -> "CommonLabels":
        """The labels of a model with those that pairs name."""
        named = named_labels(pairs)
        return cls(
            [label for label in labels if label in named],
            [label for label in labels if label not in named],
            sorted(named - set(labels)),
        )


def named_labels(pairs: Pairs) -> set[str]:
    """All labels that pairs name."""
    return {label for named in pairs.emotions for label in named or ()}


def parse_label_map(texts: Iterable[str]) -> dict[str, str]:
    """The label map of a command line, `LABEL=EMOTION` joined by commas.

    >>> parse_label_map(["fearful=fear,joyful=happy", "glad=happy"])
    {'fearful': 'fear', 'joyful': 'happy', 'glad': 'happy'}

    Raises:
        EmocapError: not of this form, or a label has two emotions.
    """
    label_map: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",")):
        label, equals, emotion = (piece.strip() for piece in part.partition("="))
        if not equals or not label or not emotion:
            raise EmocapError(f"--map {part!r}: expected LABEL=EMOTION, such as fearful=fear")
        if label_map.setdefault(label, emotion) != emotion:
            raise EmocapError(f"--map: {label!r} becomes both {label_map[label]!r} and {emotion!r}; give one")
    return label_map


def require_emotions(label_map: Mapping[str, str], labels: Sequence[str]) -> None:
    """Check that a model knows every emotion that labels are renamed to.

    Raises:
        EmocapError: it does not know one.
    """
    for label, emotion in label_map.items():
        if emotion not in labels:
            near = difflib.get_close_matches(emotion, labels, n=3, cutoff=0.4)
            similar = f"the most similar {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
            known = similar if near else f"it knows {', '.join(labels)}"
            raise EmocapError(f"--map {label}={emotion}: the model does not know {emotion!r}; {known}")


def renamed(pairs: Pairs, label_map: Mapping[str, str]) -> Pairs:
    """The pairs with their labels renamed; two that become one count once. Annotations stay as they are.

    Raises:
        EmocapError: no pair names a label of the map.
    """
    known = named_labels(pairs)
    absent = next((label for label in label_map if label not in known), None)
    if absent is not None:
        near = difflib.get_close_matches(absent, known, n=3, cutoff=0.4) or sorted(known)[:10]
        raise EmocapError(f"--map {absent}={label_map[absent]}: no pair names {absent!r}; found {', '.join(near)}")
    return _with_emotions(
        pairs,
        [
            None if named is None else sorted({label_map.get(label, label) for label in named})
            for named in pairs.emotions
        ],
    )


def restricted(pairs: Pairs, labels: Iterable[str]) -> Pairs:
    """The pairs with these labels only; a pair of others alone names none."""
    kept = set(labels)
    return _with_emotions(
        pairs, [None if named is None else [label for label in named if label in kept] for named in pairs.emotions]
    )


def _with_emotions(pairs: Pairs, emotions: list[list[str] | None]) -> Pairs:
    column = SCHEMA.get_field_index("emotions")
    table = pairs.table.set_column(column, SCHEMA.field(column), pa.array(emotions, SCHEMA.field(column).type))
    return Pairs(table, pairs.image_root, pairs.rejected, pairs.open_vocabulary, pairs.notes)
