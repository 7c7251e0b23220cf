"""WebDataset shards: samples in order, names of members, class indices, shards that are cut short."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from emocap.corpora.interop.shards import write_shard
from emocap.corpora.pairs import Pairs
from emocap.errors import EmocapError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EMOCAP_CACHE", str(tmp_path / "cache"))


def _tar(path: Path, members: dict[str, bytes | str | dict] | list[tuple[str, bytes | str | dict]]) -> Path:
    mode = f"w:{path.suffix[1:]}" if path.suffix in (".gz", ".xz", ".bz2") else "w"
    with tarfile.open(path, mode) as tar:
        for name, content in members.items() if isinstance(members, dict) else members:
            if not isinstance(content, bytes):
                content = (content if isinstance(content, str) else json.dumps(content)).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_samples_are_read_in_order(tmp_path) -> None:
    members = {
        "b.jpg": b"B",
        "b.txt": " a storm\n",
        "b.json": {"emotions": ["awe", "joy"], "id": 7},
        "a.json": {"caption": "a dog", "emotions": []},
        "sub.dir/c.PNG": b"C",
        "sub.dir/c.txt": "a lake",
    }
    for name in ("t.tar", "t.tar.gz", "t.tar.xz", "t.tar.bz2"):
        pairs = Pairs.from_webdataset(_tar(tmp_path / name, members))
        assert pairs.pair_ids == ["b", "a", "sub.dir/c"]
        assert pairs.captions == ["a storm", "a dog", "a lake"]
        assert pairs.emotions == [["awe", "joy"], [], []]
        assert [name and (pairs.image_root / name).read_bytes() for name in pairs.images] == [b"B", "", b"C"]


def test_members_of_a_key_may_be_apart(tmp_path) -> None:
    """The `webdataset` library makes four samples of these two."""
    path = _tar(tmp_path / "t.tar", {"1.jpg": b"1", "2.jpg": b"2", "1.txt": "one", "2.txt": "two"})
    pairs = Pairs.from_webdataset(path)
    assert pairs.captions == ["one", "two"]
    assert [(pairs.image_root / name).read_bytes() for name in pairs.images] == [b"1", b"2"]


def test_what_the_library_writes_is_read(tmp_path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "t.tar")) as writer:
        for row, emotions in enumerate([["joy"], []]):
            image = Image.new("RGB", (4, 3), (row, 0, 0))
            record = {"emotions": emotions, "score": 0.5}
            writer.write({"__key__": f"x/{row}", "png": image, "txt": f"caption é{row}", "json": record, "npy": b""})
    pairs = Pairs.from_webdataset(tmp_path / "t.tar")
    assert pairs.pair_ids == ["x/0", "x/1"]
    assert pairs.captions == ["caption é0", "caption é1"]
    assert pairs.emotions == [["joy"], []]
    assert [Image.open(pairs.image_root / name).getpixel((0, 0))[0] for name in pairs.images] == [0, 1]
    assert pairs.notes == ("not read: .npy (2)",)


def test_shards_by_pattern_folder_and_list(tmp_path) -> None:
    paths = [_tar(tmp_path / f"s-{n:02d}.tar", {"0.txt": f"caption {n}"}) for n in (9, 10, 11)]
    expected = ["caption 9", "caption 10", "caption 11"]
    for given in (tmp_path / "s-{09..11}.tar", str(tmp_path), paths, iter(paths)):
        pairs = Pairs.from_webdataset(given)
        assert pairs.captions == expected
        assert pairs.pair_ids == ["s-09/0", "s-10/0", "s-11/0"]


@pytest.mark.parametrize("names", [["joy", "awe"], ("joy", "awe")])
def test_class_indices_become_names(tmp_path, names) -> None:
    members = {"a.txt": "a", "a.cls": "1\n", "b.txt": "b", "b.cls": "-1", "c.txt": "c", "c.cls": "sad"}
    path = _tar(tmp_path / "t.tar", members | {"d.txt": "d", "d.cls": "2"})
    pairs = Pairs.from_webdataset(path, names)
    assert pairs.emotions == [["awe"], [], ["sad"]]
    assert "'2'" in pairs.rejected[0].reason
    with pytest.raises(EmocapError, match=r"\.cls contains the index 1 of a class; give the names of the classes"):
        Pairs.from_webdataset(path)
    assert Pairs.from_webdataset(path, labels=False).captions == ["a", "b", "c", "d"]


def test_labels_of_json_come_before_class_indices(tmp_path) -> None:
    path = _tar(tmp_path / "t.tar", {"a.txt": "a", "a.cls": "0", "a.json": {"label": "joy"}})
    assert Pairs.from_webdataset(path).emotions == [["joy"]]


def test_dots_in_file_names(tmp_path) -> None:
    path = _tar(tmp_path / "t.tar", {"a.v1.jpg": b"1", "a.v1.txt": "one", "b.left.jpg": b"L", "b.right.jpg": b"R"})
    pairs = Pairs.from_webdataset(path)
    assert pairs.captions == ["one"]
    assert (pairs.image_root / pairs.images[0]).read_bytes() == b"1"
    assert "key 'b' has 2 images (left.jpg, right.jpg), as a key ends at the first dot" in pairs.rejected[0].reason
    path = _tar(tmp_path / "u.tar", {"b.left.jpg": b"L", "b.right.jpg": b"R", "b.de.txt": "zwei", "b.en.txt": "two"})
    pairs = Pairs.from_webdataset(path, columns={"image": "right.jpg", "caption": "en.txt"})
    assert pairs.captions == ["two"]
    assert (pairs.image_root / pairs.images[0]).read_bytes() == b"R"


def test_files_of_systems_are_passed_over(tmp_path) -> None:
    path = _tar(tmp_path / "t.tar", {"./._a.txt": "mac", "./a.txt": "one", "__MACOSX/b.txt": "x", "README": "no"})
    pairs = Pairs.from_webdataset(path)
    assert pairs.captions == ["one"]
    assert pairs.notes == ("not read: .README (1)",)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("a.txt", "one"), ("a.txt", "two")], "contains a.txt twice"),
        ([("a.txt", "one"), ("a.json", "{")], "a.json is not JSON"),
        ([("a.txt", "one"), ("a.json", "[1]")], "a.json is list, expected an object"),
        ([("a.txt", b"\xff\xfe")], "a.txt is not UTF-8 text"),
        ([("a.jpg", b"1")], "caption is NoneType, expected text"),
    ],
)
def test_damaged_sample_is_rejected(tmp_path, members, reason) -> None:
    pairs = Pairs.from_webdataset(_tar(tmp_path / "t.tar", [*members, ("b.txt", "fine")]))
    assert pairs.captions == ["fine"]
    assert reason in pairs.rejected[0].reason
    assert pairs.rejected[0].where.endswith("t.tar: a")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_every_cut_shard_is_refused(tmp_path, suffix) -> None:
    """`tarfile`, and so the `webdataset` library, accept one that ends between two members."""
    path = _tar(tmp_path / f"t{suffix}", {"a.txt": "one", "a.jpg": bytes(range(1, 256)) * 5, "b.txt": "two"})
    content = path.read_bytes()
    end = 512 * 7 if suffix == ".tar" else len(content)
    for size in range(1, end, 512 if suffix == ".tar" else 7):
        for cut in {size, size - 1 or 1}:
            path.write_bytes(content[:cut])
            with pytest.raises(EmocapError, match="half-written or damaged tar file"):
                Pairs.from_webdataset(path)


def test_joined_shards_are_refused(tmp_path) -> None:
    """`tarfile`, and so the `webdataset` library, do not read what follows the end of the first."""
    first, second = (_tar(tmp_path / f"{name}.tar", {f"{name}.txt": "x"}) for name in "ab")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(EmocapError, match="data follow its end, such as a second tar file joined to it"):
        Pairs.from_webdataset(first)


def test_absent_shard_is_named(tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"t-1\.tar: no such file"):
        Pairs.from_webdataset(str(tmp_path / "t-{1..2}.tar"))
    with pytest.raises(EmocapError, match="contains no .tar file"):
        Pairs.from_webdataset(tmp_path)


def test_shard_is_written_and_read(tmp_path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.b.JPG")
    (tmp_path / "no-extension").write_bytes((tmp_path / "a.b.JPG").read_bytes())
    (tmp_path / "notes").write_text("no image")
    samples = [
        ({"pair_id": f"x.{row}/1", "caption": f"é{row}"}, image and tmp_path / image)
        for row, image in enumerate(["a.b.JPG", None, "no-extension", "notes"])
    ]
    for name in ("one.tar", "two.tar"):
        write_shard(tmp_path / name, samples)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    pairs = Pairs.from_webdataset(tmp_path / "one.tar")
    assert pairs.pair_ids == ["x.0/1", "x.1/1", "x.2/1", "x.3/1"]
    assert [bool(image) for image in pairs.images] == [True, False, True, False]
