"""The public interface and the dependencies are those that a reviewer has seen in a diff."""

import pytest

from .snapshots.write import FOLDER, SNAPSHOTS


@pytest.mark.parametrize("file", SNAPSHOTS)
def test_snapshot_is_current(file) -> None:
    recorded = (FOLDER / file).read_text(encoding="utf-8").splitlines()
    assert SNAPSHOTS[file]().splitlines() == recorded, "run `make snapshots` and review the diff"
