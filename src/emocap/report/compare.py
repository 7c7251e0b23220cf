"""`emocap compare`: models of several runs side by side, with paired differences where they were tested on the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.predictions import ModelPredictions, Predictions, read_predictions
from emocap.evaluation.significance import compare_models
from emocap.files import write_text
from emocap.report.files.results import PRIMARY, Comparison, Difference, Metric, Results
from emocap.report.files.run import read_results
from emocap.report.page import page_environment
from emocap.report.plots.intervals import Estimate, estimates, places_of
from emocap.report.plots.study import Drawing, drawing_of
from emocap.report.tables import COMPACT, Row, difference_cell, score_cell
from emocap.report.text import between, counted, in_sentence, metric_name, number, with_interval
from emocap.report.verdict import best_baseline, leader, standing

SAME_SCORE = 1e-4  # a score of the same answers differs by rounding alone
IS_IT = {"better": "is better than", "worse": "is worse than", "open": "is not shown to be better than"}


@dataclass(frozen=True)
class Entry:
    """One run to compare.

    Attributes:
        name: of its folder, the path as given where two folders have one name.
    """

    name: str
    folder: Path
    results: Results

    @cached_property
    def predictions(self) -> Predictions:
        """Every model's answers, read when first needed."""
        return read_predictions(self.folder / "predictions.parquet")

    def tested(self) -> np.ndarray:
        """(N,) int64: the rows of its table that some model answered."""
        rows = [a.rows for given in self.predictions.answers.values() for a in given]
        if not rows:
            raise EmocapError(f"{self.folder / 'predictions.parquet'}: holds no model; run the study again")
        return np.unique(np.concatenate(rows))


@dataclass(frozen=True)
class ComparedRow:
    """One model of one run.

    Attributes:
        difference: to the first row by the metric asked for, None for the first row and where none is possible.
    """

    name: str
    entry: Entry
    model: str
    score: float | None
    interval: tuple[float, float] | None
    difference: Difference | None = None


@dataclass(frozen=True)
class Compared:
    """What `compare_runs` found.

    Attributes:
        metric: asked for.
        rows: the first is what all others are held against.
        paired: scores and paired differences of the rows that allow them, by row name.
        remarks: for each run without rows or paired differences one line that says why.
    """

    metric: str
    rule: Metric
    rows: list[ComparedRow]
    paired: Comparison | None
    remarks: list[str]


def compare_runs(
    run_dirs: Sequence[Path], *, metric: str = PRIMARY, model: str | None = None, every: bool = False
) -> Compared:
    """Put models of several runs side by side.

    Args:
        run_dirs: at least two; `results.json` and `predictions.parquet` of each are read.
        metric: rows are chosen, ordered and told by it.
        model: show this model of every run; None shows each run's best, and the best baseline of the first run.
        every: show every model of every run.

    Raises:
        EmocapError: fewer than two runs, one that is missing or damaged, other vocabularies, or an unknown metric or
            model.
    """
    entries = _entries(run_dirs, metric)
    chosen = [
        (entry, name)
        for number, entry in enumerate(entries)
        for name in _models_of(entry, metric, model, every, first=number == 0)
    ]
    if not chosen:
        raise EmocapError(f"compare: no run has a model with a {in_sentence(metric)}; name another --metric")
    rows = [
        ComparedRow(
            f"{entry.name} {name}",
            entry,
            name,
            entry.results.models[name][metric],
            entry.results.interval(name, metric),
        )
        for entry, name in chosen
    ]
    faults = {entry.name: fault for entry in entries if (fault := why_not_paired(rows[0].entry, entry)) is not None}
    paired = _paired([row for row in rows if row.entry.name not in faults], entries[0])
    if paired is not None:
        rows = [replace(row, difference=paired.difference(row.name, rows[0].name, metric)) for row in rows]
    remarks = [
        f"{entry.name}: no model has a {in_sentence(metric)}"
        for entry in entries
        if all(row.entry is not entry for row in rows)
    ]
    remarks += [f"{name}: no paired difference to {rows[0].entry.name}, {fault}" for name, fault in faults.items()]
    return Compared(metric, entries[0].results.metrics[metric], rows, paired, remarks)


