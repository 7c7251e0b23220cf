"""How a corpus is to be read: the names of its columns, and the notation of its labels."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emocap.errors import EmocapError
from emocap.ratings import NO_RATINGS, Ratings

# Role to the column names that are taken for it without `columns`, in this order.
ROLES: dict[str, tuple[str, ...]] = {
    "pair_id": ("pair_id",),
    "image": ("image",),
    "caption": ("caption",),
    "emotions": ("emotions", "emotion", "labels", "label"),
    "group": ("group",),
    "split": ("split",),
    "annotator": ("annotator", "annotator_id", "rater", "rater_id", "worker_id"),
    "style": ("style",),
}
# Common other names, which an error proposes as `--columns`; they are not taken without being asked.
ALIASES: dict[str, tuple[str, ...]] = {
    "pair_id": ("id", "uid", "item", "item_id"),
    "image": ("file_name", "filename", "image_name", "image_path", "image_file", "img", "file", "path", "filepath"),
    "caption": ("text", "sentence", "utterance", "headline", "title", "comment", "raw", "tweet", "body"),
    "emotions": ("sentiment", "feeling", "feelings", "class", "category", "emotion_label", "reader_emotion"),
    "split": ("part", "subset", "partition", "fold"),
}
# Names of columns that are one emotion each, which an error proposes as `emotions`.
EMOTION_COLUMNS = frozenset({
    "afraid", "amused", "amusement", "anger", "angry", "annoyed", "anticipation", "awe", "contentment", "disgust",
    "dont_care", "excitement", "fear", "happiness", "happy", "inspired", "joy", "love", "neutral", "sad", "sadness",
    "surprise", "trust",
})  # fmt: skip
NO_SEPARATOR = "none"
_UNNAMED = re.compile(r"(Unnamed: \d+(_level_\d+)?|__index_level_\d+__)?")


@dataclass(frozen=True)
class ReadOptions:
    """Options of a corpus's reader.

    Attributes:
        columns: role (a key of `ROLES`) to the name of its column; for "emotions" also several names, one column of 0
            and 1, or of scores, for each emotion.
        label_separator: what separates the labels of one cell; "none" if a cell is one label; None detects it.
        label_threshold: the least score of a label that counts as named, where labels have scores.
        labels: whether labels are read at all; prediction needs none.
        keep_columns: whether all columns of a table are kept beside its pairs (`Pairs.source`); only without labels,
            since several rows may be the ratings of one pair.
        ratings: numbers on a scale that are read of each row; `columns` may name their columns as NAME, NAME_sd and
            NAME_n.
        where: column to the values of which a row must have one, else it is left out.
        has_images: whether the images are elsewhere than in a folder, such as features in a store.
    """

    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    label_separator: str | None = None
    label_threshold: float = 0.5
    labels: bool = True
    keep_columns: bool = False
    ratings: Ratings = NO_RATINGS
    where: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    has_images: bool = False

    def __post_init__(self) -> None:
        roles = [*ROLES, *(name + end for name in self.ratings.names for end in ("", "_sd", "_n"))]
        for role, names in self.columns.items():
            if role not in roles:
                raise EmocapError(f"columns: {role!r} is unknown, expected one of {', '.join(roles)}")
            if not names or (role != "emotions" and not isinstance(names, str)):
                raise EmocapError(f"columns: {role} is {names!r}, expected the name of one column")
        if not math.isfinite(self.label_threshold):
            raise EmocapError(f"label_threshold is {self.label_threshold}, expected a number")
        for column, values in self.where.items():
            if not values or isinstance(values, str) or not isinstance(values, Sequence):
                raise EmocapError(f"where: {column} is {values!r:.80}, expected a list of the values that are kept")
        if reserved := [name for name in self.ratings.names if name in ROLES]:
            raise EmocapError(f"ratings: {reserved[0]!r} is the name of a role of a column; name the rating otherwise")
        if self.label_separator == "":
            raise EmocapError("label_separator is empty; give a separator, or 'none' if a cell is one label")

    @property
    def is_default(self) -> bool:
        """Whether nothing is set that only a table has."""
        has_labels = self.label_separator is not None or self.label_threshold != ReadOptions.label_threshold
        return not self.columns and not self.where and not has_labels


def parse_columns(text: str | None) -> dict[str, str | list[str]]:
    """The columns of a command line, `ROLE=NAME` joined by commas; several columns of emotions are joined by `+`.

    >>> parse_columns("image=file_name,caption=text,emotions=joy+awe")
    {'image': 'file_name', 'caption': 'text', 'emotions': ['joy', 'awe']}

    Raises:
        EmocapError: not of this form.
    """
    columns: dict[str, str | list[str]] = {}
    for part in (text or "").split(",") if text else []:
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise EmocapError(f"--columns {text!r}: {part!r} is not ROLE=NAME, such as image=file_name,caption=text")
        names = name.split("+")
        columns[role] = names if role == "emotions" and len(names) > 1 else name
    return columns


def column_of(role: str, names: Iterable[str], options: ReadOptions) -> str | None:
    """The name of a role's column among those of a table, or None if it has none.

    Raises:
        EmocapError: the column that `options` name is absent.
    """
    present = list(names)
    wanted = options.columns.get(role)
    if isinstance(wanted, str):
        if wanted not in present:
            raise EmocapError(f"has no column {wanted!r}, which is to be its {role}; found {', '.join(present)}")
        return wanted
    return next((name for name in ROLES[role] if name in present), None)


def may_have_role(column: str, options: ReadOptions) -> bool:
    """Whether a column is taken, or may be, for a role."""
    named = options.columns.values()
    return (
        column in options.where
        or any(column in names for names in ROLES.values())
        or any(column == name if isinstance(name, str) else column in name for name in named)
    )


def has_caption_alias(names: Iterable[str]) -> bool:
    """Whether a column has a common other name of captions, so that a table without `caption` may have captions.

    >>> has_caption_alias(["image", "Text"]), has_caption_alias(["image", "valence"])
    (True, False)
    """
    aliases = {*ROLES["caption"], *ALIASES["caption"]}
    return any(name.lower() in aliases for name in names)


def is_lexicon(names: Iterable[str]) -> bool:
    """Whether a table has single words with scores of emotions in place of captions.

    >>> is_lexicon(["Lemma#PoS", "AFRAID", "AMUSED"]), is_lexicon(["lemma", "text", "joy", "fear"])
    (True, False)
    """
    lower = [name.lower() for name in names]
    has_words = any(re.fullmatch(r"lemma|word|lemma#pos", name) for name in lower)
    return has_words and len(EMOTION_COLUMNS.intersection(lower)) > 1 and not has_caption_alias(lower)


def is_unnamed(column: str) -> bool:
    """Whether a column has no name, or one that pandas gives to an index without a name.

    >>> is_unnamed("Unnamed: 0"), is_unnamed("__index_level_0__"), is_unnamed("name")
    (True, True, False)
    """
    return _UNNAMED.fullmatch(column) is not None


def propose_columns(names: Iterable[str]) -> str:
    """The option that would name the columns of a table by common other names, or by hand.

    >>> propose_columns(["file_name", "text", "emotions"])
    '--columns image=file_name,caption=text'
    >>> propose_columns(["image", "anger", "joy", "sadness"])
    '--columns caption=NAME,emotions=anger+joy+sadness'
    """
    present = list(names)
    lower = {name.lower(): name for name in present}
    found = {
        role: next((lower[alias] for alias in (*ROLES[role], *ALIASES.get(role, ())) if alias in lower), None)
        for role in ("image", "caption", "emotions", "split")
    }
    scores = [name for name in present if name.lower() in EMOTION_COLUMNS]
    if len(scores) > 1 and found["emotions"] not in ROLES["emotions"]:
        found["emotions"] = "+".join(scores)
    if any(found.values()):
        found["caption"] = found["caption"] or "NAME"
    parts = [f"{role}={name}" for role, name in found.items() if name is not None and name not in ROLES[role]]
    return f"--columns {','.join(parts or ['image=NAME', 'caption=NAME', 'emotions=NAME'])}"
