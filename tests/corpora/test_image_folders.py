"""FlickrStyle with its factual captions, and images of one corpus in several folders."""

from collections import Counter

import pytest

from emocap.corpora.options import ReadOptions
from emocap.corpora.read import corpus_files, read_corpus
from emocap.errors import EmocapError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "captions.csv").write_text(
        "image,style,caption\na.jpg,humorous,a dog dances .\na.jpg,romantic,love .\nb.jpg,romantic,two hearts .\n"
        "b.jpg,,no style .\n"
    )
    (tmp_path / "factual.csv").write_text('image,caption\na.jpg,"A dog, brown ."\nb.jpg,Two people .\nc.jpg,A cat .\n')
    return tmp_path


def test_flickrstyle_csv_has_factual_captions_first(folder):
    pairs = read_corpus("flickrstyle", folder / "captions.csv")
    assert pairs.styles == [None] * 3 + ["humorous", "romantic", "romantic"]
    assert pairs.emotions == [[style or "factual"] for style in pairs.styles]
    assert pairs.captions[0] == "A dog, brown ."
    assert pairs.images == ["a.jpg", "b.jpg", "c.jpg", "a.jpg", "a.jpg", "b.jpg"]
    (rejected,) = pairs.rejected
    assert (rejected.where, rejected.reason) == (f"{folder / 'captions.csv'}: line 5", "style is empty")
    unlabelled = read_corpus("flickrstyle", folder / "captions.csv", None, ReadOptions(labels=False))
    assert (set(unlabelled.styles), unlabelled.emotions[0]) == ({None, "humorous", "romantic"}, None)
    assert folder / "factual.csv" in corpus_files("flickrstyle", folder / "captions.csv")


def test_missing_style_of_a_table_is_no_style(folder):
    (folder / "captions.csv").write_text(
        "image,style,caption\na.jpg,nan,A dog in love .\nb.jpg,romantic,Two in love .\n"
    )
    pairs = read_corpus("flickrstyle", folder / "captions.csv")
    assert (pairs.styles[3:], [row.reason for row in pairs.rejected]) == (["romantic"], ["style is empty"])


def test_flickrstyle_csv_says_that_factual_is_missing(folder):
    (folder / "factual.csv").unlink()
    pairs = read_corpus("flickrstyle", folder / "captions.csv")
    assert Counter(pairs.styles) == {"romantic": 2, "humorous": 1}
    assert pairs.notes[0].startswith("factual.csv is not in its folder")


def test_text_files_have_their_style(tmp_path):
    (tmp_path / "funny_train.txt").write_text("a dog dances\n")
    assert read_corpus("flickrstyle", tmp_path / "funny_train.txt").styles == ["humorous"]


def test_images_are_found_in_the_folder_that_has_them(folder):
    for name in ("first/a.jpg", "first/both.jpg", "second/x/b.JPG", "second/x/both.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    rows = ["image,caption", "a.jpg,one", "b.jpg,two", "both.jpg,three", "none.jpg,four"]
    (folder / "table.csv").write_text("\n".join(rows))
    pairs = read_corpus("table", folder / "table.csv", [folder / "first", folder / "second" / "x"])
    assert pairs.image_root == folder
    assert pairs.images == ["first/a.jpg", "second/x/b.JPG", "first/both.jpg", "first/none.jpg"]
    other_order = read_corpus("table", folder / "table.csv", [folder / "second" / "x", folder / "first"])
    assert other_order.images[2:] == ["second/x/both.jpg", "second/x/none.jpg"]
    inside = read_corpus("table", folder / "table.csv", [folder / "second", folder / "second" / "x"])
    assert (inside.image_root, inside.images[1:3]) == (folder / "second", ["x/b.JPG", "x/both.jpg"])


def test_one_folder_in_a_list_is_that_folder(folder):
    (folder / "first").mkdir()
    (folder / "first" / "a.jpg").write_bytes(b"x")
    listed = read_corpus("flickrstyle", folder / "captions.csv", [folder / "first"])
    assert (listed.image_root, listed.images[0]) == (folder / "first", "a.jpg")


def test_missing_folder_among_several_is_named(folder):
    (folder / "first").mkdir()
    with pytest.raises(EmocapError, match="second: no such folder of images"):
        read_corpus("flickrstyle", folder / "captions.csv", [folder / "first", folder / "second"])


@pytest.mark.real_data
def test_all_photographs_of_flickrstyle_are_found(real_data):
    folders = [real_data / "flickr8k" / "images", real_data / "flickrstyle" / "images"]
    pairs = read_corpus("flickrstyle", real_data / "flickrstyle" / "captions.csv", folders)
    assert Counter(pairs.styles) == {None: 30_000, "humorous": 6_000, "romantic": 6_000}
    images = pairs.distinct_images()
    assert len(images) == 6_000
    assert all((pairs.image_root / image).is_file() for image in images)
