"""The figure of the transfer study, in the manner of Yosinski et al. 2014, figure 2."""

from emocap.report.files.results import Results
from emocap.report.files.studies import TransferStudy
from emocap.report.plots.axes import look_of
from emocap.report.plots.figure import Drawing, drawing_of, sentence_of
from emocap.report.plots.intervals import Estimate, Line, layer_lines
from emocap.report.text import interval_text, metric_in_sentence, number
from emocap.study.models import MODELS, display_name


def transfer_study(results: Results) -> Drawing | None:
    """Scores over the number of layers copied; None where the study was not run."""
    study = results.transfer_study
    if study is None or not study.points:
        return None
    runs = [name for name in MODELS if any(point.run == name and point.copies_layers for point in study.points)]
    primary = results.primary
    lines = [_line(study, run, primary) for run in runs]
    references = [
        Estimate(reference_name(point.run), study.models[point.model][primary], study.interval(point.model, primary))
        for name in MODELS
        for point in study.points
        if point.run == name and not point.copies_layers
    ]
    ranges = [
        f"{line.name} from {number(min(y for _, y, _ in line.points))} to {number(max(y for _, y, _ in line.points))}"
        for line in lines
        if line.points
    ]
    parts = [*ranges, *(f"{item.name} {number(item.value)} {interval_text(item.interval)}" for item in references)]
    draw = layer_lines(lines, references, study.n_layers, metric_in_sentence(primary))
    return drawing_of("transfer-study", 3.6, draw, "Score by number of copied layers", sentence_of(parts))


def reference_name(run: str) -> str:
    """A reference's name; a model that the study trains anyway is trained again for each seed of the transfer study.

    >>> reference_name("teacher"), reference_name("probe_then_finetune")
    ('teacher, retrained', 'probe, then fine-tune')
    """
    return f"{display_name(run)}, retrained" if MODELS[run].kind == "study" else display_name(run)


def _line(study: TransferStudy, run: str, primary: str) -> Line:
    points = sorted((point for point in study.points if point.run == run), key=lambda point: point.n or 0)
    scored = [
        (point.n or 0, score, study.interval(point.model, primary))
        for point in points
        if (score := study.models[point.model][primary]) is not None
    ]
    return Line(run, *look_of(run), scored)
