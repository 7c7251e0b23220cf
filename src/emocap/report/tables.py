"""The tables of scores: a short one with intervals, all metrics with their spread, all differences."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from emocap.evaluation.human_agreement import HUMAN_METRICS
from emocap.evaluation.metrics import METRICS, PRIMARY
from emocap.report.files.comparison import MEAN_PEARSON_R, Comparison, MetricInfo
from emocap.report.files.results import Results
from emocap.report.outcome import best_models, outcome_of
from emocap.report.text import EQUAL, counted_images, interval_text, metric_name, number, signed, signed_interval
from emocap.study.models import display_name

GROUPS = {"Baselines": ("baseline", "selection"), "Models": ("study", "ensemble"), "Controls": ("control",)}


@dataclass(frozen=True)
class Cell:
    """One number of a table, with smaller text below it.

    Attributes:
        outcome: of a difference whose interval excludes zero, "better" or "worse".
        spread: of a score the standard deviation over repeats, of a difference how many images decide it.
    """

    text: str
    small: str = ""
    best: bool = False
    outcome: str = ""
    spread: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    name: str
    cells: list[Cell]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Group:
    """Rows of one kind under a heading."""

    name: str
    rows: list[Row]


def summary_metrics(available: Iterable[str]) -> list[str]:
    """Those of the available metrics that a short table shows, the primary metric first."""
    in_order = [PRIMARY, *(name for name, metric in METRICS.items() if metric.in_summary and name != PRIMARY)]
    available = list(available)
    of_ratings = [name for name in available if name == MEAN_PEARSON_R or ":" in name]
    return [*(name for name in in_order if name in available), *of_ratings]


def column_names(results: Results, metrics: list[str]) -> list[tuple[str, bool]]:
    """Each metric's display name and whether higher is better."""
    return [(metric_name(name), results.metrics[name].higher_is_better) for name in metrics]


def summary_table(results: Results) -> list[Group]:
    """Baselines, models and the oracle with a few metrics and their intervals."""
    metrics = summary_metrics(results.metrics)
    best = {metric: _best_marked(results, metric) for metric in metrics}
    groups = []
    for title, kinds in GROUPS.items():
        rows = [
            Row(
                display_name(name), [replace(score_cell(results, name, m, name in best[m]), spread="") for m in metrics]
            )
            for name in results.ordered_models(*kinds)
        ]
        groups.append(Group(title, rows))
    if results.ceiling is not None:
        cells = [Cell(number(results.ceiling[metric])) for metric in metrics]
        groups.append(Group("True probabilities", [Row(display_name("ceiling"), cells)]))
    return [group for group in groups if group.rows]


def score_cell(comparison: Comparison, model: str, metric: str, best: bool = False) -> Cell:
    """A score with its interval and, over several repeats, its standard deviation."""
    spread = ((comparison.spread or {}).get(model) or {}).get(metric)
    return Cell(
        number(comparison.models[model][metric]),
        interval_text(comparison.interval(model, metric)),
        best,
        spread="" if spread is None else f"± {spread:.3f}",
    )


def _best_marked(results: Results, metric: str) -> list[str]:
    """The models of the best value, none where all are equal or the test set is too small for a verdict.

    Never the prior, whose calibration is perfect by construction, nor a value that no resampling changes.
    """
    if not results.is_enough:
        return []
    every = [name for name in results.ordered_models("baseline", "study", "ensemble") if name != "prior"]
    best = best_models(results, metric, results.metrics[metric], every)
    return [name for name in best if _varies(results, name, metric)] if len(best) < len(every) else []


def _varies(results: Results, name: str, metric: str) -> bool:
    interval = results.interval(name, metric)
    return interval is not None and interval[1] - interval[0] > EQUAL


def full_table(results: Results) -> list[Row]:
    """A row per metric, a cell per model in the study's order."""
    names = results.ordered_models()
    rows = []
    for metric, info in results.metrics.items():
        best = _best_marked(results, metric)
        cells = [score_cell(results, name, metric, name in best) for name in names]
        rows.append(Row(metric_name(metric), cells, info.higher_is_better))
    return rows


def human_table(results: Results) -> tuple[list[str], list[tuple[str, list[str]]]] | None:
    """Columns, and rows of people and models, of the metrics in which an annotator's answer is one like a model's."""
    human = results.human
    if human is None:
        return None
    metrics = [name for name in HUMAN_METRICS if name in human.one_against_others and name in results.metrics]
    scores = {"one annotator": human.one_against_others}
    if human.split_half is not None:
        scores["half against half"] = human.split_half.metrics
    scores |= {display_name(name): human.models[name] for name in results.ordered_models() if name in human.models}
    rows = [(name, [number(values.get(metric)) for metric in metrics]) for name, values in scores.items()]
    return ([metric_name(metric) for metric in metrics], rows) if metrics else None


def difference_tables(results: Results) -> list[tuple[str, list[str], list[Row]]]:
    """For each reference the models compared with it, and a row per metric; the study's own reference first."""
    references = sorted(results.differences, key=lambda name: name != results.reference)
    tables = []
    for reference in references:
        compared = [n for n in results.ordered_models() if n in results.differences[reference] and n != reference]
        rows = [
            Row(
                metric_name(metric),
                [difference_cell(results, name, reference, metric, info) for name in compared],
                info.higher_is_better,
            )
            for metric, info in results.metrics.items()
        ]
        if compared:
            tables.append((display_name(reference), [display_name(name) for name in compared], rows))
    return tables


def difference_cell(comparison: Comparison, model: str, reference: str, metric: str, info: MetricInfo) -> Cell:
    """A difference with the interval that holds for all models compared with the reference together.

    `outcome` is empty unless that interval excludes zero and the test set is large enough for a verdict.
    """
    difference = comparison.difference(model, reference, metric)
    if difference is None:
        return Cell("–")
    outcome = outcome_of(difference, info, is_enough=comparison.is_enough, several=True)
    n = difference.deciding_images
    low, high = difference.interval(several=True)
    return Cell(
        signed(difference.difference),
        # Where no sample changes the difference, as between models that predict the same, it has no interval.
        signed_interval(difference, several=True) if high - low > EQUAL else "",
        outcome=outcome if outcome in ("better", "worse") else "",
        spread="" if n is None else counted_images(n, comparison),
    )
