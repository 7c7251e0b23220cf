"""Flickr8k with expressions: every caption of a labelled image is a pair with its emotion."""

from pathlib import Path

import pytest

from emocap.corpora.formats.flickr8k import read_flickr8k_expressions
from emocap.corpora.read import guess_format, read_corpus
from emocap.errors import EmocapError


def written(
    folder: Path, expressions: str, captions: str = "image,caption\na.jpg,One , two .\nb.jpg,B .\na.jpg,Three .\n"
):
    (folder / "captions.txt").write_text(captions)
    path = folder / "expressions.csv"
    path.write_text(expressions)
    return path


def test_each_caption_of_labelled_image_is_a_pair(tmp_path) -> None:
    path = written(tmp_path, "image,emotion\na.jpg, sad \n")
    assert guess_format(path) == "flickr8k-expressions"
    pairs = read_corpus("flickr8k-expressions", path, tmp_path)
    assert pairs.captions == ["One , two .", "Three ."]
    assert pairs.emotions == [["sad"], ["sad"]]
    assert pairs.pair_ids == ["captions:2", "captions:4"]
    assert pairs.image_root == tmp_path


def test_rejected_rows_of_both_files_are_reported(tmp_path) -> None:
    path = written(
        tmp_path,
        "image,emotion\nb.jpg,sad\nc.jpg,happy\nb.jpg,happy\na.jpg,\na.jpg,x,y\n",
        "image,caption\nb.jpg,B .\nnonsense\n",
    )
    pairs = read_flickr8k_expressions(path)
    assert pairs.emotions == [["sad"]]
    assert [(q.where, q.reason) for q in pairs.rejected] == [
        (f"{tmp_path / 'captions.txt'}: line 3", "has no comma between image and caption"),
        (f"{path}: line 3", "image 'c.jpg' has no caption in captions.txt"),
        (f"{path}: line 4", "image 'b.jpg' occurs twice"),
        (f"{path}: line 5", "emotion is empty"),
        (f"{path}: line 6", "has 3 fields, expected 2"),
    ]


def test_missing_column_or_file_is_one_line(tmp_path) -> None:
    path = written(tmp_path, "image,label\na.jpg,sad\n")
    with pytest.raises(EmocapError, match="has no column 'emotion'"):
        read_flickr8k_expressions(path)
    (tmp_path / "captions.txt").unlink()
    with pytest.raises(
        EmocapError, match=r"captions\.txt: no such file; Flickr8k's captions must be in the same folder as"
    ):
        read_flickr8k_expressions(path)


@pytest.mark.real_data
def test_reads_real_expressions(real_data) -> None:
    folder = real_data / "flickr8k"
    pairs = read_flickr8k_expressions(folder / "expressions.csv", folder / "images")
    assert (len(pairs), len(pairs.distinct_images()), len(pairs.rejected)) == (5 * 1829, 1829, 0)
    assert len({label for named in pairs.emotions for label in named or ()}) == 7
