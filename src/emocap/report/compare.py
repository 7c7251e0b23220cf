"""`emocap compare`: models of several runs, with paired differences where they were tested on the same pairs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emocap.errors import EmocapError
from emocap.report.compare_pairs import ComparedRow, RunResults, paired_comparison, why_not_paired
from emocap.report.files.comparison import Comparison, MetricInfo
from emocap.report.files.results import Results
from emocap.report.files.run import read_results
from emocap.report.outcome import best_baseline, main_model
from emocap.report.text import metric_in_sentence
from emocap.study.models import display_name


@dataclass(frozen=True)
class ComparedRuns:
    """The result of `compare_runs`.

    Attributes:
        metric: that rows were chosen by.
        rows: the first is the reference of all differences.
        paired: scores and paired differences of the rows that allow them, by row name.
        remarks: for each run without rows or paired differences one line that says why.
    """

    metric: str
    info: MetricInfo
    rows: list[ComparedRow]
    paired: Comparison | None
    remarks: list[str]


def compare_runs(
    run_dirs: Sequence[Path], *, metric: str | None = None, model: str | None = None, every: bool = False
) -> ComparedRuns:
    """Compare models of several runs.

    Args:
        run_dirs: at least two; `results.json` and `predictions.parquet` of each are read.
        metric: rows are chosen, ordered and described by it; of a rating such as `valence:pearson_r`. None takes mean
            average precision, of runs of ratings alone their mean Pearson's r.
        model: show this model of every run; None shows the main model of each, and the best baseline of the first run.
        every: show every model of every run.

    Raises:
        EmocapError: fewer than two runs, one that is missing or damaged, different vocabularies or ratings, or an
            unknown metric or model.
    """
    runs, metric = _read_runs(run_dirs, metric)
    rows = [
        ComparedRow(
            name=f"{run.name} {display_name(name)}",
            run=run,
            model=name,
            score=run.results.models[name][metric],
            interval=run.results.interval(name, metric),
        )
        for index, run in enumerate(runs)
        for name in _models_of(run, metric, model, every, first=index == 0)
    ]
    if not rows:
        raise EmocapError(f"compare: no run has a model with a {metric_in_sentence(metric)}; name another --metric")
    first = rows[0]
    reasons = {run.name: reason for run in runs if (reason := why_not_paired(first.run, run)) is not None}
    paired = paired_comparison([row for row in rows if row.run.name not in reasons], runs[0])
    if paired is not None:
        rows = [replace(row, difference=paired.difference(row.name, first.name, metric)) for row in rows]
    remarks = [
        f"{run.name}: no model has a {metric_in_sentence(metric)}"
        for run in runs
        if all(row.run is not run for row in rows)
    ]
    remarks += [f"{name}: no paired difference to {first.run.name}, {reason}" for name, reason in reasons.items()]
    return ComparedRuns(metric, runs[0].results.metrics[metric], rows, paired, remarks)


def _read_runs(run_dirs: Sequence[Path], metric: str | None) -> tuple[list[RunResults], str]:
    """The runs, with the metrics of their ratings among the others, and the metric to compare them by."""
    folders = [Path(folder) for folder in run_dirs]
    if len(folders) < 2:
        raise EmocapError("compare takes two runs or more; name their folders, such as runs/a runs/b")
    repeated = [folder for folder, n in Counter(folder.resolve() for folder in folders).items() if n > 1]
    if repeated:
        raise EmocapError(f"compare: {repeated[0]} is named twice; name each run once")
    names = [folder.resolve().name for folder in folders]
    runs = [
        RunResults(name if names.count(name) == 1 else str(folder), folder, read_results(folder))
        for name, folder in zip(names, folders, strict=True)
    ]
    first = runs[0].results
    metric = metric or first.primary
    for run in runs:
        if run.results.labels != first.labels:
            raise EmocapError(f"{run.folder}: {_different_vocabulary(first.labels, run.results.labels, folders[0])}")
        if _scales(run.results) != _scales(first):
            raise EmocapError(f"{run.folder}: its ratings or their scales differ from those of {folders[0]}")
        if run.results.ratings is not None:
            run.results.metrics |= run.results.ratings.add_to(run.results)
        if metric not in run.results.metrics:
            known = ", ".join(run.results.metrics)
            raise EmocapError(f"{run.folder}: has no metric {metric!r}; it has {known}")
        if run.results.metrics[metric] != first.metrics[metric]:
            raise EmocapError(f"{run.folder}: disagrees with {folders[0]} on whether a higher {metric} is better")
    return runs, metric


def _scales(results: Results) -> dict[str, tuple[float, float]]:
    return {} if results.ratings is None else results.ratings.range


def _different_vocabulary(first: list[str], other: list[str], folder: Path) -> str:
    unshared = [label for label in other if label not in first] + [label for label in first if label not in other]
    reason = f"only one of them has {unshared[0]!r}" if unshared else "the emotions are in a different order"
    return f"its vocabulary differs from that of {folder} ({reason}); compare runs with the same vocabulary"


def _models_of(run: RunResults, metric: str, model: str | None, every: bool, first: bool) -> list[str]:
    results = run.results
    if model is not None:
        if model not in results.models:
            known = ", ".join(results.ordered_models())
            raise EmocapError(f"{run.folder}: has no model {model!r}; it has {known}")
        return [model]
    main = main_model(results, metric)
    start = [] if main is None else [main]
    if every:
        return [*start, *(name for name in results.ordered_models() if name != main)]
    return [*start, *([best_baseline(results, metric)] if first else [])]
