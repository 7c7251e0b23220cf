"""Flickr8k's token file with its part lists, and Flickr30k's results.csv."""

import gzip
from collections import Counter

import pytest

from emocap.corpora.formats.flickr8k import read_flickr8k
from emocap.corpora.formats.flickr30k import read_flickr30k
from emocap.corpora.formats.flickr_tokens import read_flickr_tokens
from emocap.corpora.read import corpus_files, guess_format, read_corpus
from emocap.errors import EmocapError

TOKENS = (
    "a_1.jpg#0\tA child in a pink dress , climbing .\n"
    "a_1.jpg#1\tA girl going into a #1 building .\n"
    "b_2.jpg#0\tA black dog\n"
    "c_3.jpg.1#0\tAnother dog .\n"
)


def test_tokens_are_pairs_without_split(tmp_path) -> None:
    path = tmp_path / "Flickr8k.token.txt"
    path.write_text(TOKENS + "no tab here\n")
    assert guess_format(path) == "flickr-tokens"
    pairs = read_corpus("flickr-tokens", path)
    assert pairs.pair_ids == ["a_1.jpg#0", "a_1.jpg#1", "b_2.jpg#0", "c_3.jpg.1#0"]
    assert pairs.captions[1] == "A girl going into a #1 building ."
    assert pairs.images == ["a_1.jpg", "a_1.jpg", "b_2.jpg", "c_3.jpg.1"]
    assert set(pairs.splits) == {None}
    assert pairs.notes == ()
    assert [fault.where.split(": ")[1] for fault in pairs.rejected] == ["line 5"]


@pytest.mark.parametrize(
    ("header", "row"),
    [("pair_id\tcaption\temotions", "a.jpg#{}\tA dog\tjoy"), ("pair_id\tCaption", "a.jpg#{}\tA dog")],
)
def test_table_of_tokens_is_a_table(tmp_path, header: str, row: str) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("\n".join([header, *map(row.format, range(5))]))
    assert guess_format(path) == "table"
    path.write_text("\n".join(map(row.format, range(5))))
    assert (guess_format(path) == "flickr-tokens") == (row.count("\t") == 1)


def test_token_line_of_two_tabs_is_rejected(tmp_path) -> None:
    path = tmp_path / "Flickr8k.token.txt"
    path.write_text(TOKENS + "d.jpg#0\tA dog\tjoy\n")
    pairs = read_flickr_tokens(path)
    assert (len(pairs), [fault.where.split(": ")[1] for fault in pairs.rejected]) == (4, ["line 5"])


def test_part_lists_give_the_split(tmp_path) -> None:
    (tmp_path / "results_20130124.token").write_text(TOKENS)
    (tmp_path / "captions.txt").write_text("image,caption\na_1.jpg,One , two\nb_2.jpg,Three\n")
    (tmp_path / "Flickr_8k.trainImages.txt").write_text("a_1.jpg\n")
    (tmp_path / "Flickr_8k.devImages.txt").write_text("b_2.jpg\r\n")
    path = tmp_path / "results_20130124.token"
    pairs = read_flickr_tokens(path)
    assert pairs.splits == ["train", "train", "validation", None]
    assert pairs.notes == ("1 images are in none of the part lists",)
    assert read_flickr8k(tmp_path / "captions.txt").splits == ["train", "validation"]
    assert tmp_path / "Flickr_8k.devImages.txt" in corpus_files(guess_format(path), path)


def test_flickr30k_repairs_the_line_without_separator(tmp_path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(
        "image_name| comment_number| comment\n"
        "1000092795.jpg| 0| Two young guys with shaggy hair | look at their hands .\n"
        '1000092795.jpg| 1| "Hello" , says a sign .\n'
        "2199200615.jpg| 4   A dog runs across the grass .\n"
        "broken\n"
    )
    assert guess_format(path) == "flickr30k"
    pairs = read_corpus("flickr30k", path)
    assert pairs.captions == [
        "Two young guys with shaggy hair | look at their hands .",
        '"Hello" , says a sign .',
        "A dog runs across the grass .",
    ]
    assert pairs.images == ["1000092795.jpg", "1000092795.jpg", "2199200615.jpg"]
    assert pairs.notes == ("1 lines lack the second separator and were read, the first line 4",)
    assert len(pairs.rejected) == 1


def test_flickr30k_with_commas_and_gzip(tmp_path) -> None:
    path = tmp_path / "captions.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write('image_name,comment_number,comment\na.jpg,0," Two guys, ""here"" ."\na.jpg,1, A dog , running\n')
    assert guess_format(path) == "flickr30k"
    assert read_flickr30k(path).captions == ['Two guys, "here" .', "A dog , running"]


def test_flickr30k_needs_its_header(tmp_path) -> None:
    (tmp_path / "results.csv").write_text("a.jpg| 0| A dog\n")
    with pytest.raises(EmocapError, match=r"line 1 is 'a\.jpg\| 0\| A dog', expected image_name"):
        read_flickr30k(tmp_path / "results.csv")


@pytest.mark.real_data
def test_reads_real_captions_in_the_token_layout(real_data, tmp_path) -> None:
    captions = read_flickr8k(real_data / "flickr8k" / "captions.txt")
    numbers: Counter[str] = Counter()
    with (tmp_path / "Flickr8k.token.txt").open("w") as file:
        for image, caption in zip(captions.images, captions.captions, strict=True):
            file.write(f"{image}#{numbers[image]}\t{caption}\n")
            numbers[image] += 1
    pairs = read_corpus(guess_format(tmp_path / "Flickr8k.token.txt"), tmp_path / "Flickr8k.token.txt")
    assert (pairs.captions, pairs.images) == (captions.captions, captions.images)
