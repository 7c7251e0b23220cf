"""The served model: its classifier and captioner, its test scores, and examples for the page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from emocap.api.captioner import EmotionCaptioner
from emocap.api.predictor import EmotionPredictor
from emocap.app.examples import Example, load_examples
from emocap.captioning.checkpoint import find_captioner
from emocap.classifiers.evaluation_file import EVALUATION, read_evaluation
from emocap.classifiers.included import MODEL_CARD
from emocap.classifiers.places import run_directory
from emocap.errors import EmocapError
from emocap.evaluation.verdicts import Verdict
from emocap.files import read_json, read_text
from emocap.progress import logger

METRIC_NAMES = ("top1_accuracy", "top3_accuracy", "recall_at_3", "mean_average_precision")


@dataclass(frozen=True)
class RatingScores:
    """What the model scored on one rating of the test pairs.

    Attributes:
        range: lowest and highest value of the scale.
        scores, intervals: `pearson_r`, `ccc` and `rmse`, the last in units of the scale, and their 95% intervals.
    """

    range: tuple[float, float]
    scores: dict[str, float | None]
    intervals: dict[str, tuple[float, float] | None]


@dataclass(frozen=True)
class Evaluation:
    """What the model scored in its study, beside the baseline that validation chose, from `evaluation.json`.

    Attributes:
        data: name of the study.
        n_pairs, n_images: of the test pairs.
        metric: key of the metric of the scores; "pearson_r" is the mean over the ratings.
        score, baseline_score: None if the metric cannot vary in this study.
        interval, baseline_interval, difference: 95% intervals, and the difference with its own.
        baseline: name of that baseline.
        verdict: what the test pairs show, in a sentence or two.
        version: of emocap.
        model_hash: SHA-256 of the model's files.
        decision: "better" than the baseline, "worse", "inconclusive", or "cannot tell" from so few pairs; None if it
            is unknown.
        ratings: scores of each rating; None for a model without ratings.
    """

    data: str
    n_pairs: int
    n_images: int
    metric: str
    score: float | None
    interval: tuple[float, float] | None
    baseline: str
    baseline_score: float | None
    baseline_interval: tuple[float, float] | None
    difference: dict[str, float] | None
    verdict: str
    version: str
    model_hash: str
    decision: Verdict | None = None
    ratings: dict[str, RatingScores] | None = None

    @property
    def is_beaten(self) -> bool:
        """Whether the baseline is better, as far as so many test pairs can tell."""
        return self.decision == "worse"


@dataclass(frozen=True)
class HeldOutScores:
    """A classifier's scores on the held-out pairs of its study, with the baseline `prior`.

    Attributes:
        pairs: number of test pairs.
        scores, prior: metric to value, of the classifier and of the label frequencies.
        intervals: metric to the 95% interval of the classifier's score.
        synthetic: whether the images and captions are of the demo, drawn and worded by emocap itself.
    """

    pairs: int
    scores: dict[str, float]
    prior: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    synthetic: bool


@dataclass
class ServedModel:
    """A classifier, its captioner if any, and what the page shows about them.

    Attributes:
        folder: folder of the classifier.
        evaluation: None if the model was not evaluated.
        frequencies: (E,) share of the training pairs with each emotion, or None.
        card: what the folder says of its model in Markdown; None without such a file.
    """

    predictor: EmotionPredictor
    captioner: EmotionCaptioner | None
    name: str
    folder: Path
    measured: HeldOutScores | None
    evaluation: Evaluation | None
    frequencies: np.ndarray | None
    examples: list[Example]
    card: str | None = None

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles of captions that can be requested; empty if there are none, or no captioner."""
        return () if self.captioner is None else self.captioner.styles


def load_served(folder: Path, *, allow_other_features: bool = False) -> ServedModel:
    """Load a run with a captioner, the model that a run recommends, or a model folder.

    Raises:
        EmocapError: there is no model, or a damaged one.
    """
    place = find_captioner(folder)
    captioner = None
    if place is not None:
        captioner = EmotionCaptioner.from_pretrained(place, allow_other_features=allow_other_features)
        predictor = captioner.ranker
    else:
        predictor = EmotionPredictor.from_pretrained(folder, allow_other_features=allow_other_features)
    run = run_directory(predictor.folder)
    examples = load_examples(run, predictor)
    # The first prediction and explanation load what is loaded lazily, which would hold up other requests later.
    predictor.predict(examples[0].image, examples[0].captions[0])
    predictor.remarks(examples[0].image, examples[0].captions[0])
    predictor.explain(None, examples[0].captions[0])
    frequencies = predictor.frequencies
    return ServedModel(
        predictor=predictor,
        captioner=captioner,
        name=predictor.name,
        folder=predictor.folder,
        measured=_recorded_scores(predictor.folder) if run is None else _held_out_scores(run, predictor.name),
        evaluation=_evaluation(predictor.folder),
        frequencies=None if frequencies is None else np.array(frequencies),
        examples=examples,
        card=_model_card(predictor.folder),
    )


def _model_card(folder: Path) -> str | None:
    path = folder / MODEL_CARD
    return read_text(path) if path.is_file() else None


def _evaluation(folder: Path) -> Evaluation | None:
    values = read_evaluation(folder)
    try:
        return None if values is None else TypeAdapter(Evaluation).validate_python(values)
    except ValidationError:  # such scores do not prevent serving
        logger.warning("%s: lacks what a study writes, so the scores are not shown", folder / EVALUATION)
        return None


def _recorded_scores(folder: Path) -> HeldOutScores | None:
    """The scores that are recorded beside a model which is in no run, such as an included one."""
    values = read_evaluation(folder)
    try:
        return None if values is None else TypeAdapter(HeldOutScores).validate_python(values["measured"])
    except (KeyError, ValidationError):
        return None


def _held_out_scores(run: Path, name: str) -> HeldOutScores | None:
    try:
        results = read_json(run / "results.json")
        scores, prior, intervals = results["models"][name], results["models"]["prior"], results["intervals"][name]
        metrics = [metric for metric in METRIC_NAMES if metric in scores]  # others cannot vary in this study
        return HeldOutScores(
            int(results["n_test_pairs"]),
            {metric: float(scores[metric]) for metric in metrics},
            {metric: float(prior[metric]) for metric in metrics},
            {metric: (float(intervals[metric][0]), float(intervals[metric][1])) for metric in metrics},
            read_json(run / "manifest.json")["config"]["target"].get("oracle") is not None,
        )
    except (EmocapError, AttributeError, KeyError, TypeError, ValueError):
        return None  # missing or damaged results do not prevent serving
