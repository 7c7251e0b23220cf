"""matplotlib figures as inline SVG: with the page's colours and font, unique ids, a name and a description."""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#010203", "#010204", "#010205", "#010206"
SERIES = ("#010211", "#010212", "#010213", "#010214")
COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--card)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES, 1)},
}
SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.major.pad": 5.0,
    "ytick.major.pad": 5.0,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "lines.solid_capstyle": "round",
}
_ID = re.compile(r'\bid="([^"]+)"')
_USED = re.compile(r'(?:href="#|url\(#)([^")]+)')


def inline_svg(
    name: str, width: float, height: float, draw: Callable[[Figure], None], title: str, description: str
) -> Markup:
    """Draw a figure and return it as one `<svg>` element for an HTML page.

    Args:
        name: unique on the page; the prefix of every id.
        width, height: in inches; the page scales the figure.
        draw: draws on an empty figure, in the colours of this module.
        title: the figure's accessible name.
        description: for readers who cannot see the figure.
    """
    buffer = io.StringIO()
    # matplotlib warns about glyphs that DejaVu lacks, but the page's own font has them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _draw_into(buffer, name, (width, height), draw)
    return Markup(_for_page(buffer.getvalue(), name, title, description))  # noqa: S704 (escaped by matplotlib and below)


def _draw_into(buffer: io.StringIO, name: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    # The user's own matplotlibrc must not change the report; `backend` cannot be set to its default.
    settings: dict[Any, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    settings |= {**SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)


def _for_page(svg: str, name: str, title: str, description: str) -> str:
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body)
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"\s*\n\s*", " ", body)
    for sentinel, colour in COLOURS.items():
        body = body.replace(sentinel, colour)
    used = set(_USED.findall(body))
    body = _ID.sub(lambda match: f'id="{name}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"<g\s+>", "<g>", body)
    return (
        f'<svg viewBox="{box[1] if box else ""}" role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{body}</svg>'
    )
