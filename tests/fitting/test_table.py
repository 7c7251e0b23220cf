"""What a table must have to be trained on: each fault is one clear line, and what is left out is said."""

import pytest

from emocap.api.training import read_training_pairs
from emocap.corpora.options import ReadOptions
from emocap.errors import EmocapError
from emocap.fitting.table import labelled_table

from .conftest import table_rows


def _table(rows):
    return labelled_table(read_training_pairs(rows, None, None, ReadOptions())[0], "pairs.csv")


def _row(number: int, emotions: str, caption: str | None = None) -> dict[str, str]:
    return {"caption": caption or f"caption {number}", "emotions": emotions}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table_rows(5), "5 rows to train on, expected at least 10"),
        ([_row(n, "joy") for n in range(20)], "every row names 'joy'"),
        ([_row(n, f"feeling{n}") for n in range(1000)], "none of 1,000 emotions is named for 3 rows or more"),
        (
            [_row(n, f"feeling{n % 1000}") for n in range(3000)],
            "1,000 emotions are named for 3 rows or more, at most 300",
        ),
        ([_row(n, ("joy", "awe")[n % 2], "the same") for n in range(20)], "all rows have the same caption"),
        ([{"caption": f"caption {n}"} for n in range(20)], "none of 20 rows has a label"),
    ],
)
def test_refuses_what_cannot_be_learned(rows, message) -> None:
    with pytest.raises(EmocapError, match=message) as raised:
        _table(rows)
    assert "\n" not in str(raised.value)


def test_rare_emotions_are_left_out_and_said() -> None:
    rows = [*table_rows(30), _row(31, "envy"), _row(32, "pride")]
    table = _table(rows)
    assert set(table.vocabulary.labels) == {"happy", "sad", "awe"}
    assert len(table.pairs) == 30
    assert table.is_single
    assert any("'envy', 'pride'" in remark for remark in table.remarks)
    assert any("2 rows that name only such emotions" in remark for remark in table.remarks)


def test_rows_of_several_emotions_stay() -> None:
    rows = [*table_rows(30), _row(31, "happy|sad"), _row(32, "envy")]
    table = _table(rows)
    assert len(table.pairs) == 32
    assert not table.is_single


def test_same_captions_are_one_group() -> None:
    table = _table([*table_rows(30), *table_rows(2)])
    assert table.group_of[30] == table.group_of[0]
    assert table.group_of[31] == table.group_of[1]
