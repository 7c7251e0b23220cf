"""The comparison of several runs as a page, as a table on the terminal, and in words."""

from pathlib import Path
from typing import Any

from emocap.files import write_text
from emocap.report.compare import ComparedRuns
from emocap.report.compare_pairs import ComparedRow, RunResults
from emocap.report.files.results import Results
from emocap.report.legends import marks_in_words
from emocap.report.outcome import IN_WORDS, outcome_of
from emocap.report.page import render_page
from emocap.report.plots.figure import Drawing, drawing_of
from emocap.report.plots.intervals import Estimate, estimates, places_of
from emocap.report.power import too_small
from emocap.report.tables import Row, column_names, difference_cell, score_cell, summary_metrics
from emocap.report.text import (
    counted,
    interval_text,
    metric_in_sentence,
    metric_name,
    number,
    with_interval,
)
from emocap.report.verdict import n_training_runs, training_runs


def findings(compared: ComparedRuns) -> list[str]:
    """One sentence on each row that was compared with the first."""
    first = compared.rows[0].name
    if compared.paired is None:
        return []
    if not compared.paired.is_enough:
        return [f"No verdict: {too_small(compared.paired)}."]
    sentences = []
    for row in compared.rows[1:]:
        if row.difference is not None:
            outcome = outcome_of(row.difference, compared.info, is_enough=True, several=True)
            runs = training_runs_of(compared.rows[0], row)
            sentences.append(
                f"{row.name} {IN_WORDS[outcome]} {first}: {with_interval(row.difference, several=True)}{runs}."
            )
    return sentences


def training_runs_of(first: ComparedRow, row: ComparedRow) -> str:
    """How often the trained ones of two models were trained, where that is too rare to know how much they vary."""
    trained = [(each.run.results, each.model) for each in (first, row)]
    kinds = ("study", "control", "ensemble")
    trained = [(results, model) for results, model in trained if results.kinds[model] in kinds]
    return training_runs(*min(trained, key=lambda each: n_training_runs(*each))) if trained else ""


def terminal_table(compared: ComparedRuns) -> Any:
    """A rich table of the rows by the requested metric."""
    from rich.table import Table
    from rich.text import Text

    arrow = "↑" if compared.info.higher_is_better else "↓"
    table = Table(
        "run and model", f"{metric_name(compared.metric)} {arrow}", "minus the first row", "images that differ"
    )
    for row in compared.rows:
        score = f"{number(row.score)} {interval_text(row.interval)}"
        difference = "–" if row.difference is None else with_interval(row.difference, several=True)
        deciding = None if row.difference is None else row.difference.deciding_images
        table.add_row(Text(row.name), score, difference, "–" if deciding is None else f"{deciding:,}")
    return table


def write_comparison(compared: ComparedRuns, out: Path) -> Path:
    """Write the comparison as one self-contained page, completely or not at all; returns its absolute path."""
    results = compared.rows[0].run.results
    shown = list(dict.fromkeys([compared.metric, *summary_metrics(results.metrics)]))
    common = [name for name in shown if all(name in row.run.results.metrics for row in compared.rows)]
    html = render_page(
        "compare.html",
        metric=metric_in_sentence(compared.metric),
        columns=column_names(results, common),
        rows=[
            Row(row.name, [score_cell(row.run.results, row.model, name) for name in common]) for row in compared.rows
        ],
        differences=_difference_rows(compared, common),
        first=compared.rows[0].name,
        findings=findings(compared),
        marks="" if compared.paired is None else marks_in_words(compared.paired, several_metrics=True),
        intervals_over=(compared.paired or results).intervals_over,
        remarks=compared.remarks,
        score_figure=score_figure(compared),
        runs=[(run.name, str(run.folder), _about(run.results)) for run in _runs(compared)],
        n_bootstrap=results.n_bootstrap,
    )
    write_text(out, html)
    return out.resolve()


def _difference_rows(compared: ComparedRuns, metrics: list[str]) -> list[Row]:
    if compared.paired is None:
        return []
    infos, first = compared.rows[0].run.results.metrics, compared.rows[0].name
    paired = compared.paired
    return [
        Row(row.name, [difference_cell(paired, row.name, first, name, infos[name]) for name in metrics])
        for row in compared.rows[1:]
        if row.name in paired.models
    ]


def score_figure(compared: ComparedRuns) -> Drawing:
    """Every row's score with its interval."""
    rows = [
        Estimate(row.name, row.score, row.interval, group=row.run.name, strong=index == 0)
        for index, row in enumerate(compared.rows)
    ]
    first = compared.rows[0]
    line = None if first.score is None else (first.score, first.name)
    scores = [f"{row.name} {number(row.score)} {interval_text(row.interval)}".rstrip() for row in compared.rows]
    height = 0.3 * places_of(rows)[-1] + 1.35
    draw = estimates(rows, metric_in_sentence(compared.metric), line)
    title = f"{metric_name(compared.metric)} with 95% intervals"
    return drawing_of("scores", height, draw, title, f"{', '.join(scores)}.")


def _runs(compared: ComparedRuns) -> list[RunResults]:
    return list({row.run.name: row.run for row in compared.rows}.values())


def _about(results: Results) -> str:
    parts = [counted(results.n_test_pairs, "test pair", "test pairs")]
    if results.folds is not None:
        parts.append(f"{results.folds} folds")
    seeds = "seed" if len(results.seeds) == 1 else "seeds"
    return ", ".join([*parts, f"{seeds} {', '.join(map(str, results.seeds))}"])
