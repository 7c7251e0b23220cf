"""The section on ratings: for each a table with the human ceiling, differences with verdicts, and figures."""

from dataclasses import dataclass, replace
from typing import Any

from emocap.report.files.comparison import Comparison
from emocap.report.files.ratings import RATING_INFOS, RatingResults
from emocap.report.files.results import Results
from emocap.report.files.run import Run
from emocap.report.legends import marks_in_words
from emocap.report.outcome import best_baseline, best_models, main_model
from emocap.report.plots import ratings as plots
from emocap.report.plots.figure import Drawing
from emocap.report.rating_verdict import against
from emocap.report.tables import GROUPS, Cell, Group, Row, difference_cell, score_cell
from emocap.report.text import description_of, metric_name, number
from emocap.study.models import display_name

CEILING = "true means of the raters"


@dataclass(frozen=True)
class RatingTables:
    """What the page shows of one rating.

    Attributes:
        scale: its range, in words.
        groups: baselines, models and the human ceiling with their scores.
        differences: reference, the models that were compared with it, and a row per metric.
        marks: which differences are marked.
    """

    name: str
    scale: str
    n_pairs: int
    groups: list[Group]
    differences: list[tuple[str, list[str], list[Row]]]
    marks: str
    figures: list[Drawing]


def rating_section(run: Run) -> dict[str, Any] | None:
    """What the page shows of the ratings; None where the study has none."""
    results, ratings = run.results, run.results.ratings
    if ratings is None:
        return None
    model = main_model(results)
    references = dict.fromkeys([best_baseline(results), results.reference])
    sentences = [against(results, ratings, model, name) for name in references if model is not None and name != model]
    return {
        "columns": [(metric_name(metric), info.higher_is_better) for metric, info in RATING_INFOS.items()],
        "findings": sentences,
        "ratings": [_tables(run, ratings, name, model) for name in ratings.names],
        "models": []
        if results.labels
        else [(display_name(name), description_of(name, of_ratings=True)) for name in results.ordered_models()],
    }


def _tables(run: Run, ratings: RatingResults, name: str, model: str | None) -> RatingTables:
    results, compared = run.results, run.results.rating(name)
    figures = [plots.rating_scores(results, ratings, name), plots.rating_scatter(run, ratings, name, model)]
    low, high = ratings.range[name]
    return RatingTables(
        name=name,
        scale=f"{low:g} to {high:g}",
        n_pairs=ratings.n_pairs[name],
        groups=_groups(results, compared, ratings.ceiling.get(name)),
        differences=_differences(results, compared),
        marks=marks_in_words(compared) if compared.is_enough else "",
        figures=[figure for figure in figures if figure is not None],
    )


def _groups(results: Results, compared: Comparison, ceiling: dict[str, float | None] | None) -> list[Group]:
    best = {metric: _best(results, compared, metric) for metric in RATING_INFOS}
    groups = [
        Group(
            title,
            [
                Row(
                    display_name(name),
                    [replace(score_cell(compared, name, m, name in best[m]), spread="") for m in RATING_INFOS],
                )
                for name in results.ordered_models(*kinds)
                if name in compared.models
            ],
        )
        for title, kinds in GROUPS.items()
    ]
    if ceiling is not None:
        groups.append(Group("Human ceiling", [Row(CEILING, [Cell(number(ceiling.get(m))) for m in RATING_INFOS])]))
    return [group for group in groups if group.rows]


def _best(results: Results, compared: Comparison, metric: str) -> list[str]:
    """The models of the best value; none where all are equal or the test set is too small for a verdict."""
    every = [name for name in results.ordered_models("baseline", "study", "ensemble") if name in compared.models]
    best = best_models(compared, metric, RATING_INFOS[metric], every) if compared.is_enough else []
    return best if len(best) < len(every) else []


def _differences(results: Results, compared: Comparison) -> list[tuple[str, list[str], list[Row]]]:
    """For each reference the models compared with it, and a row per metric; the study's own reference first."""
    tables = []
    for reference in sorted(compared.differences, key=lambda name: name != results.reference):
        names = [name for name in results.ordered_models() if name in compared.differences[reference]]
        rows = [
            Row(
                metric_name(metric),
                [difference_cell(compared, name, reference, metric, info) for name in names],
                info.higher_is_better,
            )
            for metric, info in RATING_INFOS.items()
        ]
        if names:
            tables.append((display_name(reference), [display_name(name) for name in names], rows))
    return tables
