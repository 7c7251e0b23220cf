"""Ctrl-C and SIGTERM at any moment: one line, status 130 or 143, no process and no temporary file left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emocap.cli import signals
from emocap.cli.signals import Stopped, stopped_by_signals

from ..forked import ForkedProcess

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux")


@pytest.fixture(scope="module")
def many_images(tmp_path_factory):
    """A folder of 3,000 images, which takes the grid extractor far longer than a test waits."""
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 255, (400, 600, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "0000.jpg")
    for number in range(1, 3000):
        os.link(folder / "0000.jpg", folder / f"{number:04d}.jpg")
    return folder


def processes_of(session):
    """The process ids of a session, zombies left out."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if "Z" not in line.split()[1]]


def catches(process, number):
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> number - 1 & 1)


@pytest.mark.parametrize(
    ("number", "to_group", "moment"),
    [
        (signal.SIGINT, True, "start"),
        (signal.SIGINT, True, 0.6),
        (signal.SIGINT, False, 0.05),
        (signal.SIGTERM, True, 0.3),
    ],
)
def test_extraction_stops_at_any_moment(many_images, tmp_path, number, to_group, moment):
    command = [sys.executable, "-m", "emocap", "extract", str(many_images), "--out", str(tmp_path / "store")]
    process = subprocess.Popen(
        [*command, "--extractor", "grid", "--workers", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    if moment == "start":
        while not catches(process.pid, signal.SIGTERM):
            time.sleep(0.01)
    else:  # after the workers began to start
        while not (tmp_path / ".store.unfinished").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(moment)
    (os.killpg if to_group else os.kill)(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    name = signal.Signals(number).name
    assert stderr.splitlines()[-1] == f"emocap: stopped by {name}; run the same command again to resume"
    assert "Traceback" not in stderr
    assert "Warning" not in stderr
    committed = list(tmp_path.glob(".store.unfinished/images-*.jsonl"))
    assert list(tmp_path.iterdir()) == ([tmp_path / ".store.unfinished"] if committed else [])
    deadline = time.monotonic() + 20
    while (left := processes_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def test_study_stops_at_sigterm_without_temporary_files(tiny_study, tmp_path):
    study = tiny_study(source=None, teacher={"epochs": 2000, "patience": None, "batch_size": 16})
    run, log = tmp_path / "run", tmp_path / "log"
    process = ForkedProcess("run", str(study), "--run-dir", str(run), log=log)
    deadline = time.monotonic() + 60
    while not list(run.glob("teacher/checkpoints/checkpoint-*")):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("emocap: ")] == [lines[-1]]
    assert lines[-1] == "emocap: stopped by SIGTERM; run the same command again to resume"
    assert "Traceback" not in log.read_text()
    assert [path for path in run.rglob(".*") if path.name != ".lock" and "digests" not in path.name] == []


def swallow_twice():
    """Send this process SIGINT, and go on after what it raises, twice."""
    with suppress(Stopped):
        os.kill(os.getpid(), signal.SIGINT)
    with suppress(Stopped):
        time.sleep(5)
    time.sleep(5)


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where the tests run in the background of a shell, which ignores it for them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_swallowed_signal_is_raised_again(monkeypatch, interruptible):
    monkeypatch.setattr(signals, "SECONDS_TO_CLEAN_UP", 0.05)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    with pytest.raises(Stopped, match="stopped by SIGINT") as stopped, stopped_by_signals():
        swallow_twice()
    assert stopped.value.status == 130
    assert before == {number: signal.getsignal(number) for number in before}
    time.sleep(0.1)  # no alarm is left


def test_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
