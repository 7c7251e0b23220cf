"""Which columns of a table are read for which role."""

from collections.abc import Sequence
from dataclasses import dataclass

from emocap.corpora.options import ROLES, ReadOptions, column_of, has_caption_alias, is_lexicon, propose_columns
from emocap.corpora.rating_columns import RatingColumns, find_rating_columns
from emocap.errors import EmocapError


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns by role; None where it has none.

    Attributes:
        caption: None where there are only images.
        emotions: one column of label cells, or one column for each emotion.
        ratings: the columns of each rating that is read.
        unused: all other named columns.
    """

    caption: str | None
    image: str | None
    pair_id: str | None
    emotions: str | list[str] | None
    group: str | None
    split: str | None
    annotator: str | None
    style: str | None
    ratings: list[RatingColumns]
    unused: list[str]

    def by_role(self) -> dict[str, tuple[str, ...]]:
        """Role to the names of its columns, without roles that the table has not."""
        names = {role: getattr(self, role) for role in ROLES}
        found = {role: (name,) if isinstance(name, str) else tuple(name) for role, name in names.items() if name}
        return found | {columns.rating.name: tuple(columns.names) for columns in self.ratings}

    @staticmethod
    def find(source: object, names: Sequence[str], options: ReadOptions, *, needs_image: bool) -> "Columns":
        """The columns of a table with these names.

        Raises:
            EmocapError: no caption and no image, no image although images are given, a rating without a column, or a
                column that `options` name is absent.
        """
        wanted = options.columns.get("emotions") if options.labels else None
        several = None if wanted is None or isinstance(wanted, str) else list(wanted)
        try:
            roles = {
                role: column_of(role, names, options)
                for role in ROLES
                if role != "emotions" or (several is None and options.labels)
            }
        except EmocapError as error:
            raise EmocapError(f"{source}: {error}") from None
        needed = ["caption", "image"] if needs_image else ["caption"]
        if roles["image"] is not None and not has_caption_alias(names):
            needed.remove("caption")
        for role in [role for role in needed if roles[role] is None]:
            raise missing_column(source, role, names)
        ratings = find_rating_columns(source, names, options.ratings, options.columns)
        if (missing := next((name for name in several or () if name not in names), None)) is not None:
            raise EmocapError(f"{source}: has no column {missing!r} of emotions, found {', '.join(names)}")
        emotions = roles.pop("emotions", None) if several is None else several
        used = {*roles.values(), *(emotions if isinstance(emotions, list) else [emotions])}
        used.update(name for columns in ratings for name in columns.names)
        unused = [name for name in names if name not in used]
        return Columns(emotions=emotions, ratings=ratings, unused=unused, **roles)


def missing_column(source: object, role: str, names: Sequence[str]) -> EmocapError:
    """The error for a table without a column for a role, which proposes one, or says that it is a lexicon."""
    if role == "caption" and is_lexicon(names):
        return EmocapError(
            f"{source}: is a lexicon of words with their emotions, not a corpus: it has no captions, so nothing is "
            f"trained on it; found {', '.join(names)}"
        )
    return EmocapError(
        f"{source}: has no column {role!r}, found {', '.join(names)}; name its columns, such as "
        f"{propose_columns(names)}, or rename them"
    )
