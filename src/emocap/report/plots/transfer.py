"""Figures of the transfer study (in the manner of Yosinski et al. 2014, figure 2) and of the study of pseudo-labels."""

from emocap.report.files.results import PRIMARY, PseudoLabelStudy, PseudoPoint, Results, TransferStudy
from emocap.report.plots.intervals import Estimate, Line, estimates, layer_lines, places_of
from emocap.report.plots.study import Drawing, drawing_of, sentence_of
from emocap.report.plots.svg import SERIES
from emocap.report.text import between, in_sentence, number

ROW = 0.27
LOOKS = {
    "AnB": (SERIES[1], "s", False),
    "AnB+": (SERIES[0], "o", True),
    "BnB": (SERIES[2], "^", False),
    "BnB+": (SERIES[3], "D", True),
}
REFERENCES = {"teacher": "teacher, trained again", "probe_then_finetune": "probe, then fine-tune"}
SETTINGS = {
    "p": "P = {}",
    "k": "K = {}",
    "fraction": "fraction {}",
    "targets": "{} targets",
    "min_agreement": "agreement ≥ {}",
    "control": "control: {}",
}


def transfer_study(results: Results) -> Drawing | None:
    """Scores over the number of layers copied; None where the study was not run."""
    study = results.transfer_study
    if study is None or not study.points:
        return None
    lines = [_line(study, run) for run in LOOKS if any(point.run == run for point in study.points)]
    references = [
        Estimate(REFERENCES[point.run], study.models[point.model][PRIMARY], study.interval(point.model, PRIMARY))
        for run in REFERENCES
        for point in study.points
        if point.run == run
    ]
    draw = layer_lines(lines, references, study.n_layers, in_sentence(PRIMARY))
    ranges = [
        f"{line.name} from {number(min(y for _, y, _ in line.points))} to {number(max(y for _, y, _ in line.points))}"
        for line in lines
        if line.points
    ]
    given = [f"{reference.name} {number(reference.value)} {between(reference.interval)}" for reference in references]
    caption = sentence_of([*ranges, *given])
    return drawing_of("transfer-study", 3.6, draw, "Layers copied and what they are worth", caption)


def _line(study: TransferStudy, run: str) -> Line:
    points = sorted((point for point in study.points if point.run == run), key=lambda point: point.n or 0)
    scored = [
        (point.n or 0, score, study.interval(point.model, PRIMARY))
        for point in points
        if (score := study.models[point.model][PRIMARY]) is not None
    ]
    return Line(run, *LOOKS[run], scored)


def pseudo_label_study(results: Results) -> Drawing | None:
    """Scores of AnB+ by what was varied of the pseudo-labels; None where the study was not run."""
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
    line = None if base is None else (base, "as the study has it")
    selected = next((point.n_selected for point in points if point.varied == "base"), None)
    parts = [f"as the study has it {number(base)} {between(rows[0].interval)}"]
    parts[0] += "" if selected is None else f" with {selected:,} pseudo-labelled pairs"
    scored = {row.name: row.value for row in rows[1:] if row.value is not None}
    if scored:
        low, high = min(scored, key=scored.__getitem__), max(scored, key=scored.__getitem__)
        parts.append(f"of the others lowest is {low}, {number(scored[low])}, highest {high}, {number(scored[high])}")
    caption = sentence_of(parts)
    height = ROW * places_of(rows)[-1] + 1.4
    draw = estimates(rows, f"{in_sentence(PRIMARY)} of AnB+", line)
    return drawing_of("pseudo-label-study", height, draw, "Pseudo-labels: one setting changed at a time", caption)


def ordered_points(study: PseudoLabelStudy) -> list[PseudoPoint]:
    """The base first, the controls last, values of one setting together in their own order."""
    order = ["base", *SETTINGS]
    return sorted(study.points, key=lambda point: order.index(point.varied))


def point_name(point: PseudoPoint) -> str:
    """What was varied, for people.

    >>> point_name(PseudoPoint(model="k=none", varied="k"))
    'K = none'
    """
    if point.varied == "base":
        return "as the study has it"
    value = "none" if point.value is None else point.value
    return SETTINGS[point.varied].format(f"{value:g}" if isinstance(value, float) else value)
