"""Formats by name and by guess."""

import gzip
import re
from pathlib import Path

import pytest

from emocap.corpora.options import ReadOptions
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
        ("captions_val2017.json", "{}", "table"),
        ("some.json", '{"info": {}, "images": [], "annotations": []}', "coco"),
        ("some.json", '{"annotations":[{"image_id":1}],\n"a]}":"\\"}","images":[{"id":1}]}\n', "coco"),
        ("captions_mine.jsonl", '{"image": "a.jpg", "caption": "A dog", "annotations": null}\n' * 2, "table"),
        ("mine.jsonl", '{"images": "a.jpg", "annotations": [{"image_id": 1}], "caption": "A dog"}\n' * 2, "table"),
        ("mine.jsonl", '{"caption": "A dog", "annotations": []}', "table"),
        ("mine.json", '{"annotations": [{"caption": "A dog", "emotions": ["joy"]}]}', "table"),
        ("some.json", '{"3KI0": [["a.jpg"', "socratis"),
        ("some.csv", "image_name,caption,emotions\n", "socratis-csv"),
        ("captions.txt", "image,caption\n", "flickr8k"),
        ("some.csv", "image,caption\n", "table"),
        ("expressions.csv", "image,emotion\r\n", "flickr8k-expressions"),
        ("train.tsv", "text\t0\tid\n", "goemotions"),
        ("some.parquet", "PAR1", "table"),
        ("some.json", '[{"image": "a.jpg", "caption": "A dog", "emotions": ["joy"]}]', "table"),
        ("captions_made.json", '[{"image": "a.jpg", "caption": "A dog"}]', "table"),
        ("some.json", '{"data": [{"caption": "A dog"}]}', "table"),
        ("captions.txt", "image,caption,emotions\n", "table"),
        ("train.tsv", "image\tcaption\nhttp://a.org/a.jpg\tA dog\nhttp://a.org/b.jpg\tA cat\n", "table"),
        ("train.tsv", "caption\tlabel\tid\nA dog\t3\tx\nA cat\t1\ty\n", "table"),
        ("train.csv", "image,caption,emotions\n", "table"),
        ("meta.csv", "image_name,emotions\n", "table"),
        ("empty.csv", "", "table"),
        ("mine.csv", "theme,valence_mean,arousal_mean,caption,image,emotions\n", "table"),
        ("mine.csv", "id,headline,reader_emotion,caption,emotions\n", "table"),
        ("mine.csv", "art_style,painting,emotion,utterance,caption\n", "table"),
    ],
)
def test_guesses_format(tmp_path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    assert guess_format(tmp_path / name) == expected
    assert expected in FORMATS


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ('{"info": {"year": 2017}, "licenses": [{"id": 1}], "images": [{"file_name": "a.jpg", "id": 7}', "coco"),
        ('{"annotations": [{"image_id": 7, "id": 1, "caption": "A dog"}', "coco"),
        ('{"licenses": [{"url": "x"}', "coco"),
        ('{"annotations": [{"image": "a.jpg", "caption": "A dog", "emotions": ["joy"]}', "table"),
        ('{"images": [{"file_name": "a.jpg", "caption": "A dog"}', "table"),
    ],
)
def test_guesses_coco_from_its_beginning(tmp_path, start: str, expected: str) -> None:
    rows = ', {"image_id": 7, "file_name": "a.jpg"}' if expected == "coco" else ', {"image": "a.jpg"}'
    (tmp_path / "large.json").write_text(start + rows * 5000 + "]}")
    assert guess_format(tmp_path / "large.json") == expected


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


def test_guesses_format_of_gzip_and_after_a_byte_order_mark(tmp_path) -> None:
    with gzip.open(tmp_path / "train.tsv.gz", "wt", encoding="utf-8-sig") as file:
        file.write("text\t0\tid\n")
    assert guess_format(tmp_path / "train.tsv.gz") == "goemotions"
    with gzip.open(tmp_path / "c.json.gz", "wt") as file:
        file.write('{"3KI0": [["a.jpg", "A dog", ["joy"]]]}')
    assert guess_format(tmp_path / "c.json.gz") == "socratis"


