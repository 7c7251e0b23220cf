"""Figures that tell how far scores can be trusted: reliability, people against each other, what carries the signal."""

import numpy as np

from emocap.report.files.results import PRIMARY, VIEWS, Human, Results
from emocap.report.plots.axes import dots
from emocap.report.plots.intervals import Estimate, estimates, places_of, reliability_lines
from emocap.report.plots.study import HEIGHT, Drawing, drawing_of, sentence_of
from emocap.report.plots.svg import SERIES
from emocap.report.text import counted, in_sentence, metric_name, number, percent, the

ROW = 0.3
IN_SHARES = ("top1_accuracy", "recall_at_3", PRIMARY)
VIEW_NAMES = {
    "both": "picture and caption",
    "caption_only": "caption only",
    "image_only": "picture only",
    "other_image": "another pair’s picture",
    "other_caption": "another pair’s caption",
}


def reliability(results: Results, models: list[str]) -> Drawing | None:
    """Reliability of up to two models before and after scaling; None where none was calibrated."""
    shown = [name for name in dict.fromkeys(models) if name in results.calibration][:2]
    if not shown:
        return None
    curves, parts = [], []
    for name, colour in zip(shown, SERIES[: len(shown)], strict=True):
        found = results.calibration[name]
        curves += [(f"{name}, before", colour, found.before, False), (f"{name}, after", colour, found.after, True)]
        words = f"{the(name)}’s expected calibration error is {number(found.ece_before)} before scaling"
        words += f" and {number(found.ece_after)} after"
        if found.temperature:
            low, high = min(found.temperature), max(found.temperature)
            at = f"temperature {low:.2f}" if high - low < 0.005 else f"temperatures {low:.2f} to {high:.2f}"
            words += f" ({at})"
        parts.append(words)
    caption = sentence_of(parts) + " Small dots are bins of fewer than 20 answers."
    draw = reliability_lines(curves)
    return drawing_of("reliability", HEIGHT + 0.5, draw, "Are the probabilities true?", caption)


def human_ceiling(results: Results, leader: str) -> Drawing | None:
    """Each model's share of what one annotator reaches against the others; None without annotators kept apart."""
    human = results.human
    if human is None:
        return None
    models = [name for name in results.ordered_models() if name in human.shares]
    metrics = [name for name in IN_SHARES if any(human.shares[m].get(name) is not None for m in models)]
    if not models or not metrics:
        return None
    looks = {"top1_accuracy": "AnB", "recall_at_3": "student", PRIMARY: "AnB+"}
    values = {metric: [human.shares[model].get(metric) for model in models] for metric in metrics}
    draw = dots(
        models,
        {metric_name(metric): column for metric, column in values.items()},
        "share of one annotator’s score",
        looks={metric_name(metric): looks[metric] for metric in metrics},
        line=(1.0, "one annotator"),
        columns=2,
    )
    caption = sentence_of([*_reached(human, leader, metrics), _halves(human)]) + " " + _counted(human)
    title = "Models as a share of one annotator against the others"
    return drawing_of("human-ceiling", ROW * len(models) + 1.3, draw, title, caption.strip())


def _reached(human: Human, leader: str, metrics: list[str]) -> list[str]:
    parts = []
    for metric in metrics:
        share, own = human.shares.get(leader, {}).get(metric), human.models.get(leader, {}).get(metric)
        if share is not None:
            words = f"{percent(share)} of one annotator’s {in_sentence(metric)}"
            parts.append(f"{words} ({number(own)} of {number(human.one_against_others.get(metric))})")
    return [f"{the(leader)} reaches {', '.join(parts)}"] if parts else []


def _halves(human: Human) -> str:
    halves = human.split_half
    if halves is None or halves.correlation is None:
        return ""
    words = f"split-half agreement: the votes of two halves of the annotators correlate {number(halves.correlation)}"
    if halves.spearman_brown is not None:
        words += f" ({number(halves.spearman_brown)} by Spearman–Brown)"
    return words + f", mean of {counted(halves.n_splits, 'split', 'splits')}"


def _counted(human: Human) -> str:
    words = counted(human.n_pairs, "pair", "pairs")
    people = human.annotators
    if {"least", "median", "most"} <= set(people):
        words += f" with {people['least']:g} to {people['most']:g} annotators, median {people['median']:g}"
    left_out = [f"{count:,} {reason}" for reason, count in human.left_out.items() if count]
    return words + (f"; left out: {', '.join(left_out)}." if left_out else ".")


def what_carries_the_signal(results: Results) -> Drawing | None:
    """Scores with picture or caption taken away or exchanged; None where that was not measured."""
    signal = results.signal
    if signal is None:
        return None
    views = [name for name in VIEWS if name in signal.models]
    rows = [
        Estimate(
            VIEW_NAMES[name],
            signal.models[name][PRIMARY],
            signal.interval(name, PRIMARY),
            group={"both": "both", "caption_only": "alone", "image_only": "alone"}.get(name, "other"),
            strong=name == "both",
        )
        for name in views
    ]
    both = signal.models["both"][PRIMARY]
    line = None if both is None else (both, "picture and caption")
    scores = [f"{row.name} {number(row.value)}" for row in rows]
    caption = f"{counted(signal.n_pairs, 'test pair', 'test pairs')} with a picture: {', '.join(scores)}."
    height = ROW * float(np.max(places_of(rows))) + 1.35
    draw = estimates(rows, in_sentence(PRIMARY), line)
    title = f"What carries the signal in {the(signal.model)}"
    return drawing_of("signal", height, draw, title, caption.strip())
