"""GoEmotions: ids become names, quoted texts lose their quotes, invalid lines are rejected."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from emocap.corpora.formats.goemotions import read_goemotions
from emocap.corpora.options import ReadOptions
from emocap.corpora.read import corpus_files, guess_format, read_corpus
from emocap.errors import EmocapError


def written(folder: Path, lines: list[str], names: str = "joy\nfear\nneutral\n") -> Path:
    (folder / "emotions.txt").write_text(names)
    path = folder / "train.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_label_ids_become_names(tmp_path) -> None:
    path = written(
        tmp_path,
        [
            "Great day\t0\tid1",
            '"He said ""no"", twice"\t2,1,2\tid2',
            'say "please" to "them"\t0\tid3',
            '"a" or "b"\t1\td',
        ],
    )
    assert guess_format(path) == "goemotions"
    pairs = read_corpus("goemotions", path)
    assert pairs.captions == ["Great day", 'He said "no", twice', 'say "please" to "them"', '"a" or "b"']
    assert pairs.emotions == [["joy"], ["fear", "neutral"], ["joy"], ["fear"]]
    assert pairs.pair_ids == ["id1", "id2", "id3", "d"]
    assert pairs.distinct_images() == []
    assert pairs.rejected == ()


def test_invalid_lines_are_rejected_with_reasons(tmp_path) -> None:
    path = written(
        tmp_path,
        [
            "fine\t0\ta",
            "",
            "two\t0",
            "far\t3\tb",
            "word\tjoy\tc",
            "none\t\td",
            "minus\t-1\te",
            "twice\t0\ta",
            " \t0\tf",
        ],
    )
    pairs = read_goemotions(path)
    assert pairs.pair_ids == ["a"]
    expected = "expected ids 0 to 2 separated by commas"
    assert [(q.where.split(": ")[1], q.reason) for q in pairs.rejected] == [
        ("line 3", "has 2 fields, expected text, label ids and comment id"),
        ("line 4", f"label '3', {expected}"),
        ("line 5", f"label 'joy', {expected}"),
        ("line 6", f"label '', {expected}"),
        ("line 7", f"label '-1', {expected}"),
        ("line 8", "pair id 'a' occurs twice"),
        ("line 9", "caption is empty"),
    ]


@pytest.mark.parametrize("names", ["joy\njoy\n", "joy\n\nfear\n", ""])
def test_rejects_invalid_label_names(tmp_path, names: str) -> None:
    with pytest.raises(EmocapError, match=r"emotions\.txt: a name is empty or occurs twice"):
        read_goemotions(written(tmp_path, ["x\t0\ta"], names))


def test_images_given_is_one_line(tmp_path) -> None:
    path = written(tmp_path, ["x\t9\ta"])
    with pytest.raises(EmocapError, match="contains no usable pair; the first of 1 rejected rows: label '9'"):
        read_goemotions(path)
    with pytest.raises(EmocapError, match="GoEmotions has no images; leave them out"):
        read_corpus("goemotions", path, tmp_path)


def test_absent_names_are_the_official_ones(tmp_path) -> None:
    path = written(tmp_path, ["x\t0,27\ta"])
    (tmp_path / "emotions.txt").unlink()
    pairs = read_goemotions(path)
    assert pairs.emotions == [["admiration", "neutral"]]
    assert "official 28 names" in pairs.notes[0]


def test_folder_is_one_corpus_with_its_split(tmp_path) -> None:
    written(tmp_path, ["x\t0\ta", "bad line"])
    (tmp_path / "dev.tsv").write_text("y\t1\tb\n")
    with gzip.open(tmp_path / "test.tsv.gz", "wt") as file:
        file.write("z\t2\tc\n")
    assert guess_format(tmp_path) == "goemotions"
    pairs = read_corpus("goemotions", tmp_path)
    assert pairs.splits == ["train", "validation", "test"]
    assert pairs.emotions == [["joy"], ["fear"], ["neutral"]]
    assert pairs.rejected[0].where.endswith("train.tsv: line 2")
    assert read_goemotions(tmp_path / "train.tsv").splits == [None], "one part alone is no split"
    assert corpus_files("goemotions", tmp_path) == [
        tmp_path / name for name in ("train.tsv", "dev.tsv", "test.tsv.gz", "emotions.txt")
    ]


def test_prediction_reads_no_label_ids(tmp_path) -> None:
    pairs = read_goemotions(written(tmp_path, ["x\tnonsense\ta"]), None, ReadOptions(labels=False))
    assert (pairs.captions, pairs.emotions, pairs.rejected) == (["x"], [None], ())


@pytest.mark.real_data
def test_reads_real_comments(real_data) -> None:
    pairs = read_goemotions(real_data / "goemotions" / "train.tsv")
    assert (len(pairs), len(pairs.rejected)) == (43_410, 0)
    assert len({label for named in pairs.emotions for label in named or ()}) == 28
    assert not any(caption.startswith('"') and '""' in caption for caption in pairs.captions)


@pytest.mark.real_data
def test_reads_real_folder(real_data) -> None:
    pairs = read_corpus(guess_format(real_data / "goemotions"), real_data / "goemotions")
    assert (len(pairs), len(pairs.rejected)) == (54_263, 0)
    assert Counter(pairs.splits) == {"train": 43_410, "validation": 5_426, "test": 5_427}
