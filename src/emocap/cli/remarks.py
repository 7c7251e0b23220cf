"""What a user should know of a model, a pair or a ranking, one line each on standard error."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from emocap.cli.output import printable

if TYPE_CHECKING:
    from emocap.api.predictor import EmotionPredictor
    from emocap.api.remarks import Remark


def print_remarks(remarks: Iterable["Remark"]) -> None:
    """Print remarks on standard error."""
    print_notes(remark.text for remark in remarks)


def print_notes(texts: Iterable[str]) -> None:
    """Print sentences without their full stop, such as what an explanation leaves out, on standard error."""
    for text in texts:
        typer.echo(f"emocap: {printable(text)}", err=True)


def print_ranking_remarks(
    predictor: "EmotionPredictor", image: Any, captions: Sequence[str], emotions: Sequence[str]
) -> None:
    """Print the remarks on a model, an image, and captions that were ranked by emotions, if any.

    Args:
        image: as for `EmotionPredictor.predict`.
        captions: all that were ranked; the remarks on each are printed with it.
    """
    from emocap.api.remarks import remarks_on_ranking

    features = predictor.features([image])[0] if predictor.uses_images else None
    remarks = [*predictor.model_remarks(), *predictor.image_remarks(features)]
    if emotions:
        probabilities = predictor.probabilities_for(features, captions)
        targets = [emotion.strip().lower() for emotion in emotions]
        remarks += remarks_on_ranking(predictor.labels, probabilities, predictor.frequencies, targets)
    print_remarks(remarks)