def test_columns_given_make_any_file_a_table(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("item,shown,headline,image,answer,emotion,reason\n0,both,Hi,a.jpg,0,joy,x\n")
    assert guess_format(tmp_path / "a.csv") == "nemo-plus"
    options = ReadOptions({"caption": "headline"})
    assert guess_format(tmp_path / "a.csv", options) == "table"
    assert read_corpus("table", tmp_path / "a.csv", None, options).captions == ["Hi"]


def test_pointers_and_unknown_folders_are_one_line(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:26\nsize 69735455\n")
    with pytest.raises(EmocapError, match="is a pointer of Git LFS, not the file itself"):
        guess_format(tmp_path / "a.csv")
    with pytest.raises(EmocapError, match="is a folder without the files of a known corpus"):
        guess_format(tmp_path)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"image,caption\n" * 9)[:20])
    with pytest.raises(EmocapError, match=r"cut\.csv\.gz: damaged gzip file"):
        guess_format(tmp_path / "cut.csv.gz")


REAL = {
    "captions-unlabelled/conceptual-captions.csv.gz": "table",
    "captions-unlabelled/flickr30k.csv.gz": "table",
    "captions-unlabelled/news.csv.gz": "news-texts",
    "coco-mini/annotations/captions_train2017.json": "coco",
    "coco-mini/annotations/captions_val2017.json": "coco",
    "extra/emotion6/emotion6.csv": "table",
    "extra/senticap.csv": "senticap-csv",
    "flickr8k/captions.txt": "flickr8k",
    "flickr8k/expressions.csv": "flickr8k-expressions",
    "flickrstyle/captions.csv": "flickrstyle-csv",
    "flickrstyle/factual.csv": "table",
    "goemotions": "goemotions",
    "goemotions/dev.tsv": "goemotions",
    "goemotions/test.tsv": "goemotions",
    "goemotions/train.tsv": "goemotions",
    "lewidi/MP_annotators_meta.json": "lewidi",
    "lewidi/MP_dev.json": "lewidi",
    "lewidi/Paraphrase_train.json": "lewidi",
    "lewidi/VariErrNLI_dev.json": "lewidi",
    "oasis/oasis.csv": "oasis",
    "posts/posts.csv": "table",
    "reader-emotions/depechemood.csv.gz": "table",
    "reader-emotions/emobank-readers.csv.gz": "emobank",
    "reader-emotions/goodnewseveryone.csv.gz": "goodnewseveryone",
    "reader-emotions/nemo-plus.csv.gz": "nemo-plus",
    "reader-emotions/semeval2007-headlines.csv.gz": "semeval2007",
    "socratis/cleaned_data.csv": "socratis-csv",
    "twitter/twitter.csv": "table",
}


@pytest.mark.real_data
def test_guesses_every_real_file(real_data) -> None:
    assert {file: guess_format(real_data / file) for file in REAL} == REAL


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "proposal"),
    [
        ("captions-unlabelled/news.csv.gz", "--columns caption=text"),
        ("reader-emotions/emobank-readers.csv.gz", "--columns caption=text"),
        (
            "reader-emotions/depechemood.csv.gz",
            "is a lexicon of words with their emotions, not a corpus",
        ),
        (
            "extra/emotion6/emotion6.csv",
            "--columns caption=NAME,emotions=anger+disgust+fear+joy+sadness+surprise+neutral",
        ),
        ("twitter/twitter.csv", "--columns caption=NAME"),
    ],
)
def test_real_tables_propose_their_columns(real_data, file: str, proposal: str) -> None:
    with pytest.raises(EmocapError, match=re.escape(proposal)):
        read_corpus("table", real_data / file)


def test_corpus_files_include_companions() -> None:
    assert corpus_files("goemotions", Path("a/train.tsv")) == [Path("a/train.tsv"), Path("a/emotions.txt")]
    assert corpus_files("coco", Path("a/b.json")) == [Path("a/b.json")]


@pytest.mark.real_data
def test_reads_real_flickr8k(real_data) -> None:
    pairs = read_corpus("flickr8k", real_data / "flickr8k" / "captions.txt", real_data / "flickr8k" / "images")
    assert len(pairs) == 11825
    assert len(pairs.distinct_images()) == 2365
