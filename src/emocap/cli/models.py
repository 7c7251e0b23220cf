"""The command that lists the included models, and which model a command takes where none is named."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from emocap.cli.output import printable, shown_interval, shown_value

if TYPE_CHECKING:
    from emocap.classifiers.included import IncludedModel

EVALUATION = "evaluation.json"
MEGABYTE = 1_000_000


def models() -> None:
    """List the models that emocap includes: what they learned from, their test scores, and how to install them.

    Example: `emocap models`, then `emocap predict --model small "A dog waits at the door, all alone."`
    """
    from emocap.classifiers.included import included_models

    found = included_models()
    best = next((model for model in found if model.is_installed), None)
    for number, model in enumerate(found):
        if number:
            typer.echo("")
        for line in _lines(model, is_default=model is best):
            typer.echo(printable(line))


def chosen_model(model: Path | None, *, reads_images: bool = False) -> Path:
    """The folder of the model that a command takes; an included one is named in a line on standard error.

    Args:
        model: value of `--model`: a path, the name of an included model that no path has, or None for the best one.
        reads_images: whether None prefers models that learned from images.

    Raises:
        EmocapError: no included model is installed.
    """
    from emocap.classifiers.included import NAMES, included_model

    if model is not None and (model.exists() or str(model) not in NAMES):
        return model
    included = included_model(None if model is None else str(model), reads_images=reads_images)
    from emocap.evaluation.metrics import PRIMARY

    scores = _scores(_evaluation(included), [PRIMARY])
    typer.echo(f"emocap: the included model {included.name}, {scores}; see emocap models", err=True)
    return included.folder


def _lines(model: "IncludedModel", *, is_default: bool) -> list[str]:
    if model.backbone is None:
        return [f"{model.name}: not included in this version of emocap"]
    card = _card(model)
    training = card.get("training", {})
    state = "installed" if model.is_installed else f"not installed: {model.command}"
    size = sum(file.stat().st_size for file in model.folder.iterdir() if file.is_file()) / MEGABYTE
    labels = card.get("labels", [])
    lines = [
        f"{model.name}: {state}{', the default' if is_default else ''}",
        f"  predicts: {len(labels)} emotions from {'captions and images' if card.get('features') else 'captions'}",
        f"  size:     {size:.1f} MB beside the backbone {model.backbone.name}{_backbone_size(training)}",
        f"  data:     {training.get('data', 'unknown')}",
        f"  scores:   {_scores(_evaluation(model))}",
        f"  licence:  {training.get('licence', 'unknown')}",
        f"  path:     {model.folder}",
    ]
    return lines


def _backbone_size(training: dict[str, Any]) -> str:
    size = training.get("backbone_bytes")
    return f" ({size / MEGABYTE:.0f} MB)" if isinstance(size, int) else ""


def _scores(evaluation: dict[str, Any], metrics: Iterable[str] | None = None) -> str:
    """Held-out scores with 95% intervals in one line, of all metrics or of these."""
    from emocap.evaluation.metrics import METRICS

    measured = evaluation.get("measured") or {}
    scores, intervals = measured.get("scores", {}), measured.get("intervals", {})
    parts = [
        f"{METRICS[metric].short_name} {shown_value(scores[metric])}{shown_interval(intervals.get(metric))}"
        for metric in (METRICS if metrics is None else metrics)
        if metric in scores
    ]
    return f"{', '.join(parts)} on {measured['pairs']:,} test pairs" if parts else "test scores unknown"


def _card(model: "IncludedModel") -> dict[str, Any]:
    from emocap.training.card_file import CARD

    return _values(model.folder / CARD)


def _evaluation(model: "IncludedModel") -> dict[str, Any]:
    return _values(model.folder / EVALUATION)


def _values(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none."""
    from emocap.classifiers.required_backbone import RESTORE
    from emocap.files import read_json

    values: Any = read_json(path, RESTORE) if path.is_file() else {}
    return values if isinstance(values, dict) else {}
