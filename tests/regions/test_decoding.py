"""The worker processes that decode images."""

import multiprocessing
import threading

import pytest

from emocap.regions.decoding import _processes


def fail_amid_tasks():
    with _processes(2) as executor:
        tasks = [executor.submit(bytes, 1_000_000) for _ in range(40)]
        tasks[0].result()
        raise ValueError("stopped")


def test_failure_leaves_no_process_or_thread():
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="stopped"):
        fail_amid_tasks()
    assert set(threading.enumerate()) <= before
    assert not multiprocessing.active_children()
