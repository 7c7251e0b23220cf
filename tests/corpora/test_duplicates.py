"""Copies of images by their bytes, and captions that occur in several parts."""

import numpy as np
import pytest

from emocap.corpora import duplicates
from emocap.corpora.duplicates import repeated_captions, same_content
from emocap.corpora.pairs import PairsBuilder
from emocap.errors import EmocapError


def of_images(folder, contents: dict[str, bytes | None]):
    builder = PairsBuilder("made")
    for number, (name, content) in enumerate(contents.items()):
        builder.add("x", str(number), name, "text", ["happy"])
        if content is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return builder.build(folder)


def test_copies_point_to_the_first_by_name(tmp_path) -> None:
    contents = {"z.jpg": b"same", "b/m.jpg": b"same", "c.jpg": b"else", "a.jpg": b"longer", "d.jpg": b"same"}
    assert same_content(of_images(tmp_path, contents)) == {"z.jpg": "b/m.jpg", "d.jpg": "b/m.jpg"}


def test_missing_and_empty_files_are_no_copies(tmp_path) -> None:
    contents = {"a.jpg": None, "b.jpg": None, "c.jpg": b"", "d.jpg": b"", "e.jpg": b"x"}
    assert same_content(of_images(tmp_path, contents)) == {}
    builder = PairsBuilder("made")
    builder.add("x", "1", "e.jpg", "text")
    assert same_content(builder.build()) == {}


def test_only_files_of_equal_size_are_hashed(tmp_path, monkeypatch) -> None:
    hashed: list[str] = []

    def told(path) -> str:
        hashed.append(path.name)
        return path.read_text()

    monkeypatch.setattr(duplicates, "sha256_of", told)
    same_content(of_images(tmp_path, {"a.jpg": b"1", "b.jpg": b"22", "c.jpg": b"33", "d.jpg": b"4444"}))
    assert hashed == ["b.jpg", "c.jpg"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch) -> None:
    def refused(path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(duplicates, "sha256_of", refused)
    with pytest.raises(EmocapError, match=r"a\.jpg: cannot be read \(Permission denied\)"):
        same_content(of_images(tmp_path, {"a.jpg": b"1", "b.jpg": b"1"}))


def test_captions_are_equal_in_case_and_spacing() -> None:
    builder = PairsBuilder("made")
    for number, caption in enumerate(["A dog", "a  DOG", "a dog", "once", "in one part", "in one part", "Cat", "cat"]):
        builder.add("x", str(number), f"{number}.jpg", caption)
    pairs = builder.build()
    parts = {"test": np.array([7, 1]), "train": np.array([0, 3, 4, 5]), "validation": np.array([2, 6])}
    assert repeated_captions(pairs, parts) == {"count": 2, "examples": ["A dog", "Cat"]}
    assert repeated_captions(pairs, {"train": np.arange(8)}) == {"count": 0, "examples": []}


@pytest.mark.real_data
def test_real_photographs_hold_few_copies(real_data) -> None:
    from emocap.corpora.read import read_corpus

    pairs = read_corpus("flickr8k", real_data / "flickr8k" / "captions.txt", real_data / "flickr8k" / "images")
    found = same_content(pairs)
    for image, first in found.items():
        assert first < image
        assert (pairs.image_root / image).read_bytes() == (pairs.image_root / first).read_bytes()
