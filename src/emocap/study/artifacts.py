"""Files that a stage leaves for later ones: tables as Parquet and values in JSON, checked when read."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import atomic_file, read_json


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write a table of pairs as Parquet, whole or not at all."""
    with atomic_file(path) as temporary:
        pq.write_table(pairs.table, temporary, compression="zstd")


def read_parquet(path: Path) -> pa.Table:
    """A table that an earlier stage wrote.

    Raises:
        EmocapError: missing, cut short or damaged.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise EmocapError(f"{path}: missing, cut short or damaged; delete it and run again") from error


def read_value(path: Path, key: str) -> Any:
    """One value of a JSON object that an earlier stage wrote.

    Raises:
        EmocapError: missing, damaged or without that key.
    """
    values = read_json(path)
    if not isinstance(values, dict) or key not in values:
        raise EmocapError(f"{path}: lacks {key!r}; delete it and run again")
    return values[key]


def backbone_file(root: Path, role: str | None = None) -> Path:
    """The file that says what a backbone resolved to.

    Args:
        root: of the run.
        role: "teacher" or "labelled", which may name their own; None means the one of `model.backbone`.
    """
    return root / (f"{role}_backbone.json" if role is not None else "backbone.json")


def count_faults(faults: list[tuple[str, str]]) -> dict[str, Any]:
    """Count, reasons and the first ten examples of rejected rows, for the manifest."""
    reasons = Counter(reason for _, reason in faults)
    examples = [{"where": where, "reason": reason} for where, reason in faults[:10]]
    return {"count": len(faults), "reasons": dict(reasons.most_common(20)), "examples": examples}
