"""CSV rows: line numbers, quotes, and errors that reject a single line."""

from pathlib import Path

import pytest

from emocap.corpora.pairs_builder import PairsBuilder
from emocap.corpora.rows import csv_names, csv_rows
from emocap.errors import EmocapError


def read(tmp_path: Path, text: str):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    builder = PairsBuilder(path)
    header, rows = csv_rows(path, builder)
    return header, list(rows), [(q.where.rpartition(": ")[2], q.reason) for q in builder.rejected]


def test_quoted_newlines_belong_to_their_row(tmp_path) -> None:
    header, rows, rejected = read(tmp_path, 'a,b\r\n1,"two\r\nlines"\r\n\r\n3,4\r\n')
    assert header == ["a", "b"]
    assert rows == [(2, {"a": "1", "b": "two\nlines"}), (5, {"a": "3", "b": "4"})]
    assert rejected == []


def test_unclosed_quote_rejects_one_line(tmp_path) -> None:
    _, rows, rejected = read(tmp_path, 'a,b\n1,"open\n2,two\n3,three\n')
    assert [row for _, row in rows] == [{"a": "2", "b": "two"}, {"a": "3", "b": "three"}]
    assert rejected == [("line 2", "is not CSV (unexpected end of data)")]


def test_wrong_field_counts_and_lengths_reject_one_line(tmp_path) -> None:
    _, rows, rejected = read(tmp_path, f"a,b\n1\n1,2,3\n{'x' * 1_000_001},2\n5,6\n")
    assert [row for _, row in rows] == [{"a": "5", "b": "6"}]
    assert [reason.split(" (")[0] for _, reason in rejected] == [
        "has 1 fields, expected 2",
        "has 3 fields, expected 2",
        "is not CSV",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("a,a\n1,2\n", "column 'a' occurs twice"), ('"a,b\n', "line 1 is not a CSV header")],
)
def test_invalid_header_is_one_line(tmp_path, text: str, message: str) -> None:
    with pytest.raises(EmocapError, match=message):
        read(tmp_path, text)


def test_names_of_a_header_that_is_cut_are_unknown() -> None:
    assert csv_names('# a comment\n"my  caption";image\na;b') == ["my caption", "image"]
    assert csv_names("caption,ima") is None, "the rest of the header may follow"
    assert csv_names("") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n 5 ,  x\n", {"a": " 5 ", "b": "  x"}),
        ('a,b\n 5 ,"he said, ""so, "", then "\n', {"a": " 5 ", "b": 'he said, "so, ", then '}),
        ("a, b\n5, x \n", {"a": "5", "b": "x "}),
        ('a,b\n5, "x, y"\n', {"a": "5", "b": "x, y"}),
    ],
)
def test_keeps_blanks_unless_they_separate_cells(tmp_path, text, expected) -> None:
    _, rows, rejected = read(tmp_path, text)
    assert [row for _, row in rows] == [expected]
    assert rejected == []


def test_keeps_text_of_rows_without_columns(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,2,3\n1,"two\nlines",3\n4,5\n6,"open\n')
    builder = PairsBuilder(path)
    list(csv_rows(path, builder)[1])
    assert [row.line for row in builder.rejected] == ["1,2,3", '1,"two\nlines",3', '6,"open']
