"""Formats by name and by guess."""

from pathlib import Path

import pytest

from emocap.corpora.read import FORMATS, corpus_files, guess_format, read_corpus
from emocap.errors import EmocapError


def test_guessed_flickr8k_keeps_commas_and_quotes(tmp_path) -> None:
    path = tmp_path / "captions.txt"
    path.write_text('image,caption\na.jpg,"A dog, ""Rex"" , runs"\na.jpg,Plain , text .\nno comma here\n')
    pairs = read_corpus(guess_format(path), path)
    assert pairs.captions == ['A dog, "Rex" , runs', "Plain , text ."]
    assert pairs.images == ["a.jpg", "a.jpg"]
    assert [q.reason for q in pairs.rejected] == ["has no comma between image and caption"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("captions_val2017.json", "{}", "coco"),
        ("some.json", '{"info": {}, "images": []}', "coco"),
        ("some.json", '{"3KI0": [["a.jpg"', "socratis"),
        ("some.csv", "image_name,caption,emotions\n", "socratis-csv"),
        ("captions.txt", "image,caption\n", "flickr8k"),
        ("some.csv", "image,caption\n", "table"),
        ("expressions.csv", "image,emotion\r\n", "flickr8k-expressions"),
        ("train.tsv", "text\t0\tid\n", "goemotions"),
        ("some.parquet", "PAR1", "table"),
    ],
)
def test_guesses_format(tmp_path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    assert guess_format(tmp_path / name) == expected
    assert expected in FORMATS


def test_missing_file_or_format_is_one_line(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("caption\nx\n")
    for arguments, message in (
        (("tsv", tmp_path / "a.csv"), "format is 'tsv', expected one of socratis"),
        (("table", tmp_path / "b.csv"), r"b\.csv: no such file"),
        (("table", tmp_path), "no such file"),
        (("table", tmp_path / "a.csv", tmp_path / "pics"), "pics: no such folder of images"),
    ):
        with pytest.raises(EmocapError, match=message):
            read_corpus(*arguments)
    with pytest.raises(EmocapError, match="cannot be opened"):
        guess_format(Path("/nowhere/x.csv"))


def test_corpus_files_include_companions() -> None:
    assert corpus_files("goemotions", Path("a/train.tsv")) == [Path("a/train.tsv"), Path("a/emotions.txt")]
    assert corpus_files("coco", Path("a/b.json")) == [Path("a/b.json")]


@pytest.mark.real_data
def test_reads_real_flickr8k(real_data) -> None:
    pairs = read_corpus("flickr8k", real_data / "flickr8k" / "captions.txt", real_data / "flickr8k" / "images")
    assert len(pairs) == 11825
    assert len(pairs.distinct_images()) == 2365
