"""The model that a study recommends for use: which it is, why, and the commands that use it."""

from dataclasses import dataclass

from emocap.evaluation.metrics import PRIMARY
from emocap.report.files.results import Results
from emocap.report.text import capitalized, description_of, interval_text, label_of, metric_in_sentence, number

COMMANDS = (
    ('emocap predict --model RUN "a caption"', "emotions of a caption, of an image, or of both"),
    ("emocap serve --model RUN", "the same in a browser and over HTTP"),
)


@dataclass(frozen=True)
class Recommendation:
    """What the page says about the recommended model.

    Attributes:
        reason: which model it is and why.
        remarks: further sentences.
        commands: command, and what it gives.
    """

    model: str
    reason: str
    remarks: list[str]
    commands: tuple[tuple[str, str], ...]


def recommendation(results: Results, represented: str) -> Recommendation | None:
    """The recommended model; None where a run recorded none.

    Args:
        represented: the model that the report's verdict is about.
    """
    name = results.recommended
    if name is None:
        return None
    score = results.validation.get(name, {}).get(PRIMARY)
    by_score = "" if score is None else f", {number(score)}"
    description = description_of(name)
    what = f" ({description})" if description else ""
    reason = (
        f"{capitalized(label_of(name))}{what} has the highest {metric_in_sentence(PRIMARY)} on the validation pairs"
        f"{by_score}, of all models that this study saved, baselines included."
    )
    return Recommendation(name, reason, _remarks(results, name, represented), COMMANDS)


def _remarks(results: Results, name: str, represented: str) -> list[str]:
    interval = results.interval(name, PRIMARY)
    remarks = [
        f"On the test pairs it scores {number(results.models[name][PRIMARY])} {interval_text(interval)}".rstrip() + "."
    ]
    if results.folds is not None:
        remarks.append(
            "Over folds, the validation pairs of one fold are test pairs of another, so this score may be slightly too "
            "high."
        )
    if name != represented:
        remarks.append(f"The verdict above is about {label_of(represented)}, which stands for the study.")
    return remarks
