"""The model that a study recommends for use: which it is, why, and the commands that use it."""

from dataclasses import dataclass

from emocap.report.files.results import Results
from emocap.report.text import (
    capitalized,
    counted,
    description_of,
    interval_text,
    label_of,
    metric_in_sentence,
    number,
)
from emocap.study.models import MODELS

PREDICT = 'emocap predict --model {} IMAGE "a caption"'
PREDICT_IMAGE = "emocap predict --model {} IMAGE"
PREDICT_CAPTION = 'emocap predict --model RUN "a caption"'
OF_BOTH = "{} of an image with its caption, or of a caption alone"
OF_IMAGE = "{} of an image; this model reads no captions"
OF_TRAINED_ON_IMAGES = "{} of an image; the pairs of this study have no captions"
SERVE = ("emocap serve --model RUN", "the same in a browser and over HTTP")


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


def recommendation(results: Results, represented: str, n_validation: int | None = None) -> Recommendation | None:
    """The recommended model; None where a run recorded none.

    Args:
        represented: the model that the report's verdict is about.
        n_validation: number of validation pairs; None where several seeds or folds have their own.
    """
    name = results.recommended
    if name is None:
        return None
    score, n_units = results.validation.get(name, {}).get(results.primary), _n_units(results)
    mean = f" as the mean over {_units(results)}" if n_units > 1 else ""
    by_score = "" if score is None else f", {number(score)}{mean}"
    pairs = (
        "the validation pairs" if n_validation is None else counted(n_validation, "validation pair", "validation pairs")
    )
    description = description_of(name, of_ratings=not results.labels)
    what = f" ({description})" if description else ""
    reason = (
        f"{capitalized(label_of(name))}{what} has the highest {metric_in_sentence(results.primary)} on {pairs}"
        f"{by_score}, of all models that this study saved, baselines included."
    )
    return Recommendation(name, reason, _remarks(results, name, represented), _commands(results, name))


def _commands(results: Results, name: str) -> tuple[tuple[str, str], ...]:
    what = " and ".join([*(["emotions"] if results.labels else []), *(["ratings"] if results.ratings else [])])
    if name in MODELS and MODELS[name].reads == ("image",):
        return ((PREDICT_IMAGE.format("RUN"), OF_IMAGE.format(what)), SERVE)
    command, gives = (PREDICT, OF_BOTH) if results.has_captions else (PREDICT_IMAGE, OF_TRAINED_ON_IMAGES)
    if uses_images(results, name):
        return ((command.format("RUN"), gives.format(what)), SERVE)
    commands = [(PREDICT_CAPTION, f"{what} of a caption; this model reads no images"), SERVE]
    if other := best_with_images(results):
        score = number(results.validation[other].get(results.primary))
        best = f"of the models that read images {label_of(other)} is best on the validation pairs ({score})"
        commands.append((command.format(f"RUN/{other}"), f"{gives.format(what)}; {best}"))
    return tuple(commands)


def uses_images(results: Results, name: str) -> bool:
    """Whether a model reads images; of a run that did not record it, every trained model."""
    return results.uses_images.get(name, results.kinds[name] in ("study", "ensemble"))


def best_with_images(results: Results) -> str | None:
    """The model of highest validation score among those that read images; None without one."""
    scores = {
        name: score
        for name in results.ordered_models("study", "ensemble")
        if uses_images(results, name) and (score := results.validation.get(name, {}).get(results.primary)) is not None
    }
    return max(scores, key=scores.__getitem__) if scores else None


def _n_units(results: Results) -> int:
    return len(results.seeds) * (results.folds or 1)


def _units(results: Results) -> str:
    """The seeds and folds, of which each has its own models, in words."""
    seeds = [counted(len(results.seeds), "seed", "seeds")] if len(results.seeds) > 1 else []
    return " and ".join([*seeds, *([] if results.folds is None else [f"{results.folds} folds"])])


def _remarks(results: Results, name: str, represented: str) -> list[str]:
    interval = interval_text(results.interval(name, results.primary))
    remarks = [f"On the test pairs it scores {number(results.models[name][results.primary])} {interval}".rstrip() + "."]
    if results.folds is not None:
        remarks.append(
            "The two numbers are not comparable, since each fold has few validation pairs, and those are test pairs of "
            "other folds, so that the score on the test pairs may be too high."
        )
    if _n_units(results) > 1 and results.kinds[name] != "ensemble":
        remarks.append(
            f"For use, the predictions of its models of all {_units(results)} are averaged; that average was not "
            "measured, since each test pair was in the training of most of them."
            if results.folds is not None
            else f"For use, the predictions of its models of all {_units(results)} are averaged."
        )
    if name != represented:
        remarks.append(f"The verdict above is about {label_of(represented)}, which stands for the study.")
    return remarks
