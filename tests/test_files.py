"""Files written whole or not at all, and locks."""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emocap import files
from emocap.errors import EmocapError
from emocap.files import atomic_file, atomic_folder, locked, read_json, sync, write_json


def test_failed_write_leaves_only_the_old_file(tmp_path: Path) -> None:
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


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
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


def test_new_folder_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "b") as temporary:
            (temporary / text).write_text(text)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_invalid_json_is_one_line(tmp_path: Path) -> None:
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


def test_old_folder_returns_if_it_cannot_be_replaced(tmp_path: Path, monkeypatch) -> None:
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


def test_number_too_long_for_python_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("9" * 5000)
    with pytest.raises(EmocapError, match="a number too long to read"):
        read_json(path)


HOLD = """
import sys
from pathlib import Path
from emocap.files import locked
with locked(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds `tmp_path/new/.lock`."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "new" / ".lock")]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_lock_refuses_a_second_process_at_once(tmp_path: Path, holder) -> None:
    start = time.monotonic()
    with pytest.raises(EmocapError, match="^busy here$"), locked(tmp_path / "new" / ".lock", "busy here"):
        pass
    assert time.monotonic() - start < 2
    holder.communicate("")
    with locked(tmp_path / "new" / ".lock", "busy here"):
        pass


def test_killed_process_releases_its_lock(tmp_path: Path, holder) -> None:
    holder.kill()
    holder.wait()
    with locked(tmp_path / "new" / ".lock", "busy"):
        assert (tmp_path / "new" / ".lock").exists()


def test_lock_is_not_reentrant_and_failure_releases_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"

    def fail() -> None:
        with locked(path, "busy"):
            with pytest.raises(EmocapError, match="busy"), locked(path, "busy"):
                pass
            raise KeyError("stop")

    for _ in range(2):
        with pytest.raises(KeyError):
            fail()


def test_lock_survives_removal_of_its_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / ".lock", "busy"):
        shutil.rmtree(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_lock_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / ".lock", tmp_path / "folder"):
        message = f"{path.parent}: cannot be used as a folder to write in"
        with pytest.raises(EmocapError, match=message) as error, locked(path, "busy"):
            pass
        assert "\n" not in str(error.value)


def test_folders_that_cannot_be_opened_are_not_synced(tmp_path: Path, monkeypatch) -> None:
    opened: list[tuple[str, int]] = []
    real = os.open

    def windows_open(path, flags, *rest, **named) -> int:
        opened.append((Path(path).name, flags))
        return real(path, flags, *rest, **named)

    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.setattr(os, "open", windows_open)
    sync(tmp_path)
    (tmp_path / "a").write_text("x")
    sync(tmp_path / "a")
    assert opened == [("a", os.O_RDWR)]


@pytest.fixture
def killed(tmp_path):
    """Runs code that begins to write in `tmp_path` and is killed; gives what is left there."""

    def run(code: str) -> list[str]:
        script = (
            f"import os, shutil\nfrom pathlib import Path\nfrom emocap import files\nfolder = Path({str(tmp_path)!r})\n"
        )
        assert subprocess.run([sys.executable, "-c", script + code], check=False).returncode == -9
        files._leftovers.cache_clear()
        return sorted(path.name for path in tmp_path.iterdir())

    return run


KILL = "os.kill(os.getpid(), 9)"


def test_next_write_removes_what_a_killed_one_left(killed, tmp_path) -> None:
    left = killed(f"with files.atomic_file(folder / 'a.csv') as part:\n    part.write_text('x')\n    {KILL}")
    assert [name.endswith(".emocap.part") for name in left] == [True]
    files.write_text(tmp_path / "b.csv", "")
    assert len(list(tmp_path.iterdir())) == 2, "it is of another file"
    alive = tmp_path / f".a.csv.{os.getppid()}.emocap.part"
    alive.touch()
    files.write_text(tmp_path / "a.csv", "y")
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "a.csv", "b.csv"]


def test_next_write_of_a_folder_removes_what_a_killed_one_left(killed, tmp_path) -> None:
    killed(f"with files.atomic_folder(folder / 'model') as part:\n    (part / 'a').touch()\n    {KILL}")
    with atomic_folder(tmp_path / "model"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("moment", ["between", "after"])
def test_older_folder_survives_a_kill_while_it_is_replaced(killed, tmp_path, moment: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/old").touch()
    kill = f"lambda *_, **__: {KILL}"
    patch = f"shutil.rmtree = {kill}" if moment == "after" else "files.Path.replace = files.Path.rename = rename"
    rename = (
        "os_rename, calls = Path.rename, []\n"
        "def rename(self, to):\n"
        "    calls.append(to)\n"
        f"    return os_rename(self, to) if len(calls) == 1 else {KILL}\n"
    )
    left = killed(f"{rename}{patch}\nwith files.atomic_folder(folder / 'model') as part:\n    (part / 'new').touch()")
    assert ("model" in left) == (moment == "after")
    with pytest.raises(KeyError), atomic_folder(tmp_path / "model"):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == (["old"] if moment == "between" else ["new"])
