"""One figure of a page: its SVG, title and caption."""

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from emocap.report.plots.axes import Draw
from emocap.report.plots.svg import inline_svg
from emocap.report.text import capitalized

WIDTH, HEIGHT = 5.2, 3.1


@dataclass(frozen=True)
class Drawing:
    """One figure of the page; the caption states in numbers what the figure shows."""

    name: str
    svg: Markup
    title: str
    caption: str


def drawing_of(name: str, height: float, draw: Draw, title: str, caption: str) -> Drawing:
    """A figure with one pair of axes, `height` inches high."""

    def on_figure(figure: Figure) -> None:
        draw(figure.add_subplot())

    return Drawing(name, inline_svg(name, WIDTH, height, on_figure, title, caption), title, caption)


def sentence_of(parts: list[str]) -> str:
    """The non-empty parts as one sentence.

    >>> sentence_of(["loss falls", "", "the last epoch was kept"])
    'Loss falls; the last epoch was kept.'
    """
    parts = [part for part in parts if part]
    return capitalized("; ".join(parts)) + "." if parts else ""
