"""The served model: its classifier and captioner, its test scores, and examples for the page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emocap.api.captioner import EmotionCaptioner
from emocap.api.predictor import EmotionPredictor
from emocap.app.examples import Example, load_examples
from emocap.captioning.checkpoint import find_captioner
from emocap.errors import EmocapError
from emocap.files import read_json

DEMO_RUNS = ("runs/demo-captions", "runs/demo")
METRIC_NAMES = ("top1_accuracy", "top3_accuracy", "recall_at_3", "mean_average_precision")


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
        frequencies: (E,) share of the training pairs with each emotion, or None.
    """

    predictor: EmotionPredictor
    captioner: EmotionCaptioner | None
    name: str
    folder: Path
    measured: HeldOutScores | None
    frequencies: np.ndarray | None
    examples: list[Example]


def load_served(folder: Path | None, *, allow_other_features: bool = False) -> ServedModel:
    """Load a run with a captioner, a run, or a model folder; None loads the demo's run.

    Raises:
        EmocapError: there is no model, or a damaged one.
    """
    if folder is None:
        folder = next((Path(place) for place in DEMO_RUNS if (Path(place) / "results.json").is_file()), None)
        if folder is None:
            raise EmocapError(
                f"serve: no demo run here ({' or '.join(DEMO_RUNS)}); run emocap demo, or give --model DIR"
            )
    place = find_captioner(folder)
    captioner = None
    if place is not None:
        captioner = EmotionCaptioner.from_pretrained(place, allow_other_features=allow_other_features)
        predictor = captioner.ranker
    else:
        predictor = EmotionPredictor.from_pretrained(_classifier(folder), allow_other_features=allow_other_features)
    run = _run_of(predictor.folder)
    examples = load_examples(run, predictor)
    # The first prediction loads what is loaded lazily.
    predictor.predict(examples[0].image, examples[0].captions[0])
    predictor.caption_warnings(examples[0].captions[0])
    frequencies = predictor.frequencies
    return ServedModel(
        predictor=predictor,
        captioner=captioner,
        name=predictor.name,
        folder=predictor.folder,
        measured=None if run is None else _held_out_scores(run, predictor.name),
        frequencies=None if frequencies is None else np.array(frequencies),
        examples=examples,
    )


def _classifier(folder: Path) -> Path:
    """The folder itself; of a run, AnB+, else the teacher."""
    for name in ("AnB+", "teacher"):
        if (folder / "results.json").is_file() and (folder / name / "model" / "emocap.json").is_file():
            return folder / name
    return folder


def _run_of(folder: Path) -> Path | None:
    """The run directory that contains a model folder."""
    return next((place for place in list(folder.resolve().parents)[:3] if (place / "results.json").is_file()), None)


def _held_out_scores(run: Path, name: str) -> HeldOutScores | None:
    try:
        results = read_json(run / "results.json")
        scores, prior = results["models"][name], results["models"]["prior"]
        intervals = results["intervals"][name]
        return HeldOutScores(
            int(results["n_test_pairs"]),
            {metric: float(scores[metric]) for metric in METRIC_NAMES},
            {metric: float(prior[metric]) for metric in METRIC_NAMES},
            {metric: (float(intervals[metric][0]), float(intervals[metric][1])) for metric in METRIC_NAMES},
            read_json(run / "manifest.json")["config"]["target"].get("oracle") is not None,
        )
    except (EmocapError, AttributeError, KeyError, TypeError, ValueError):
        return None  # missing or damaged results do not prevent serving
