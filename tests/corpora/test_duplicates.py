"""Images with identical bytes, and captions that occur in several parts."""

import numpy as np
import pytest

from emocap.corpora import duplicates
from emocap.corpora.duplicates import TAIL_FROM_BYTES, repeated_captions, same_content, shared_content
from emocap.corpora.pairs_builder import PairsBuilder
from emocap.errors import EmocapError


def pairs_of_files(folder, contents: dict[str, bytes | None]):
    builder = PairsBuilder("synthetic", folder)
    for number, (name, content) in enumerate(contents.items()):
        builder.add("x", str(number), name, "text", ["happy"])
        if content is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return builder.build()


def test_copies_map_to_first_name(tmp_path) -> None:
    contents = {"z.jpg": b"same", "b/m.jpg": b"same", "c.jpg": b"else", "a.jpg": b"longer", "d.jpg": b"same"}
    assert same_content(pairs_of_files(tmp_path, contents)) == {"z.jpg": "b/m.jpg", "d.jpg": "b/m.jpg"}


def test_missing_and_empty_files_are_no_copies(tmp_path) -> None:
    contents = {"a.jpg": None, "b.jpg": None, "c.jpg": b"", "d.jpg": b"", "e.jpg": b"x"}
    assert same_content(pairs_of_files(tmp_path, contents)) == {}
    builder = PairsBuilder("synthetic")
    builder.add("x", "1", "e.jpg", "text")
    assert same_content(builder.build()) == {}


def test_only_files_of_equal_size_are_hashed(tmp_path, monkeypatch) -> None:
    hashed: list[str] = []

    def recorded(path) -> str:
        hashed.append(path.name)
        return path.read_text()

    monkeypatch.setattr(duplicates, "sha256_of", recorded)
    same_content(pairs_of_files(tmp_path, {"a.jpg": b"1", "b.jpg": b"22", "c.jpg": b"33", "d.jpg": b"4444"}))
    assert hashed == ["b.jpg", "c.jpg"]


def test_large_files_are_hashed_if_their_ends_agree(tmp_path, monkeypatch) -> None:
    size = TAIL_FROM_BYTES
    contents = {
        "a.jpg": b"0" * size,
        "b.jpg": b"1" + b"0" * (size - 1),  # the same end, other bytes
        "c.jpg": b"0" * (size - 1) + b"1",
        "d.jpg": b"0" * size,
        "e.jpg": b"0" * (size + 1),
    }
    real, hashed = duplicates.sha256_of, []
    monkeypatch.setattr(duplicates, "sha256_of", lambda path: hashed.append(path.name) or real(path))
    pairs = pairs_of_files(tmp_path, contents)
    assert same_content(pairs) == {"d.jpg": "a.jpg"}
    assert hashed == ["a.jpg", "b.jpg", "d.jpg"]
    hashed.clear()
    assert shared_content(pairs, pairs.select([0, 2])) == {"a.jpg": ["a.jpg"], "c.jpg": ["c.jpg"], "d.jpg": ["a.jpg"]}
    assert sorted(hashed) == ["a.jpg", "a.jpg", "b.jpg", "c.jpg", "c.jpg", "d.jpg"]


def test_shared_content_equals_comparing_all_bytes(tmp_path) -> None:
    rng = np.random.default_rng(0)
    contents = {}
    for number in range(60):
        end = bytes([int(rng.integers(2))])
        contents[f"{number}.jpg"] = bytes([int(rng.integers(2))]) * (TAIL_FROM_BYTES + int(rng.integers(-1, 2))) + end
    pairs = pairs_of_files(tmp_path, contents)
    first, second = pairs.select(range(40)), pairs.select(range(25, 60))
    expected = {
        image: sorted(other for other in second.images if contents[other] == contents[image]) for image in first.images
    }
    assert shared_content(first, second) == {image: others for image, others in expected.items() if others}
    assert same_content(pairs) == {
        image: min(other for other in contents if contents[other] == contents[image])
        for image in contents
        if any(other < image and contents[other] == contents[image] for other in contents)
    }


def test_unreadable_file_is_one_line(tmp_path, monkeypatch) -> None:
    def unreadable(path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(duplicates, "sha256_of", unreadable)
    with pytest.raises(EmocapError, match=r"a\.jpg: cannot be read \(Permission denied\)"):
        same_content(pairs_of_files(tmp_path, {"a.jpg": b"1", "b.jpg": b"1"}))


def test_repeated_captions_ignore_case_and_spacing() -> None:
    builder = PairsBuilder("synthetic")
    for number, caption in enumerate(["A dog", "a  DOG", "a dog", "once", "in one part", "in one part", "Cat", "cat"]):
        builder.add("x", str(number), f"{number}.jpg", caption)
    pairs = builder.build()
    parts = {"test": np.array([7, 1]), "train": np.array([0, 3, 4, 5]), "validation": np.array([2, 6])}
    assert repeated_captions(pairs, parts) == {"count": 2, "examples": ["A dog", "Cat"]}
    assert repeated_captions(pairs, {"train": np.arange(8)}) == {"count": 0, "examples": []}


@pytest.mark.real_data
def test_real_copies_have_identical_bytes(real_data) -> None:
    from emocap.corpora.read import read_corpus

    pairs = read_corpus("flickr8k", real_data / "flickr8k" / "captions.txt", real_data / "flickr8k" / "images")
    copies = same_content(pairs)
    for image, first in copies.items():
        assert first < image
        assert (pairs.image_root / image).read_bytes() == (pairs.image_root / first).read_bytes()
