"""Figures of reliability, human agreement and the modality ablation."""

import numpy as np

from emocap.evaluation.human_agreement import HUMAN_METRICS
from emocap.report.files.results import Human, Results
from emocap.report.outcome import human_share
from emocap.report.plots.axes import Look, dots, look_of
from emocap.report.plots.figure import HEIGHT, Drawing, drawing_of, sentence_of
from emocap.report.plots.intervals import Estimate, estimates, places_of, reliability_lines
from emocap.report.plots.svg import SERIES
from emocap.report.power import FEW_POSITIVES, is_rare, of_frequent
from emocap.report.scaling import methods_in_words
from emocap.report.text import counted, counted_reason, label_of, metric_in_sentence, metric_name, number
from emocap.study.models import display_name
from emocap.study.views import views_of

ROW, MAX_ROWS = 0.3, 40
# One metric each of the first emotion, the first three, and the set of all predicted ones.
HUMAN_LOOKS = dict(
    zip(HUMAN_METRICS, (Look(SERIES[1], "s"), Look(SERIES[2], "v"), Look(SERIES[0], "o", True)), strict=True)
)


def reliability(results: Results, models: list[str]) -> Drawing | None:
    """Reliability of up to two models before and after scaling; None where none was calibrated."""
    shown = [name for name in dict.fromkeys(models) if name in results.calibration][:2]
    if not shown:
        return None
    curves, parts = [], []
    for name, colour in zip(shown, SERIES[: len(shown)], strict=True):
        calibration = results.calibration[name]
        words = f"{label_of(name)}’s expected calibration error is {number(calibration.ece_before)}"
        if not calibration.is_scaled:
            curves.append((name, colour, calibration.before, True))
            words += " (not scaled)"
        else:
            curves.append((f"{name}, before", colour, calibration.before, False))
            curves.append((f"{name}, after", colour, calibration.after, True))
            words += f" before scaling and {number(calibration.ece_after)} after ({methods_in_words(calibration)})"
        parts.append(words)
    prior = results.calibration.get("prior")
    if prior is not None and "prior" not in shown:
        parts.append(f"the prior’s is {number(prior.ece_after)}")
    caption = sentence_of(parts) + " Small dots are bins of fewer than 20 predictions."
    return drawing_of("reliability", HEIGHT + 0.5, reliability_lines(curves), "Reliability diagram", caption)


def brier_skill(results: Results, models: list[str]) -> Drawing | None:
    """Brier skill of each emotion for a few models, with the prior at zero; None where none is recorded."""
    shown = [name for name in models if name != "prior" and name in results.calibration]
    entries = {name: results.calibration[name].per_emotion for name in shown}
    labels = [
        label
        for label in results.labels
        if any((entry := emotions.get(label)) and entry.brier_skill is not None for emotions in entries.values())
    ]
    if not labels:
        return None
    values = {
        display_name(name): [emotions[label].brier_skill if label in emotions else None for label in labels[:MAX_ROWS]]
        for name, emotions in entries.items()
    }
    parts = []
    for name, emotions in entries.items():
        frequent = [label for label in labels if label in emotions and not is_rare(results, label)]
        known = [skill for label in frequent if (skill := emotions[label].brier_skill) is not None]
        above = sum(skill > 0 for skill in known)
        if known:
            words = f"{label_of(name)}’s Brier score is below the prior’s"
            parts.append(f"{words} on {above} of {of_frequent(len(known))}")
    if len(labels) > MAX_ROWS:
        parts.append(f"only the {MAX_ROWS} most frequent of {len(labels)} emotions are shown")
    draw = dots(
        labels[:MAX_ROWS],
        values,
        "Brier skill",
        {display_name(name): look_of(name) for name in shown},
        line=(0.0, "the prior"),
        columns=3,
    )
    caption = (
        sentence_of(parts or [f"no emotion has {FEW_POSITIVES} test positives"])
        + " Skill is 1 − Brier score ÷ the prior’s; below zero, base rates are the better forecast."
    )
    height = 0.24 * len(labels[:MAX_ROWS]) + 1.0
    return drawing_of("brier-skill", height, draw, "Brier skill by emotion", caption)


