"""The file of the rows that could not be used: where each is, why, and the row's columns."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from emocap.api.prediction_columns import SUFFIX, source_columns, text_column
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError
from emocap.files import atomic_file
from emocap.progress import logger

COLUMNS = ("row", "reason")
LINE = "line"


@dataclass
class Rejections:
    """Rows that could not be used.

    Attributes:
        places: where each row is.
        reasons: why it cannot be used.
        rows: its row of the table that was read; None where it has none, such as a line that is no CSV.
        lines: its text in the file where it has no columns, else None.
    """

    places: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    rows: list[int | None] = field(default_factory=list)
    lines: list[str | None] = field(default_factory=list)

    def add(self, place: str, reason: str, row: int | None, line: str | None = None) -> None:
        """Add a row."""
        self.places.append(place)
        self.reasons.append(reason)
        self.rows.append(row)
        self.lines.append(line)


def require_own_file(path: Path) -> None:
    """Check that a file of rejected rows would replace no other file.

    Raises:
        EmocapError: a file of this name exists that does not begin as emocap's own.
    """
    if path.exists() and not _is_own(path):
        raise EmocapError(
            f"{path}: exists and is not a file of rejected rows that emocap wrote; rename it, or give another --output"
        )


def _is_own(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return tuple(name.removesuffix(SUFFIX) for name in header[:2]) == COLUMNS


def write_rejected_rows(path: Path, rejected: Rejections, pairs: Pairs) -> None:
    """Write a CSV of `row`, `reason` and the columns of the table that was read, whole or not at all.

    A row that could not be divided into columns has its text in a last column `line`, which other files lack.

    Without rejected rows, the file of an earlier run is removed, since it would tell of other rows.

    Args:
        pairs: as they were read, for their `source`.
    """
    if not rejected.places:
        if path.exists():
            path.unlink()
            logger.warning("%s: removed, since no row is rejected this time", path)
        return
    given = {} if pairs.source is None else _columns(rejected.rows, pairs, path)
    names = [name + SUFFIX if name in given else name for name in COLUMNS]
    own = dict(zip(names, (rejected.places, rejected.reasons), strict=True))
    lines = {} if not any(rejected.lines) else {LINE + SUFFIX if LINE in given else LINE: rejected.lines}
    with atomic_file(path) as temporary:
        pyarrow.csv.write_csv(pa.table(own | given | lines), temporary)
    logger.warning("%s: %d rejected rows", path, len(rejected.places))


def _columns(rows: Sequence[int | None], pairs: Pairs, path: Path) -> dict[str, pa.Array | pa.ChunkedArray]:
    """The columns of the rows, null where a row has none."""
    assert pairs.source is not None
    known = [row for row in rows if row is not None]
    places = iter(range(len(known)))
    order = pa.array([None if row is None else next(places) for row in rows], pa.int64())
    columns = source_columns(pairs.source, known, ".csv", path)
    return {name: text_column(column).take(order) for name, column in columns.items()}
