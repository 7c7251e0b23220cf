"""What may be written is checked before any work."""

import os

import pytest

from emocap import EmocapError
from emocap.api.output_files import require_writable


def test_new_file_in_new_folder_is_writable(tmp_path) -> None:
    require_writable(tmp_path / "new" / "deep" / "out.csv")
    (tmp_path / "old.csv").write_text("x")
    require_writable(tmp_path / "old.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"], "nothing is created by the check"


@pytest.mark.parametrize(
    ("out", "is_folder", "message"),
    [
        ("folder", False, "folder: is a folder; give the name of a file to write"),
        ("file", True, "file: is a file; give the name of a folder to write"),
        ("file/out.csv", False, "cannot be written, since .*file is not a folder"),
        ("file/deep/out.csv", False, "cannot be written, since .*file is not a folder"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, out, is_folder, message) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(EmocapError, match=message):
        require_writable(tmp_path / out, is_folder=is_folder)


def test_folder_without_permission_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    with pytest.raises(EmocapError, match="allows no writing; choose another place"):
        require_writable(tmp_path / "out.csv")