def human_agreement(results: Results, model: str) -> Drawing | None:
    """Each model's share of what one annotator reaches against the others; None without separate annotators."""
    human = results.human
    if human is None:
        return None
    models = [name for name in results.ordered_models() if name in human.shares]
    measured = [name for name in HUMAN_METRICS if any(human.shares[m].get(name) is not None for m in models)]
    metrics = [name for name in measured if name in results.metrics]
    if not models or not metrics:
        return None
    draw = dots(
        [display_name(name) for name in models],
        {metric_name(metric): [human.shares[name].get(metric) for name in models] for metric in metrics},
        "share of one annotator’s score",
        {metric_name(metric): look for metric, look in HUMAN_LOOKS.items()},
        line=(1.0, "one annotator"),
        columns=2,
    )
    caption = (
        sentence_of([*_reached(results, human, model, metrics), _split_half(human)])
        + " "
        + _pairs_and_annotators(human)
    )
    title = "Models as a share of one annotator against the others"
    return drawing_of("human-agreement", ROW * len(models) + 1.3, draw, title, caption.strip())


def _reached(results: Results, human: Human, model: str, metrics: list[str]) -> list[str]:
    parts = []
    for metric in metrics:
        share, score = human_share(results, model, metric), human.models.get(model, {}).get(metric)
        if share is not None:
            words = f"{share} of one annotator’s {metric_in_sentence(metric)}"
            parts.append(f"{words} ({number(score)} of {number(human.one_against_others.get(metric))})")
    return [f"{label_of(model)} reaches {', '.join(parts)}"] if parts else []


def _split_half(human: Human) -> str:
    halves = human.split_half
    if halves is None or halves.correlation is None:
        return ""
    words = f"split-half agreement: the votes of two halves of the annotators correlate {number(halves.correlation)}"
    if halves.spearman_brown is not None:
        words += f" ({number(halves.spearman_brown)} by Spearman–Brown)"
    return words + f", mean of {counted(halves.n_splits, 'split', 'splits')}"


def _pairs_and_annotators(human: Human) -> str:
    words = counted(human.n_pairs, "pair", "pairs")
    annotators = human.annotators
    if {"least", "median", "most"} <= set(annotators):
        least, most = annotators["least"], annotators["most"]
        words += (
            f" with {least:g} {'annotator' if least == 1 else 'annotators'} each"
            if least == most
            else f" with {least:g} to {most:g} annotators, median {annotators['median']:g}"
        )
    left_out = [counted_reason(count, reason) for reason, count in human.left_out.items() if count]
    return words + (f"; left out: {', '.join(left_out)}." if left_out else ".")


def modality_ablation(results: Results) -> Drawing | None:
    """Scores with image or caption removed or swapped; None where that was not measured."""
    ablation = results.modality_ablation
    if ablation is None:
        return None
    views = views_of(has_captions=ablation.has_captions)
    rows = [
        Estimate(
            words,
            ablation.models[name][results.primary],
            ablation.interval(name, results.primary),
            group={"both": "both", "caption_only": "alone", "image_only": "alone"}.get(name, "other"),
            strong=name == "both",
        )
        for name, words in views.items()
        if name in ablation.models
    ]
    both = ablation.models["both"][results.primary]
    line = None if both is None else (both, views["both"])
    scores = [f"{row.name} {number(row.value)}" for row in rows]
    caption = f"{counted(ablation.n_pairs, 'test pair', 'test pairs')} with an image: {', '.join(scores)}."
    height = ROW * float(np.max(places_of(rows))) + 1.35
    draw = estimates(rows, metric_in_sentence(results.primary), line)
    title = f"Modality ablation of {label_of(ablation.model)}"
    return drawing_of("modality-ablation", height, draw, title, caption)
