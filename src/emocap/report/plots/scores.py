"""Figures of scores on the test pairs: the transferred models by metric, and models by emotion."""

from emocap.evaluation.metrics import METRICS
from emocap.report.files.comparison import PER_EMOTION
from emocap.report.files.results import Results
from emocap.report.outcome import gain
from emocap.report.plots.axes import dots, look_of
from emocap.report.plots.figure import Drawing, drawing_of, sentence_of
from emocap.report.plots.training import TRANSFERRED
from emocap.report.power import FEW_POSITIVES, is_rare, of_frequent
from emocap.report.text import counted, interval_text, label_of, metric_in_sentence, metric_name, number
from emocap.study.models import display_name

ROW, MAX_ROWS = 0.24, 40


def transfer_metrics(results: Results) -> Drawing | None:
    """The metrics of AnB and AnB+ with those of the prior and the oracle; None without AnB and AnB+."""
    runs = [name for name in TRANSFERRED if name in results.models]
    if not runs:
        return None
    scores = {name: results.models[name] for name in ("prior", *runs)}
    if results.ceiling is not None:
        scores["ceiling"] = results.ceiling
    metrics = {
        name: results.metrics[name] for name, metric in METRICS.items() if metric.in_figure and name in results.metrics
    }
    rows = [metric_name(name) + (" ↑" if info.higher_is_better else " ↓") for name, info in metrics.items()]
    values = {display_name(model): [scores[model][metric] for metric in metrics] for model in scores}
    parts = [
        f"{name} has a {metric_in_sentence(results.primary)} of {number(results.models[name][results.primary])} "
        f"{interval_text(results.interval(name, results.primary))}".rstrip()
        for name in runs
    ]
    if len(runs) == 2:
        frozen, fine_tuned = runs
        gains = [gain(scores[fine_tuned][metric], scores[frozen][metric], info) for metric, info in metrics.items()]
        known = [value for value in gains if value is not None]
        parts.append(
            f"{fine_tuned} scores better than {frozen} on {sum(value > 0 for value in known)} of these {len(known)} "
            "metrics"
        )
    caption = sentence_of(parts) + " Arrows show whether higher or lower is better."
    draw = dots(rows, values, "score", {display_name(model): look_of(model) for model in scores})
    title = f"{' against '.join(runs)}: metrics on the test pairs"
    return drawing_of("transfer-metrics", 0.30 * len(rows) + 0.85, draw, title, caption)


def emotion_scores(results: Results, models: list[str]) -> Drawing | None:
    """Average precision of each emotion for a few models, the last against the first; None where none is recorded."""
    labels = [label for label in results.labels if any(PER_EMOTION in results.models[name] for name in models)]
    if not labels:
        return None
    shown = labels[:MAX_ROWS]
    every = {name: [results.models[name].get(PER_EMOTION, {}).get(label) for label in labels] for name in models}
    values = {display_name(name): column[: len(shown)] for name, column in every.items()}
    parts = []
    if len(models) > 1:
        first, last = models[0], models[-1]
        columns = zip(labels, every[last], every[first], strict=True)
        both = [
            (own, other)
            for label, own, other in columns
            if own is not None and other is not None and not is_rare(results, label)
        ]
        higher = sum(own > other for own, other in both)
        parts.append(
            f"{label_of(last)} scores higher than {label_of(first)} on {higher} of {of_frequent(len(both))}"
            if both
            else f"no emotion has {FEW_POSITIVES} test positives"
        )
    without = sum(all(column[row] is None for column in every.values()) for row in range(len(labels)))
    if without:
        parts.append(f"{counted(without, 'emotion has', 'emotions have')} no test pair and no score")
    if len(shown) < len(labels):
        parts.append(f"only the {len(shown)} most frequent of {len(labels)} emotions are shown")
    looks = {display_name(name): look_of(name) for name in models}
    draw = dots(shown, values, "average precision", looks, empty="no test pair")
    title = "Average precision by emotion"
    return drawing_of("emotion-scores", ROW * len(shown) + 0.85, draw, title, sentence_of(parts))
