"""The captioner's figures: the trade-off between emotion and faithfulness to the image, and its training loss."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from emocap.html_templates import percent
from emocap.report.files.captions import Captions, Point
from emocap.report.files.training import History
from emocap.report.plots.axes import Draw, legend_above
from emocap.report.plots.figure import HEIGHT, Drawing, drawing_of, sentence_of
from emocap.report.plots.svg import INK, MUTED, PAPER, SERIES
from emocap.report.plots.training import batch_loss
from emocap.report.text import number

MARKERS = ("o", "s", "^", "D", "v", "p")
SMALLEST_MARKER, LARGEST_MARKER = 6.5, 11.0
ROUNDING = 1e-9


def captioner_loss(history: History) -> Drawing | None:
    """Training loss by batch; None without any loss."""
    return batch_loss("captioner-loss", "Captioner: loss by batch", "the loss on captions", history)


def trade_off(captions: Captions) -> Drawing:
    """Alignment by the judge over CIDEr-D, a line per strength, with the chosen setting and that without emotion."""
    chosen, plain = captions.chosen, captions.trade_off.plain
    n_tried = len(captions.trade_off.points)
    parts = [
        f"{_chosen(captions)}: judged alignment {number(chosen.judged.mean)} at CIDEr-D {number(chosen.cider_d.mean)}",
        f"without emotion {number(plain.judged.mean)} at {number(plain.cider_d.mean)}",
    ]
    if n_tried > 1:
        best = max(captions.trade_off.points, key=lambda point: (point.judged.mean, point.cider_d.mean))
        if captions.is_chosen(best):
            parts.append("no other setting has a higher judged alignment")
        else:
            where = f"guidance {best.guidance:g} with strength {best.strength:g}"
            parts.append(
                f"the highest judged alignment is that of {where}, {number(best.judged.mean)} at "
                f"{number(best.cider_d.mean)}"
            )
    caption = sentence_of(parts) + " Larger markers mean stronger guidance; thin lines are 95% intervals."
    return drawing_of("trade-off", HEIGHT + 0.6, _trade_off(captions), "Emotion against faithfulness", caption)


def _chosen(captions: Captions) -> str:
    where = f"guidance {captions.guidance:g} with strength {captions.strength:g}"
    if len(captions.trade_off.points) == 1:
        return f"the only setting tried is {where}"
    limit = percent(captions.max_loss)
    if captions.chosen.cider_d.mean < captions.least_cider_d - ROUNDING:
        return f"every setting loses more than {limit} of CIDEr-D; {where} loses least and was chosen"
    return f"of the settings that lose no more than {limit} of CIDEr-D, {where} was chosen"


def _trade_off(captions: Captions) -> Draw:
    tried, plain, chosen = captions.trade_off.points, captions.trade_off.plain, captions.chosen
    guidances = sorted({point.guidance for point in tried})
    strengths = sorted({point.strength for point in tried})

    def size(point: Point) -> float:
        return SMALLEST_MARKER + (LARGEST_MARKER - SMALLEST_MARKER) * guidances.index(point.guidance) / max(
            len(guidances) - 1, 1
        )

    def draw(axes: Axes) -> None:
        axes.axvline(captions.least_cider_d, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1,
                     label="lowest CIDEr-D allowed")  # fmt: skip
        interval: dict[str, Any] = {"linewidth": 1.0, "alpha": 0.35, "zorder": 1}
        for place, strength in enumerate(strengths):
            colour, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
            points = sorted((p for p in tried if p.strength == strength), key=lambda point: point.guidance)
            across, up = [p.cider_d.mean for p in points], [p.judged.mean for p in points]
            axes.plot(across, up, color=colour, linewidth=1.6, zorder=2)
            mark: dict[str, Any] = {"color": colour, "marker": marker, "markeredgecolor": PAPER, "markeredgewidth": 0.7}
            mark["linestyle"] = "none"
            for point in points:
                faithfulness, alignment = point.cider_d, point.judged
                axes.plot([faithfulness.low, faithfulness.high], [alignment.mean] * 2, **interval, color=colour)
                axes.plot([faithfulness.mean] * 2, [alignment.low, alignment.high], **interval, color=colour)
                axes.plot([point.cider_d.mean], [point.judged.mean], markersize=size(point), zorder=3, **mark)
            axes.plot([], [], markersize=7, label=f"strength {strength:g}", **mark)
        ring: dict[str, Any] = {"marker": "o", "color": INK, "markerfacecolor": "none", "linestyle": "none"}
        axes.plot([chosen.cider_d.mean], [chosen.judged.mean], markersize=17, zorder=4, **ring)
        axes.plot([], [], markersize=10, label="chosen", **ring)
        cross: dict[str, Any] = {"marker": "X", "color": INK, "markeredgecolor": PAPER, "linestyle": "none"}
        axes.plot([plain.cider_d.mean], [plain.judged.mean], markersize=9, zorder=4, **cross,
                  label="without emotion")  # fmt: skip
        axes.set_xlabel("CIDEr-D against human captions")
        by_lift = plain.judged_lift_alignment is not None
        axes.set_ylabel("alignment by the judge’s lift" if by_lift else "alignment by the judge")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.margins(x=0.08, y=0.12)
        axes.spines["left"].set_visible(False)
        legend_above(axes, columns=3)

    return draw
