"""Ctrl-C and SIGTERM: whatever runs is stopped, cleans up, and the process ends with one line and status 130 or 143.

Left out: `emocap serve`, which closes its connections first (`emocap.app.server`).
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_TO_CLEAN_UP = 5.0
SECONDS_TO_END = 15.0


class Stopped(BaseException):
    """The process was asked to stop.

    No KeyboardInterrupt, which some libraries catch and go on.

    Attributes:
        status: of the process, 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise `Stopped` in the block when a signal arrives, and again every 5 s while something swallows it.

    What is inside cleans up in its `finally` clauses. A signal that the caller ignores (`nohup`) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner, repeats = os.getpid(), hasattr(signal, "setitimer")
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker, which has nothing of its own to clean up
            os._exit(128 + number)
        if number in SIGNALS:
            received.append(number)
        if repeats:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_TO_CLEAN_UP)
        raise Stopped(received[0])

    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in handled}
    if repeats:
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        if repeats:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def end_soon(status: int) -> None:
    """End the process with this status even if a thread that it waits for at its end does not."""
    timer = threading.Timer(SECONDS_TO_END, os._exit, [status])
    timer.daemon = True
    timer.start()
