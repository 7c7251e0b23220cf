"""Names of images in other spellings than those of their files."""

import base64
import os
import unicodedata
from pathlib import Path

import pytest

from emocap.corpora import image_names
from emocap.corpora.image_names import plain_image_name, resolve_image_names
from emocap.errors import EmocapError

NFC, NFD = "caf\u00e9.png", unicodedata.normalize("NFD", "caf\u00e9.png")


def folder_of(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def is_case_sensitive(folder: Path) -> bool:
    (folder / "probe").touch()
    return not (folder / "PROBE").exists()


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.png", "a.png"),
        ("", ""),
        ("  ", ""),
        (" my dog.png\t", "my dog.png"),
        ("a.png\r\n", "a.png"),
        ("./a.png", "a.png"),
        ("set//./a.png", "set/a.png"),
        ("set/other/../a.png", "set/a.png"),
        ("set\\a.png", "set/a.png"),
        (".\\set\\a.png", "set/a.png"),
        (".hidden/a.png", ".hidden/a.png"),
        ("..a.png", "..a.png"),
        ("12:30.png", "12:30.png"),
        ("a%20b.png", "a%20b.png"),
    ],
)
@pytest.mark.parametrize("root", [None, Path("images")])
def test_spellings_have_one_plain_name(name, plain, root) -> None:
    assert plain_image_name(name, root) == plain


def test_absolute_paths_below_root_become_relative(tmp_path, monkeypatch) -> None:
    root = tmp_path / "im ages"
    root.mkdir()
    for name in (f"{root}/set/a.png", f"{root}//set/./a.png", f" {root}/set/a.png ", f"{root.as_uri()}/set/a.png"):
        assert plain_image_name(name, root) == "set/a.png"
    assert plain_image_name(f"file://localhost{root}/a%2520b.png", root) == "a%20b.png"
    assert plain_image_name("../im ages/a.png", root) == "a.png"
    monkeypatch.chdir(tmp_path)
    assert plain_image_name(f"{root}/a.png", Path("im ages")) == "a.png"
    assert plain_image_name("/a.png", Path("/")) == "a.png"


def test_symbolic_links_to_root_are_followed(tmp_path) -> None:
    root = folder_of(tmp_path / "real", "set/a.png")
    (tmp_path / "link").symlink_to(root)
    assert plain_image_name(f"{tmp_path}/link/set/a.png", root) == "set/a.png"
    assert plain_image_name(f"{root}/set/a.png", tmp_path / "link") == "set/a.png"


@pytest.mark.parametrize(
    "name", ["/etc/a.png", "../a.png", "set/../../a.png", "..\\a.png", "C:\\data\\a.png", "\\\\nas\\a.png"]
)
def test_paths_outside_root_are_refused(name, tmp_path) -> None:
    with pytest.raises(EmocapError, match=r"points outside the image folder; name it relative to that folder"):
        plain_image_name(name, tmp_path)


def test_folder_with_longer_name_is_outside(tmp_path) -> None:
    with pytest.raises(EmocapError, match="outside"):
        plain_image_name(f"{tmp_path}-old/a.png", tmp_path)


@pytest.mark.parametrize(
    "name", ["https://example.org/a.png", " HTTP://example.org/a", "s3://bucket/a.png", "gs://b/a"]
)
def test_web_addresses_are_named_as_such(name) -> None:
    with pytest.raises(EmocapError, match=r"is a web address; emocap fetches none"):
        plain_image_name(name, Path("images"))
    assert plain_image_name(name, None) == name.strip()


def test_inline_data_is_refused_without_quoting_it() -> None:
    with pytest.raises(EmocapError, match="is inline data") as caught:
        plain_image_name("data:image/png;base64," + "A" * 10_000, None)
    assert len(str(caught.value)) < 200


