"""The HTML of the page: introduction, predictions, explanation, generated captions, errors, and the CSV."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup
from PIL import Image

from emocap.api.explanation import Explanation
from emocap.api.explanation_file import fragment, tint
from emocap.api.prediction_files import rating_column
from emocap.api.requested_emotions import conflict_warning
from emocap.app.served_model import ServedModel
from emocap.app.service import Generated, Prediction, Predictions
from emocap.corpora.languages import LANGUAGE_NAMES
from emocap.evaluation.rating_metrics import RATING_PRIMARY
from emocap.html_templates import templates_of
from emocap.report.files.comparison import MEAN_PEARSON_R
from emocap.report.text import metric_in_sentence
from emocap.study.models import compared_baseline, display_name

TOP_EMOTIONS = 5
IMAGE_ALONE = "The image alone"


def intro_html(served: ServedModel) -> str:
    """What the page does, the remarks on the model, and its test scores beside those of a baseline."""
    evaluation, language = served.evaluation, served.predictor.language
    return _render(
        "intro.html",
        model=display_name(served.name),
        measured=served.measured,
        evaluation=evaluation,
        metric=None if evaluation is None else _metric_name(evaluation.metric),
        baseline=None if evaluation is None else compared_baseline(evaluation.baseline),
        interval=_interval,
        remarks=[remark.text for remark in served.predictor.model_remarks()],
        language=None if language is None else LANGUAGE_NAMES.get(language, language),
        n_emotions=len(served.predictor.labels),
        ratings=served.predictor.ratings,
        uses_images=served.predictor.uses_images,
        uses_captions=served.predictor.uses_captions,
    )


def empty_html(served: ServedModel) -> str:
    """What to do, in place of predictions."""
    return _render("results.html", cards=[], uses_images=served.predictor.uses_images)


def results_html(
    served: ServedModel,
    found: Predictions,
    targets: Sequence[str],
    avoid: Sequence[str],
) -> str:
    """The captions in order, a card each.

    Args:
        found: predictions by a caption's number, and the ranked captions.
        targets, avoid: the emotions to aim for and to avoid.
    """
    labels, frequencies = served.predictor.labels, served.frequencies
    base_rates = {} if frequencies is None else dict(zip(labels, frequencies.tolist(), strict=True))
    cards = [
        _card(served, found.predictions[candidate.number], targets, avoid)
        | {"probability": candidate.probability, "remarks": candidate.remarks}
        for candidate in found.ranked
    ]
    notes = [conflict_warning(targets), *_without_model(served, found.remarks)]
    return _render(
        "results.html",
        cards=cards,
        targets=targets,
        uses_faithfulness=any(candidate.faithfulness is not None for candidate in found.ranked),
        base_rates=base_rates,
        notes=list(filter(None, notes)),
        csv=_csv_base64(served, found, targets),
    )


def generated_html(served: ServedModel, found: Generated, targets: Sequence[str], style: str | None) -> str:
    """Captions that the captioner generated for target emotions, a style, both or neither."""
    notes = list(filter(None, [found.note, *_without_model(served, found.remarks)]))
    return _render("generated.html", captions=found.ranked, targets=targets, style=style, notes=notes)


def explanation_html(served: ServedModel, explanation: Explanation, caption: str, image: Image.Image | None) -> str:
    """The effects of words and regions, and of other wordings."""
    coloured = None if image is None else tint(image, explanation.regions)
    shown = replace(explanation, remarks=_without_model(served, explanation.remarks))
    body = Markup(fragment(shown, coloured))  # noqa: S704  escaped there
    return _render("explanation.html", explanation=shown, caption=caption or IMAGE_ALONE, body=body)


def _without_model(served: ServedModel, remarks: Sequence[str]) -> list[str]:
    """Remarks without those on the model, which stand above all results."""
    on_model = {remark.text for remark in served.predictor.model_remarks()}
    return [remark for remark in remarks if remark not in on_model]


def error_html(message: str) -> str:
    """An error in one sentence."""
    sentence = " ".join(message.split())
    return _render("error.html", sentence=sentence[0].upper() + sentence[1:])


def _metric_name(metric: str) -> str:
    """A metric's name within a sentence; Pearson's r as the mean over the ratings."""
    return metric_in_sentence(MEAN_PEARSON_R if metric == RATING_PRIMARY else metric)


def _interval(values: tuple[float, float] | None) -> str:
    return "" if values is None else f" (95% interval {values[0]:.3f} to {values[1]:.3f})"


def _card(served: ServedModel, prediction: Prediction, targets: Sequence[str], avoid: Sequence[str]) -> dict[str, Any]:
    """The top emotions of a caption, its target emotions and those to avoid, its unintended ones, and its ratings."""
    bars = [
        {
            "emotion": entry.emotion,
            "probability": entry.probability,
            "is_target": entry.emotion in targets,
            "is_avoided": entry.emotion in avoid,
        }
        for place, entry in enumerate(prediction.emotions)
        if place < TOP_EMOTIONS or entry.emotion in targets or entry.emotion in avoid
    ]
    ratings = [
        {"name": name, "value": value, "low": low, "high": high, "place": (value - low) / (high - low)}
        for (name, value), (low, high) in zip(
            prediction.ratings.items(), served.predictor.ratings.values(), strict=True
        )
    ]
    return {
        "caption": prediction.caption or IMAGE_ALONE,
        "bars": bars,
        "unintended": prediction.unintended if targets else [],
        "ratings": ratings,
    }


def _csv_base64(served: ServedModel, found: Predictions, targets: Sequence[str]) -> str:
    """All predictions, a row per caption in the order shown, as base64 of UTF-8 with a byte order mark."""
    labels, ratings = served.predictor.labels, served.predictor.ratings
    out = io.StringIO()
    writer = csv.writer(out)
    columns = [*labels, *map(rating_column, ratings)]
    writer.writerow(["rank", "caption", "target_emotions", "probability", "remarks", *columns])
    for rank, candidate in enumerate(found.ranked, 1):
        prediction = found.predictions[candidate.number]
        probabilities = {entry.emotion: entry.probability for entry in prediction.emotions}
        of_targets = f"{candidate.probability:.4f}" if targets else ""
        row = [rank, candidate.caption, " and ".join(targets), of_targets, "; ".join(candidate.remarks)]
        values = [*(probabilities[label] for label in labels), *prediction.ratings.values()]
        writer.writerow([*row, *(f"{value:.4f}" for value in values)])
    return base64.b64encode(out.getvalue().encode("utf-8-sig")).decode()


def _render(name: str, **values: Any) -> str:
    return templates_of("emocap.app").get_template(name).render(**values)
