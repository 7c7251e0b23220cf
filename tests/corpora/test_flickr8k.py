"""Flickr8k: captions with commas and quotes."""

import pytest

from emocap.corpora.formats.flickr8k import read_flickr8k
from emocap.errors import EmocapError


def test_caption_is_all_after_first_comma(tmp_path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes(
        "\ufeffimage,caption\r\n"
        "a.jpg,A dog , a cat .\r\n"
        'a.jpg,"Two dogs, ""Rex"" and another ."\r\n'
        "b.jpg,One\u2028line .\r\n"
        "\r\n"
        "b.jpg,\r\n"
        "nothing\r\n".encode()
    )
    pairs = read_flickr8k(path, tmp_path)
    assert pairs.captions == ["A dog , a cat .", 'Two dogs, "Rex" and another .', "One\u2028line ."]
    assert pairs.images == ["a.jpg", "a.jpg", "b.jpg"]
    assert not pairs.is_labelled
    assert [(q.where, q.reason) for q in pairs.rejected] == [
        (f"{path}: line 6", "caption is empty"),
        (f"{path}: line 7", "has no comma between image and caption"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected the header image,caption"),
        (b"a.jpg,A dog.\n", "has no column 'image'"),
        (b"\xff\xfei\0m\0", "not UTF-8 text at byte 0"),
    ],
)
def test_damaged_file_is_one_line(tmp_path, content: bytes, message: str) -> None:
    (tmp_path / "captions.txt").write_bytes(content)
    with pytest.raises(EmocapError, match=message):
        read_flickr8k(tmp_path / "captions.txt")


@pytest.mark.real_data
def test_reads_real_captions(real_data) -> None:
    pairs = read_flickr8k(real_data / "flickr8k" / "captions.txt", real_data / "flickr8k" / "images")
    assert (len(pairs), len(pairs.distinct_images()), len(pairs.rejected)) == (11_825, 2_365, 0)
