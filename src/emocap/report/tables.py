"""The tables of scores: one compact one with intervals, all metrics with spreads, all differences."""

from dataclasses import dataclass, replace

from emocap.report.files.results import PRIMARY, Comparison, Metric, Results
from emocap.report.text import WHAT_IT_IS, between, counted, metric_name, number, signed, signed_interval
from emocap.report.verdict import Share, against, best_models, share_of_ceiling, standing

COMPACT = (PRIMARY, "top1_accuracy", "top3_accuracy", "recall_at_3", "micro_f1", "expected_calibration_error")
GROUPS = {"Baselines": ("baseline",), "Models": ("study", "ensemble")}


@dataclass(frozen=True)
class Cell:
    """One number of a table with what stands small below it.

    Attributes:
        spread: of a score the standard deviation over repeats, of a difference how many images decide it.
    """

    text: str
    small: str = ""
    best: bool = False
    standing: str = ""
    spread: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    name: str
    cells: list[Cell]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Group:
    """Rows of one kind under their heading."""

    name: str
    rows: list[Row]


@dataclass(frozen=True)
class Meaning:
    """What a name means, how it stands to the prior, and how near it comes to the ceiling."""

    model: str
    what: str
    words: str
    share: Share | None
    is_ceiling: bool = False


def compact_metrics(results: Results) -> dict[str, Metric]:
    """The handful of metrics of the compact table that a study has."""
    return {name: results.metrics[name] for name in COMPACT if name in results.metrics}


def compact_table(results: Results) -> list[Group]:
    """Baselines, models and the ceiling with the handful of metrics and their intervals."""
    metrics = compact_metrics(results)
    best = {metric: _starred(results, metric, rule) for metric, rule in metrics.items()}
    groups = []
    for title, kinds in GROUPS.items():
        rows = [
            Row(name, [replace(score_cell(results, name, m, name in best[m]), spread="") for m in metrics])
            for name in results.ordered_models(*kinds)
        ]
        groups.append(Group(title, rows))
    if results.ceiling is not None:
        cells = [Cell(number(results.ceiling[metric])) for metric in metrics]
        groups.append(Group("Best reachable", [Row("ceiling", cells)]))
    return [group for group in groups if group.rows]


def score_cell(comparison: Comparison, model: str, metric: str, best: bool = False) -> Cell:
    """A score with its interval and, over several repeats, its standard deviation."""
    spread = ((comparison.spread or {}).get(model) or {}).get(metric)
    return Cell(
        number(comparison.models[model][metric]),
        between(comparison.interval(model, metric)),
        best,
        spread="" if spread is None else f"± {spread:.3f}",
    )


def _starred(results: Results, metric: str, rule: Metric) -> list[str]:
    """The best models, none where all are equally good; the prior is calibrated for nothing, so it gets no star."""
    every = [name for name in results.ordered_models() if name != "prior"]
    best = best_models(results, metric, rule, every)
    return best if len(best) < len(every) else []


def full_table(results: Results) -> list[Row]:
    """A row per metric, a cell per model in the study's order."""
    names = results.ordered_models()
    rows = []
    for metric, rule in results.metrics.items():
        best = _starred(results, metric, rule)
        cells = [score_cell(results, name, metric, name in best) for name in names]
        rows.append(Row(metric_name(metric), cells, rule.higher_is_better))
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
                [difference_cell(results, name, reference, metric, rule) for name in compared],
                rule.higher_is_better,
            )
            for metric, rule in results.metrics.items()
        ]
        if compared:
            tables.append((reference, compared, rows))
    return tables


def difference_cell(comparison: Comparison, model: str, reference: str, metric: str, rule: Metric) -> Cell:
    """A difference with its interval; `standing` is empty where zero lies inside."""
    difference = comparison.difference(model, reference, metric)
    if difference is None:
        return Cell("–")
    stands = standing(difference, rule)
    n = difference.deciding_images
    return Cell(
        signed(difference.difference),
        signed_interval(difference),
        standing="" if stands == "open" else stands,
        spread="" if n is None else counted(n, "image", "images"),
    )


def meanings(results: Results) -> list[Meaning]:
    """What each name means, in the order of the table."""
    rows = [
        Meaning(
            model=name,
            what=WHAT_IT_IS.get(name, ""),
            words=against(results, name),
            share=None if name == "prior" else share_of_ceiling(results, name),
        )
        for kinds in GROUPS.values()
        for name in results.ordered_models(*kinds)
    ]
    if results.ceiling is not None:
        rows.append(Meaning("ceiling", WHAT_IT_IS["ceiling"], "", None, is_ceiling=True))
    return rows