def _entries(run_dirs: Sequence[Path], metric: str) -> list[Entry]:
    folders = [Path(folder) for folder in run_dirs]
    if len(folders) < 2:
        raise EmocapError("compare takes two runs or more; name their folders, such as runs/a runs/b")
    twice = [folder for folder, n in Counter(folder.resolve() for folder in folders).items() if n > 1]
    if twice:
        raise EmocapError(f"compare: {twice[0]} is named twice; leave it out once")
    names = [folder.resolve().name for folder in folders]
    entries = [
        Entry(name if names.count(name) == 1 else str(folder), folder, read_results(folder))
        for name, folder in zip(names, folders, strict=True)
    ]
    first = entries[0].results
    for entry in entries:
        if metric not in entry.results.metrics:
            known = ", ".join(entry.results.metrics)
            raise EmocapError(f"{entry.folder}: has no metric {metric!r}; it has {known}")
        if entry.results.metrics[metric] != first.metrics[metric]:
            raise EmocapError(f"{entry.folder}: disagrees with {folders[0]} on whether a higher {metric} is better")
        if entry.results.labels != first.labels:
            raise EmocapError(f"{entry.folder}: {_other_vocabulary(first.labels, entry.results.labels, folders[0])}")
    return entries


def _other_vocabulary(first: list[str], other: list[str], folder: Path) -> str:
    alone = [label for label in other if label not in first] + [label for label in first if label not in other]
    found = f"only one of them has {alone[0]!r}" if alone else "the emotions stand in another order"
    return f"its vocabulary is not that of {folder} ({found}); compare runs of one vocabulary"


def _models_of(entry: Entry, metric: str, model: str | None, every: bool, first: bool) -> list[str]:
    results = entry.results
    if model is not None:
        if model not in results.models:
            known = ", ".join(results.ordered_models())
            raise EmocapError(f"{entry.folder}: has no model {model!r}; it has {known}")
        return [model]
    best = leader(results, metric)
    start = [] if best is None else [best]
    if every:
        return [*start, *(name for name in results.ordered_models() if name != best)]
    return [*start, *([best_baseline(results, metric)] if first else [])]


def why_not_paired(first: Entry, other: Entry) -> str | None:
    """Why two runs allow no paired difference, None where they were tested on the same pairs with the same targets."""
    if other is first:
        return None
    rows, others = _tested_by_id(first), _tested_by_id(other)
    if rows.keys() != others.keys():
        shared = len(rows.keys() & others.keys())
        return f"other test pairs: {shared:,} of {len(rows | others):,} shared"
    mine = first.predictions.targets[list(rows.values())]
    theirs = other.predictions.targets[[others[pair_id] for pair_id in rows]]
    changed = int((mine != theirs).any(axis=1).sum())
    return f"other targets for {changed:,} of {len(rows):,} test pairs" if changed else None


def _tested_by_id(entry: Entry) -> dict[str, int]:
    """Row number of each tested pair, by its id."""
    predictions = entry.predictions
    if list(predictions.labels) != entry.results.labels:
        raise EmocapError(
            f"{entry.folder}: predictions.parquet and results.json differ in emotions; run the study again"
        )
    rows = entry.tested()
    if len(rows) != entry.results.n_test_pairs:
        raise EmocapError(
            f"{entry.folder}: predictions.parquet has {len(rows)} tested pairs, results.json "
            f"{entry.results.n_test_pairs}; "
            "delete results.json and run the study again"
        )
    found = {str(predictions.pair_ids[row]): int(row) for row in rows}
    if len(found) < len(rows):
        raise EmocapError(f"{entry.folder}: predictions.parquet has a pair id twice; run the study again")
    return found


def _paired(rows: Sequence[ComparedRow], first: Entry) -> Comparison | None:
    """All rows against the first of them, each bootstrap sample of the images shared; None where it stands alone."""
    if len(rows) < 2:
        return None
    place = {pair_id: number for number, pair_id in enumerate(_tested_by_id(first))}
    tested = list(_tested_by_id(first).values())
    answers: dict[str, list[ModelPredictions]] = {}
    for row in rows:
        predictions = row.entry.predictions
        if row.model not in predictions.answers:
            raise EmocapError(f"{row.entry.folder}: predictions.parquet lacks {row.model!r}; run the study again")
        answers[row.name] = [_moved(given, predictions.pair_ids, place) for given in predictions.answers[row.model]]
    found = compare_models(
        answers,
        first.predictions.targets[tested],
        [first.predictions.images[row] for row in tested],
        first.results.labels,
        references=[rows[0].name],
        n_bootstrap=first.results.n_bootstrap,
    )
    comparison = Comparison.model_validate(found)
    for row in rows:
        _require_same_scores(row, comparison.models[row.name])
    if fault := comparison.fault(first.results.metrics):
        raise EmocapError(f"compare: {fault}; was a run made by another emocap?")
    return comparison


