"""How well the models' probabilities are calibrated: a table of models, one of emotions, each beside the prior."""

from dataclasses import dataclass

from emocap.report.files.results import Calibration, EmotionCalibration, Results
from emocap.report.scaling import gap_cells, gap_text, methods_in_words, ranges_off, scaled_models
from emocap.report.text import number, signed
from emocap.study.models import display_name


@dataclass(frozen=True)
class CalibrationSection:
    """The tables of the page's section on calibration, as text.

    Attributes:
        model: that the rows of emotions are of.
        models: name, ECE before and after scaling, adaptive ECE, ECE of the likeliest emotion, Brier score, its skill,
            how it was scaled.
        emotions: label, positives, predicted and true share with the interval of their difference, ECE of the model and
            the prior, Brier score of both, skill.
        ranges: tenth of the range, cells, predicted and true share with the interval of their difference, and the same
            difference before scaling.
        finding: which models were scaled, and which tenths are off.
    """

    model: str
    models: list[tuple[str, list[str]]]
    emotions: list[tuple[str, list[str]]]
    ranges: list[tuple[str, list[str]]]
    finding: str


def calibration_section(results: Results, model: str) -> CalibrationSection | None:
    """What the page says about calibration; None where nothing was recorded."""
    if not results.calibration:
        return None
    names = [name for name in results.ordered_models() if name in results.calibration]
    return CalibrationSection(
        display_name(model),
        [(display_name(name), _model_cells(results.calibration[name])) for name in names],
        _emotion_rows(results, model),
        _range_rows(results.calibration.get(model)),
        " ".join(
            [
                scaled_models({name: results.calibration[name] for name in names if name != "prior"}),
                ranges_off(model, results.calibration.get(model)),
            ]
        ).strip(),
    )


def _model_cells(entry: Calibration) -> list[str]:
    return [
        number(entry.ece_before),
        number(entry.ece_after),
        number(entry.adaptive_ece),
        number(entry.top_ece),
        number(entry.brier),
        skill_text(entry.brier_skill),
        methods_in_words(entry),
    ]


def _emotion_rows(results: Results, model: str) -> list[tuple[str, list[str]]]:
    entry, prior = results.calibration.get(model), results.calibration.get("prior")
    if entry is None or not entry.per_emotion:
        return []
    nothing = EmotionCalibration()
    of_prior = {} if prior is None else prior.per_emotion
    rows = []
    for label in results.labels:
        own, base = entry.per_emotion.get(label, nothing), of_prior.get(label, nothing)
        positives = "–" if own.n_positives is None else f"{own.n_positives:,}"
        numbers = [number(value) for value in (own.ece, base.ece, own.brier, base.brier)]
        rows.append((label, [positives, *gap_cells(own), *numbers, skill_text(own.brier_skill)]))
    return rows


def _range_rows(entry: Calibration | None) -> list[tuple[str, list[str]]]:
    if entry is None:
        return []
    before = {tenth.low: tenth for tenth in entry.ranges_before}
    return [
        (
            f"{tenth.low:.1f} to {tenth.high:.1f}",
            [f"{tenth.n_cells:,}", *gap_cells(tenth), gap_text(before[tenth.low]) if tenth.low in before else "–"],
        )
        for tenth in entry.ranges
    ]


def skill_text(skill: float | None) -> str:
    """A Brier skill with its sign.

    >>> skill_text(0.0312), skill_text(None)
    ('+0.031', '–')
    """
    return "–" if skill is None else signed(skill)
