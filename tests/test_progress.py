"""Progress: log lines off a terminal, a bar that log records do not cut through on one."""

import io
import logging
import re
import sys

import pytest

from emocap import progress
from emocap.progress import logger, set_up_logging, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored_logger(monkeypatch):
    monkeypatch.setattr(logger, "propagate", logger.propagate)
    monkeypatch.setattr(logger, "level", logger.level)
    handlers = logger.handlers[:]
    yield
    logger.handlers[:] = handlers


def test_one_line_at_the_end_of_short_work(caplog) -> None:
    with caplog.at_level(logging.INFO, logger="emocap"):
        assert list(track(range(3), "work", 3, "files")) == [0, 1, 2]
    assert [line.split(" in ")[0] for line in caplog.messages] == ["work: 3 files"]


def test_lines_count_units_and_nest(caplog, monkeypatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level(logging.INFO, logger="emocap"):
        for _ in track(["ab", "c"], "outer", 3, "letters", len):
            list(track([0], "inner", 1))
    assert [line.split(",")[0].split(" in ")[0] for line in caplog.messages] == [
        "inner: 1 of 1",
        "inner: 1 items",
        "outer: 2 of 3",
        "inner: 1 of 1",
        "inner: 1 items",
        "outer: 3 of 3",
        "outer: 3 letters",
    ]
    assert caplog.messages[2].endswith(" s left")
    assert " letters/s, " in caplog.messages[2]


def test_stopped_work_has_no_last_line(caplog) -> None:
    with caplog.at_level(logging.INFO, logger="emocap"):
        iterator = track(range(3), "work", 3)
        next(iterator)
        iterator.close()
    assert caplog.messages == []


def test_log_records_stay_above_the_bar(monkeypatch, restored_logger) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    set_up_logging()
    for _ in track(range(2), "work", 2, "files"):
        logger.info("a record")
    written = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())  # without colours
    assert "work:   0%|" in written
    assert " files/s" in written
    shown = [line.rsplit("\r", 1)[-1] for line in written.split("\n")]
    assert [line.rstrip()[-8:] for line in shown[:2]] == ["a record", "a record"]
    assert not any("a record" in line and "|" in line for line in shown)
    assert "work: 2 files in " in written
