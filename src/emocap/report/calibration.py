"""How well the models' probabilities are calibrated: a table of models, one of emotions, each beside the prior."""

from dataclasses import dataclass

from emocap.report.files.results import Calibration, EmotionCalibration, Results
from emocap.report.text import label_of, listed, number, signed
from emocap.study.models import display_name


@dataclass(frozen=True)
class CalibrationSection:
    """The tables of the page's section on calibration, as text.

    Attributes:
        model: that the rows of emotions are of.
        models: name, ECE before and after scaling, ECE of the likeliest emotion, Brier score, its skill, temperatures.
        emotions: label, positives, ECE of the model and the prior, Brier score of both, skill.
        finding: which models were scaled.
    """

    model: str
    models: list[tuple[str, list[str]]]
    emotions: list[tuple[str, list[str]]]
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
        _finding({name: results.calibration[name] for name in names if name != "prior"}),
    )


def _model_cells(entry: Calibration) -> list[str]:
    temperatures = ", ".join(f"{value:.2f}" for value in entry.temperature) or "–"
    if entry.applied is False:
        temperatures = "not applied"
    return [
        number(entry.ece_before),
        number(entry.ece_after),
        number(entry.top_ece),
        number(entry.brier),
        skill_text(entry.brier_skill),
        temperatures,
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
        rows.append((label, [positives, *numbers, skill_text(own.brier_skill)]))
    return rows


def skill_text(skill: float | None) -> str:
    """A Brier skill with its sign.

    >>> skill_text(0.0312), skill_text(None)
    ('+0.031', '–')
    """
    return "–" if skill is None else signed(skill)


def _finding(models: dict[str, Calibration]) -> str:
    """Which models were scaled; empty where a run did not record it."""
    applied = [label_of(name) for name, entry in models.items() if entry.applied]
    left = [label_of(name) for name, entry in models.items() if entry.applied is False]
    if not applied and not left:
        return ""
    partly = [label_of(name) for name, entry in models.items() if entry.applied and 1.0 in entry.temperature]
    rest = f" In some folds or seeds none was applied to {listed(partly)}." if partly else ""
    if not left:
        return f"A temperature was applied to every model.{rest}"
    if not applied:
        return "No temperature was applied."
    return f"A temperature was applied to {listed(applied)}, but not to {listed(left)}.{rest}"
