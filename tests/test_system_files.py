"""Files that an operating system makes next to the user's own."""

from pathlib import PurePosixPath

import pytest

from emocap.files import is_system_file


@pytest.mark.parametrize(
    "path",
    ["._a.jpg", "train/._a.npy", "__MACOSX/a.jpg", "x/__MACOSX/train/a.npy", ".DS_Store", "a/Thumbs.db", "Desktop.ini"],
)
def test_recognises_system_files(path):
    assert is_system_file(PurePosixPath(path))


@pytest.mark.parametrize("path", ["a.jpg", "_.jpg", ".hidden.jpg", "a._b.jpg", "MACOSX/a.jpg", "my__MACOSX.npy"])
def test_keeps_files_of_the_user(path):
    assert not is_system_file(PurePosixPath(path))
