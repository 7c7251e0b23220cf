"""The tables of scores: a short one with intervals, all metrics with their spread, all differences."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from emocap.evaluation.metrics import METRICS, PRIMARY
from emocap.report.files.comparison import Comparison, MetricInfo
from emocap.report.files.results import Results
from emocap.report.outcome import OracleShare, best_models, oracle_share, outcome_of
from emocap.report.text import counted, description_of, interval_text, metric_name, number, signed, signed_interval
from emocap.report.verdict import compared_on_all_metrics
from emocap.study.models import display_name

GROUPS = {"Baselines": ("baseline",), "Models": ("study", "ensemble")}


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


@dataclass(frozen=True)
class ModelNote:
    """What a model is, how it compares with the prior, and its share of the oracle's gain."""

    model: str
    description: str
    comparison: str
    share: OracleShare | None
    is_oracle: bool = False


def summary_metrics(available: Iterable[str]) -> list[str]:
    """Those of the available metrics that a short table shows, the primary metric first."""
    in_order = [PRIMARY, *(name for name, metric in METRICS.items() if metric.in_summary and name != PRIMARY)]
    available = set(available)
    return [name for name in in_order if name in available]


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
            Row(name, [replace(score_cell(results, name, m, name in best[m]), spread="") for m in metrics])
            for name in results.ordered_models(*kinds)
        ]
        groups.append(Group(title, rows))
    if results.ceiling is not None:
        cells = [Cell(number(results.ceiling[metric])) for metric in metrics]
        groups.append(Group("Upper bound", [Row(display_name("ceiling"), cells)]))
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
    """The best models, none where all are equal; never the prior, whose calibration is perfect by construction."""
    every = [name for name in results.ordered_models() if name != "prior"]
    best = best_models(results, metric, results.metrics[metric], every)
    return best if len(best) < len(every) else []


def full_table(results: Results) -> list[Row]:
    """A row per metric, a cell per model in the study's order."""
    names = results.ordered_models()
    rows = []
    for metric, info in results.metrics.items():
        best = _best_marked(results, metric)
        cells = [score_cell(results, name, metric, name in best) for name in names]
        rows.append(Row(metric_name(metric), cells, info.higher_is_better))
    return rows


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
            tables.append((reference, compared, rows))
    return tables


def difference_cell(comparison: Comparison, model: str, reference: str, metric: str, info: MetricInfo) -> Cell:
    """A difference with its interval; `outcome` is empty where the interval contains zero."""
    difference = comparison.difference(model, reference, metric)
    if difference is None:
        return Cell("–")
    outcome = outcome_of(difference, info)
    n = difference.deciding_images
    return Cell(
        signed(difference.difference),
        signed_interval(difference),
        outcome="" if outcome == "inconclusive" else outcome,
        spread="" if n is None else counted(n, "image", "images"),
    )


def model_notes(results: Results) -> list[ModelNote]:
    """A note on every model, in the order of the table."""
    notes = [
        ModelNote(
            model=name,
            description=description_of(name),
            comparison=compared_on_all_metrics(results, name),
            share=None if name == "prior" else oracle_share(results, name),
        )
        for kinds in GROUPS.values()
        for name in results.ordered_models(*kinds)
    ]
    if results.ceiling is not None:
        notes.append(ModelNote(display_name("ceiling"), description_of("ceiling"), "", None, is_oracle=True))
    return notes
