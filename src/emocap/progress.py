"""Progress with rate and remaining time: a bar on a terminal, log lines elsewhere."""

import io
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

logger = logging.getLogger("emocap")
T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def set_up_logging(debug: bool = False) -> None:
    """Log to standard error, formatted by rich on a terminal and as plain lines elsewhere."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        class AboveBars(RichHandler):
            """Clears progress bars before a record and draws them again below it."""

            def emit(self, record: logging.LogRecord) -> None:
                with tqdm.external_write_mode(file=sys.stderr):
                    super().emit(record)

        handler = AboveBars(console=Console(stderr=True), show_path=False, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)


class _LogLines(tqdm):
    """Progress as log lines, for standard error that is not a terminal."""

    monitor_interval = 0  # no thread: lines are due when items arrive

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, file=io.StringIO(), mininterval=SECONDS_BETWEEN_LINES)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if self.n and msg is None:  # neither at the start nor to clear the line at the end
            rate = self.n / max(self.format_dict["elapsed"], 1e-9)
            left = (self.total - self.n) / rate
            logger.info(
                "%s: %d of %d, %s%s/s, %.0f s left", self.desc, self.n, self.total, _rate(rate), self.unit, left
            )


def track(
    items: Iterable[T], what: str, total: int, unit: str = "items", count: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield `items` and report progress: a bar on a terminal, else a log line every 10 s; a log line at the end.

    Args:
        items: what is iterated over.
        what: name of the work.
        total: units in all.
        unit: name of the units.
        count: units that an item counts for.
    """
    progress = tqdm if sys.stderr.isatty() else _LogLines
    start = time.monotonic()
    with progress(total=total, desc=what, unit=f" {unit}", leave=False, miniters=1) as bar:
        for item in items:
            yield item
            bar.update(count(item))
    seconds = time.monotonic() - start
    logger.info("%s: %d %s in %.1f s (%s/s)", what, total, unit, seconds, _rate(total / max(seconds, 1e-9)))


def _rate(per_second: float) -> str:
    """A rate with two or three significant digits.

    >>> _rate(0.0912), _rate(1234.5)
    ('0.091', '1,234')
    """
    if per_second >= 100:
        return f"{per_second:,.0f}"
    return f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2g}"