def test_absolute_names_without_root_stay_distinct() -> None:
    assert plain_image_name("C:\\data\\a.png", None) == "C:/data/a.png"
    assert plain_image_name("file:///C:/data/a.png", None) == "C:/data/a.png"
    assert plain_image_name("/data/set//a.png", None) == "/data/set/a.png"
    with pytest.raises(EmocapError, match="outside"):
        plain_image_name("../a.png", None)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (NFC, NFD),
        (NFD, NFC),
        (f"{NFC[:-4]}/b.png", f"{NFD[:-4]}/b.png"),
        ("a.png", " a.png"),
        ("A.PNG", "a.png"),
        ("Set/a.jpg", "set/A.JPG"),
        (NFC.upper(), NFD),
        ("a%20b.jpg", "a b.jpg"),
        ("caf%C3%A9.png", NFD),
        ("set%2Fa.png", "set/a.png"),
        ("000123", "000123.jpg"),
        ("v1.5", "v1.5.JPEG"),
        ("set/a.png", "set\\a.png"),
        ("x/set/a.png", "x/set\\a.png"),
    ],
)
def test_other_spelling_finds_file(name, file, tmp_path) -> None:
    assert resolve_image_names([name], folder_of(tmp_path, file)) == {name: file}


def test_existing_names_are_not_mapped(tmp_path) -> None:
    if not is_case_sensitive(tmp_path):
        pytest.skip("the file system ignores case")
    names = ["a.png", "A.png", NFC, NFD, "a%20b.png", "a b.png", "7", "7.jpg"]
    assert resolve_image_names(names, folder_of(tmp_path, *names)) == {}


def test_several_matches_are_none(tmp_path) -> None:
    if not is_case_sensitive(tmp_path):
        pytest.skip("the file system ignores case")
    folder_of(tmp_path, "a.png", "A.png", "7.jpg", "7.png", "x/b.png", "X/b.png")
    assert resolve_image_names(["a.PNG", "7", "X/B.png"], tmp_path) == {}


def test_unicode_form_goes_before_case(tmp_path) -> None:
    if not is_case_sensitive(tmp_path):
        pytest.skip("the file system ignores case")
    folder_of(tmp_path, NFD, NFD.upper())
    assert resolve_image_names([NFC], tmp_path) == {NFC: NFD}


def test_only_images_are_found_by_id(tmp_path) -> None:
    folder_of(tmp_path, "7.txt", "7.json", "8.jpg/x", "9.jpg")
    assert resolve_image_names(["7", "8", "9", ""], tmp_path) == {"9": "9.jpg"}


def test_folder_beside_image_does_not_hide_it(tmp_path) -> None:
    assert resolve_image_names(["7"], folder_of(tmp_path, "7/mask.png", "7.jpg")) == {"7": "7.jpg"}


@pytest.mark.parametrize(
    "name", ["%2e%2e/a.png", "..%2fa.png", "%2fetc%2fpasswd", "a%00.png", "x" * 5000, "a.png/b.png"]
)
def test_unusable_names_are_not_found(name, tmp_path) -> None:
    folder_of(tmp_path, "a.png", "images/b.png")
    assert resolve_image_names([name], tmp_path / "images") == {}


def test_folders_are_listed_only_if_needed(tmp_path, monkeypatch) -> None:
    folder_of(tmp_path, "a.png", "b.png", "set/c.png")
    listed: list[str] = []
    monkeypatch.setattr(
        image_names.os, "scandir", lambda folder, real=os.scandir: listed.append(folder) or real(folder)
    )
    assert resolve_image_names(["a.png", "b.png", "set/c.png"], tmp_path) == {}
    assert listed == []
    assert len(resolve_image_names(["A.PNG", "B.PNG", "SET/C.png"], tmp_path)) == 3
    assert len(listed) <= 6


def test_missing_root_finds_nothing(tmp_path) -> None:
    assert resolve_image_names(["a.png", "set/a.png"], tmp_path / "absent") == {}


@pytest.mark.parametrize("name", ["\ufeffa.png", "a.png\u200b", '"a.png"', "'a.png'", " \u00a0a.png"])
def test_invisible_characters_and_quotes_around_are_no_part(name: str) -> None:
    assert plain_image_name(name, Path("images")) == "a.png"


@pytest.mark.parametrize("name", ["//cdn.example.org/e.png", "https:\\\\example.org\\k.png"])
def test_other_spellings_of_addresses_are_named_as_such(name: str) -> None:
    with pytest.raises(EmocapError, match="is a web address"):
        plain_image_name(name, Path("images"))


def test_base64_text_is_named_as_such() -> None:
    text = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(200)).decode()
    with pytest.raises(EmocapError, match="is image data in base64"):
        plain_image_name(text, None)
