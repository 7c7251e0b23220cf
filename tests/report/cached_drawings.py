"""Figures that were drawn before for the same data, so that pages that differ elsewhere need not draw them again."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import cloudpickle
from matplotlib.figure import Figure

from emocap.report.plots import svg

_drawn: dict[bytes, str] = {}
_draw_into = svg._draw_into


def _cached(buffer: io.StringIO, name: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    key = cloudpickle.dumps((name, size, draw))  # the function with its code and all data that it has captured
    if key not in _drawn:
        fresh = io.StringIO()
        _draw_into(fresh, name, size, draw)
        _drawn[key] = fresh.getvalue()
    buffer.write(_drawn[key])


@contextmanager
def cached_drawings() -> Iterator[None]:
    """Within it, matplotlib draws equal figures only once in a session; not for tests of the drawing itself."""
    with mock.patch.object(svg, "_draw_into", _cached):
        yield
