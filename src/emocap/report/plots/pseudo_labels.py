"""Figures of the pseudo-labels: emotions before and after selection, and the study of their settings."""

import numpy as np

from emocap.evaluation.metrics import PRIMARY
from emocap.html_templates import percent
from emocap.report.files.results import Results
from emocap.report.files.studies import PseudoLabelStudy, PseudoPoint
from emocap.report.files.training import Audit
from emocap.report.plots.axes import Look, dots
from emocap.report.plots.figure import Drawing, drawing_of, sentence_of
from emocap.report.plots.intervals import Estimate, estimates, places_of
from emocap.report.plots.svg import INK, SERIES
from emocap.report.text import counted, interval_text, metric_in_sentence, number

AUDIT_ROW, CONTRAST_ROW, STUDY_ROW, MAX_ROWS = 0.24, 0.4, 0.27, 40
TARGET, BEFORE, AFTER = "target’s labels", "before selection", "after selection"
LOOKS = {TARGET: Look(INK, "|", True), BEFORE: Look(SERIES[1], "s"), AFTER: Look(SERIES[0], "o", True)}
SAME, OTHERS = "captions of the same image", "captions of different images"
CONTRAST_LOOKS = {SAME: Look(SERIES[0], "o", True), OTHERS: Look(SERIES[1], "s")}
BASE = "the study’s settings"
SETTINGS = {
    "p": "P = {}",
    "k": "K = {}",
    "fraction": "fraction {}",
    "label_type": "{} labels",
    "min_agreement": "agreement ≥ {}",
    "rank": "ranked by {}",
    "control": "control: {}",
}


def label_shares(audit: Audit) -> Drawing:
    """Share of each emotion among the pseudo-labels before and after selection, and among the target's own labels."""
    shown = audit.labels[:MAX_ROWS]
    values: dict[str, list[float]] = {}
    if audit.target_share and sum(audit.target_share) > 0:
        total = sum(audit.target_share)
        values[TARGET] = [share / total for share in audit.target_share[: len(shown)]]
    values[BEFORE] = list(audit.before[: len(shown)])
    values[AFTER] = list(audit.after[: len(shown)])
    top = int(np.argmax(audit.after))
    parts = [f"After selection {audit.labels[top]} has the largest share, {percent(audit.after[top])}"]
    if TARGET in values:
        of_target = (audit.target_share or [])[top] / total
        parts.append(f"its share of the target’s labels is {percent(of_target)}")
    if len(shown) < len(audit.labels):
        parts.append(f"only the first {len(shown)} of {len(audit.labels)} emotions are shown")
    never = {label: "never chosen" for label in audit.never_chosen}
    draw = dots(shown, values, "share of labels", LOOKS, notes=never)
    height = AUDIT_ROW * len(shown) + 0.85
    return drawing_of("label-shares", height, draw, "Emotions among the pseudo-labels", sentence_of(parts))


def contrast(audit: Audit) -> Drawing | None:
    """How many emotions two captions share, by what ranks them; None where no image has two captions."""
    found = {rank: of for rank, of in audit.contrast.items() if of.same_image is not None}
    if not found:
        return None
    n_emotions = len(audit.labels)
    kept = "" if audit.p is None else f" of {audit.p}"
    shared = [f"{of.same_image:.2f}{kept} by {rank}" for rank, of in found.items()]
    occurring = [f"{of.n_occurring} of {n_emotions} by {rank}" for rank, of in found.items()]
    n_images = max(of.n_images for of in found.values())
    parts = [
        f"Two captions of the same image share {' and '.join(shared)}, a mean over "
        f"{counted(n_images, 'image', 'images')} with several captions",
        f"of the emotions, {' and '.join(occurring)} occur",
    ]
    values = {SAME: [of.same_image for of in found.values()], OTHERS: [of.other_images for of in found.values()]}
    draw = dots([f"by {rank}" for rank in found], values, "emotions shared", CONTRAST_LOOKS)
    height = CONTRAST_ROW * len(found) + 0.95
    return drawing_of("caption-contrast", height, draw, "Emotions that two captions share", sentence_of(parts))


def pseudo_label_study(results: Results) -> Drawing | None:
    """Scores of AnB+ by the setting of the pseudo-labels that was varied; None where the study was not run."""
    study = results.pseudo_label_study
    if study is None:
        return None
    points = ordered_points(study)
    rows = [
        Estimate(
            point_name(point),
            study.models[point.model][PRIMARY],
            study.interval(point.model, PRIMARY),
            group=point.varied,
            strong=point.varied == "base",
        )
        for point in points
    ]
    base = rows[0].value
    line = None if base is None else (base, BASE)
    selected = next((point.n_selected for point in points if point.varied == "base"), None)
    parts = [f"{BASE} {number(base)} {interval_text(rows[0].interval)}"]
    parts[0] += "" if selected is None else f" with {selected:,} pseudo-labelled pairs"
    scores = {row.name: row.value for row in rows[1:] if row.value is not None}
    if scores:
        low, high = min(scores, key=scores.__getitem__), max(scores, key=scores.__getitem__)
        parts.append(
            f"of the variations lowest is {low}, {number(scores[low])}, highest {high}, {number(scores[high])}"
        )
    draw = estimates(rows, f"{metric_in_sentence(PRIMARY)} of AnB+", line)
    height = STUDY_ROW * places_of(rows)[-1] + 1.4
    title = "Pseudo-labels: one setting varied at a time"
    return drawing_of("pseudo-label-study", height, draw, title, sentence_of(parts))


def ordered_points(study: PseudoLabelStudy) -> list[PseudoPoint]:
    """The base first, the controls last, values of one setting together in their own order."""
    order = ["base", *SETTINGS]
    return sorted(study.points, key=lambda point: order.index(point.varied))


def point_name(point: PseudoPoint) -> str:
    """What was varied, as displayed.

    >>> point_name(PseudoPoint(model="k=none", varied="k"))
    'K = none'
    """
    if point.varied == "base":
        return BASE
    value = "none" if point.value is None else point.value
    return SETTINGS[point.varied].format(f"{value:g}" if isinstance(value, float) else value)