def _require_same_scores(row: ComparedRow, scores: Mapping[str, Any]) -> None:
    """Refuse answers that do not have the scores of the run's table, as those of another run put in its place."""
    told = row.entry.results.models[row.model]
    if abs((told.get(PRIMARY) or 0.0) - (scores.get(PRIMARY) or 0.0)) > SAME_SCORE:
        raise EmocapError(
            f"{row.entry.folder}: results.json and predictions.parquet do not tell the same of {row.model!r}; "
            "delete results.json and run the study again"
        )


def _moved(answers: ModelPredictions, pair_ids: Sequence[str], place: dict[str, int]) -> ModelPredictions:
    """The same answers, their rows counted in the first run's order of tested pairs."""
    moved = np.array([place[str(pair_ids[row])] for row in answers.rows], dtype=np.int64)
    return replace(answers, rows=moved)


def findings(compared: Compared) -> list[str]:
    """One sentence on each row that was compared with the first."""
    first = compared.rows[0].name
    return [
        f"{row.name} {IS_IT[standing(row.difference, compared.rule)]} {first}: {with_interval(row.difference)}."
        for row in compared.rows[1:]
        if row.difference is not None
    ]


def terminal_table(compared: Compared) -> Any:
    """A rich table of the rows by the metric asked for."""
    from rich.table import Table
    from rich.text import Text

    arrow = "↑" if compared.rule.higher_is_better else "↓"
    table = Table(
        "run and model", f"{metric_name(compared.metric)} {arrow}", "less the first row", "images that differ"
    )
    for row in compared.rows:
        score = f"{number(row.score)} {between(row.interval)}"
        difference = "–" if row.difference is None else with_interval(row.difference)
        deciding = None if row.difference is None else row.difference.deciding_images
        table.add_row(Text(row.name), score, difference, "–" if deciding is None else f"{deciding:,}")
    return table


def write_comparison(compared: Compared, out: Path) -> Path:
    """Write the comparison as one self-contained page, whole or not at all."""
    results = compared.rows[0].entry.results
    shown = list(dict.fromkeys([compared.metric, *(name for name in COMPACT if name in results.metrics)]))
    common = [name for name in shown if all(name in row.entry.results.metrics for row in compared.rows)]
    html = (
        page_environment()
        .get_template("compare.html")
        .render(
            metric=in_sentence(compared.metric),
            metrics=[(metric_name(name), results.metrics[name].higher_is_better) for name in common],
            rows=[
                Row(row.name, [score_cell(row.entry.results, row.model, name) for name in common])
                for row in compared.rows
            ],
            differences=_difference_rows(compared, common),
            first=compared.rows[0].name,
            findings=findings(compared),
            remarks=compared.remarks,
            figure_of_scores=scores_figure(compared),
            runs=[(entry.name, str(entry.folder), _about(entry.results)) for entry in _runs(compared)],
            n_bootstrap=results.n_bootstrap,
        )
    )
    write_text(out, html.encode("utf-8", "replace").decode("utf-8"))
    return out


def _difference_rows(compared: Compared, metrics: list[str]) -> list[Row]:
    if compared.paired is None:
        return []
    rules, first = compared.rows[0].entry.results.metrics, compared.rows[0].name
    return [
        Row(row.name, [difference_cell(compared.paired, row.name, first, name, rules[name]) for name in metrics])
        for row in compared.rows[1:]
        if row.difference is not None
    ]


def scores_figure(compared: Compared) -> Drawing:
    """Every row's score with its interval."""
    rows = [
        Estimate(row.name, row.score, row.interval, group=row.entry.name, strong=number == 0)
        for number, row in enumerate(compared.rows)
    ]
    score = compared.rows[0].score
    line = None if score is None else (score, compared.rows[0].name)
    scores = ", ".join(f"{row.name} {number(row.score)} {between(row.interval)}".rstrip() for row in compared.rows)
    height = 0.3 * places_of(rows)[-1] + 1.35
    draw = estimates(rows, in_sentence(compared.metric), line)
    title = f"{metric_name(compared.metric)} with 95% intervals"
    return drawing_of("scores", height, draw, title, f"{scores}.")


def _runs(compared: Compared) -> list[Entry]:
    return list({row.entry.name: row.entry for row in compared.rows}.values())


def _about(results: Results) -> str:
    parts = [counted(results.n_test_pairs, "test pair", "test pairs")]
    if results.folds is not None:
        parts.append(f"{results.folds} folds")
    seeds = "seed" if len(results.seeds) == 1 else "seeds"
    return ", ".join([*parts, f"{seeds} {', '.join(map(str, results.seeds))}"])
