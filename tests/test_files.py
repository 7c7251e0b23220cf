"""Whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from emocap.errors import EmocapError
from emocap.files import atomic_file, atomic_folder, read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    def fail() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EmocapError, match=r"a\.json: cannot be written \(No space left on device\); free space"):
        write_json(tmp_path / "a.json", {})

    def folder() -> None:
        with atomic_folder(tmp_path / "b") as temporary:
            (temporary / "x").write_text("x")

    with pytest.raises(EmocapError, match=r"b: cannot be written \(No space left on device\)"):
        folder()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_the_old_one_at_once(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "b") as temporary:
            (temporary / text).write_text(text)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_json_that_is_none_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b"}')
    with pytest.raises(EmocapError, match="not valid JSON at line 2, column 5"):
        read_json(path)
    path.write_bytes(b"\xff")
    with pytest.raises(EmocapError, match="not UTF-8 text at byte 0"):
        read_json(path)
    with pytest.raises(EmocapError, match="no such file"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))


def test_an_old_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch) -> None:
    with atomic_folder(tmp_path / "b") as temporary:
        (temporary / "one").write_text("one")
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)

    def again() -> None:
        with atomic_folder(tmp_path / "b") as temporary:
            (temporary / "two").write_text("two")

    with pytest.raises(EmocapError, match="b: cannot be written"):
        again()
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["b", "b/one"]


def test_a_number_too_long_for_python_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("9" * 5000)
    with pytest.raises(EmocapError, match="a number too long to read"):
        read_json(path)
