"""Progress with rate and time left: a bar on a terminal, log lines elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger("emocap")
T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def set_up_logging(debug: bool = False) -> None:
    """Send emocap's log to standard error, through rich on a terminal and as plain lines elsewhere."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)


def track(
    items: Iterable[T], what: str, total: int, unit: str = "items", count: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield `items` and tell how far they are: a rich bar on a terminal, else a line every 10 s and one at the end.

    Args:
        what: is done.
        total: units in all.
        unit: its name.
        count: units that an item stands for.
    """
    if sys.stderr.isatty():
        yield from _bar(items, what, total, unit, count)
    else:
        yield from _lines(items, what, total, unit, count)


def _bar(items: Iterable[T], what: str, total: int, unit: str, count: Callable[[T], int]) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, rate="")
        done = 0
        for item in items:
            yield item
            done += count(item)
            rate = done / max(time.monotonic() - start, 1e-9)
            progress.update(task, completed=done, rate=f"{_rate(rate)} {unit}/s")
    _last_line(what, total, unit, start)


def _lines(items: Iterable[T], what: str, total: int, unit: str, count: Callable[[T], int]) -> Iterator[T]:
    start = told = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += count(item)
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES:
            told = now
            rate = done / (now - start)
            left = (total - done) / rate
            logger.info("%s: %d of %d, %s %s/s, %.0f s left", what, done, total, _rate(rate), unit, left)
    _last_line(what, total, unit, start)


def _last_line(what: str, total: int, unit: str, start: float) -> None:
    seconds = time.monotonic() - start
    logger.info("%s: %d %s in %.1f s (%s/s)", what, total, unit, seconds, _rate(total / max(seconds, 1e-9)))


def _rate(per_second: float) -> str:
    """Three digits or so.

    >>> _rate(0.0912), _rate(1234.5)
    ('0.091', '1,234')
    """
    if per_second >= 100:
        return f"{per_second:,.0f}"
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2g}"
