"""GoEmotions' CSVs of ratings: raters are kept apart, unclear comments are no answers."""

from pathlib import Path

import pytest

from emocap.corpora.formats.goemotions_raw import read_goemotions_raw
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError

HEADER = "text,id,author,subreddit,link_id,parent_id,created_utc,rater_id,example_very_unclear,anger,joy,neutral\n"


def row(text: str, comment: str, rater: int, labels: str, unclear: bool = False) -> str:
    return f"{text},{comment},who,sub,t3_a,t1_b,1548381039.0,{rater},{unclear},{labels}\n"


def written(folder: Path) -> Path:
    first = HEADER + row('"Well, ""ok"""', "c1", 1, "0,1,0") + row("hm", "c2", 1, "0,0,0", unclear=True)
    second = HEADER + row('"Well, ""ok"""', "c1", 37, "1,1,0") + row("hm", "c2", 2, "0,0,1")
    third = HEADER + row("??", "c3", 5, "0,0,0", unclear=True)
    for number, text in enumerate((first, second, third), 1):
        (folder / f"goemotions_{number}.csv").write_text(text)
    return folder


def test_folder_keeps_raters_of_a_comment_apart(tmp_path) -> None:
    assert guess_format(written(tmp_path)) == "goemotions-raw"
    pairs = read_corpus("goemotions-raw", tmp_path)
    assert pairs.captions == ['Well, "ok"', "hm"]
    assert pairs.emotions == [["anger", "joy"], ["neutral"]]
    annotations = pairs.table["annotations"].to_pylist()
    assert [(one["annotator"], one["emotions"]) for one in annotations[0]] == [("1", ["joy"]), ("37", ["anger", "joy"])]
    assert [one["annotator"] for one in annotations[1]] == ["2"], "who found it unclear gave no answer"
    assert pairs.notes[0].startswith("2 ratings of comments")
    assert "and 1 comments" in pairs.notes[0]


def test_one_file_says_that_raters_are_missing(tmp_path) -> None:
    path = written(tmp_path) / "goemotions_1.csv"
    assert guess_format(path) == "goemotions-raw"
    pairs = read_goemotions_raw(path)
    assert pairs.pair_ids == ["c1"]
    assert "give their folder" in pairs.notes[1]


def test_prediction_reads_each_comment_once(tmp_path) -> None:
    pairs = read_goemotions_raw(written(tmp_path), None, ReadOptions(labels=False))
    assert pairs.pair_ids == ["c1", "c2", "c3"]
    assert pairs.emotions == [None] * 3


def test_images_or_missing_columns_are_one_line(tmp_path) -> None:
    with pytest.raises(EmocapError, match="GoEmotions has no images"):
        read_goemotions_raw(written(tmp_path), tmp_path)
    (tmp_path / "x.csv").write_text("text,id\na,b\n")
    with pytest.raises(EmocapError, match="has no column 'rater_id'"):
        read_goemotions_raw(tmp_path / "x.csv")
