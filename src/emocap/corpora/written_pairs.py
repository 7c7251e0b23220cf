"""Tables that `Pairs` itself wrote, whose rows are read as they were."""

from collections.abc import Iterable, Mapping, Sequence

from emocap.corpora.labels import is_absent
from emocap.corpora.options import ROLES
from emocap.corpora.pairs import ANNOTATION, SCHEMA, Pairs, PairsBuilder, plain_id
from emocap.corpora.row_files import Row

_ANNOTATION_KEYS = {field.name for field in ANNOTATION}


def is_written_by_pairs(names: Iterable[str], rows: Sequence[Row]) -> bool:
    """Whether a table has all columns of `SCHEMA`, with lists of emotions and of annotations."""
    if not set(names) >= set(SCHEMA.names):
        return False
    lists = [row[name] for _, _, row in rows for name in ("emotions", "annotations") if row.get(name) is not None]
    if not all(isinstance(cell, list) for cell in lists):
        return False
    annotations = [one for _, _, row in rows for one in row.get("annotations") or []]
    return all(isinstance(one, Mapping) and one.keys() == _ANNOTATION_KEYS for one in annotations)


def read_written_pairs(builder: PairsBuilder, names: Sequence[str], rows: Iterable[Row]) -> Pairs:
    """The pairs of such a table, with annotations; a missing list of emotions is an unlabelled pair, not a negative.

    Raises:
        EmocapError: no usable row.
    """
    builder.columns = {name: (name,) for name in SCHEMA.names if name in ROLES}
    builder.unused_columns = tuple(name for name in names if name not in SCHEMA.names)
    for where, _, row in rows:
        pair_id, image, caption, emotions, annotations, group, split = (row.get(name) for name in SCHEMA.names)
        name = "" if is_absent(pair_id) else plain_id(pair_id)
        builder.add(where, name, image, caption, emotions, annotations, group=group, split=split)
    return builder.build()
