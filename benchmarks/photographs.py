"""The Markdown tables of docs/RESULTS.md on photographs: a study's own model of images beside simpler models.

python benchmarks/photographs.py runs/twitter runs/oasis
python benchmarks/photographs.py runs/posts --model teacher

Every model of a run is a row, with 95% intervals over images (and seeds), and with the paired difference of the own
model to it on the same test pairs. Where the folder RUN-grid exists, the run of the same study with `--set
'features={extractor: grid}' --run-dir RUN-grid`, its own model and its image probe are rows too.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.metrics import METRICS
from emocap.evaluation.predictions import ModelPredictions, Predictions, read_predictions
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.significance import compare_models
from emocap.files import read_json
from emocap.ratings import Ratings
from emocap.study.models import display_name

PROBE = "image_probe"
Cells = tuple[float | None, Any, Any]  # value, its interval, and the difference of the row's model to the own model


def table(run: Path, model: str | None = None) -> str:
    """The table of a run as Markdown.

    Args:
        run: folder of a finished study.
        model: the own model; None means the one that the study chose on its validation pairs.

    Raises:
        EmocapError: the run lacks the model, or RUN-grid was tested on other pairs.
    """
    results = read_json(run / "results.json")
    own = model or results["chosen"]
    found = read_predictions(run / "predictions.parquet")
    if own not in found.by_model:
        raise EmocapError(f"{run}: has no model {own!r}; it has {', '.join(found.by_model)}")
    rows = {display_name(name): repeats for name, repeats in found.by_model.items()}
    other = run.with_name(f"{run.name}-grid")
    if other.is_dir():
        rows |= _rows_on_grid(other, own, found)
    measures = _measures(found, rows, display_name(own), results)
    header = [f"{name} | {display_name(own)} minus it" for name in measures]
    lines = [f"| model | {' | '.join(header)} |", "| --- |" + " --- | --- |" * len(measures)]
    for row in rows:
        cells = [_value(measures[name][row]) for name in measures]
        minus = [_own_minus(measures[name][row]) for name in measures]
        lines.append(f"| {row} | {' | '.join(f'{a} | {b}' for a, b in zip(cells, minus, strict=True))} |")
    return "\n".join([_title(run, results, own), "", *lines])


def _rows_on_grid(folder: Path, own: str, first: Predictions) -> dict[str, list[ModelPredictions]]:
    """The own model and the image probe of the same study on `grid` features, with the rows of the first run."""
    found = read_predictions(folder / "predictions.parquet")
    position = {pair_id: row for row, pair_id in enumerate(first.pair_ids)}
    rows = np.array([position.get(pair_id, -1) for pair_id in found.pair_ids])
    same_names = (found.labels, found.rating_names) == (first.labels, first.rating_names)
    same = same_names and (rows >= 0).all() and len(rows) == len(first.pair_ids)
    if not (
        same
        and np.array_equal(first.targets[rows], found.targets)
        and np.array_equal(first.ratings[rows], found.ratings, equal_nan=True)
    ):
        raise EmocapError(
            f"{folder}: has other pairs, targets or ratings than the run on better features; run the same study"
        )
    return {
        f"{display_name(name)} on grid": [replace(each, rows=rows[each.rows]) for each in found.by_model[name]]
        for name in (PROBE, own)
        if name in found.by_model
    }


def _measures(
    found: Predictions, rows: Mapping[str, list[ModelPredictions]], own: str, results: dict[str, Any]
) -> dict[str, dict[str, Cells]]:
    """Each measure by its name in the header, with the cells of every row."""
    settings: dict[str, Any] = {"references": [own], "n_bootstrap": results["n_bootstrap"]}
    measures: dict[str, dict[str, Cells]] = {}
    if found.labels:
        compared = compare_models(rows, found.targets, found.images, found.labels, **settings)
        is_exclusive = bool((found.targets.sum(axis=1) == 1).all())
        for metric in ("roc_auc", "top1_accuracy" if is_exclusive else "mean_average_precision"):
            name = "accuracy" if metric == "top1_accuracy" else METRICS[metric].short_name
            measures[name] = {
                row: (
                    compared["models"][row][metric],
                    compared["intervals"][row][metric],
                    compared["differences"][own].get(row, {}).get(metric),
                )
                for row in rows
            }
    if found.rating_names:
        ratings = Ratings.of(results["ratings"]["range"])
        compared = compare_ratings(rows, found.ratings, found.images, ratings, **settings)
        for rating in found.rating_names:
            measures[f"r of {rating}"] = {
                row: (
                    compared["models"][row][rating]["pearson_r"],
                    compared["intervals"][row][rating]["pearson_r"],
                    compared["differences"][own].get(row, {}).get(rating, {}).get("pearson_r"),
                )
                for row in rows
            }
    return measures


def _title(run: Path, results: dict[str, Any], own: str) -> str:
    parts = [f"{results['n_test_pairs']:,} test pairs of {results['n_test_images']:,} images"]
    parts += [f"{results['folds']} folds"] if results["folds"] else []
    parts += [f"{len(results['seeds'])} {'seed' if len(results['seeds']) == 1 else 'seeds'}"]
    return f"{run.name}: {', '.join(parts)}; own model: {display_name(own)}"


def _value(cells: Cells) -> str:
    value, interval, _ = cells
    if value is None:
        return "–"
    return f"{value:.3f}" if interval is None else f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _own_minus(cells: Cells) -> str:
    difference = cells[2]
    if difference is None:
        return ""
    value, low, high = (0.0 - difference[key] for key in ("difference", "high", "low"))
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Print the table of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--model", help="the own model; by default the one that the study chose on validation pairs")
    arguments = parser.parse_args()
    print("\n\n".join(table(run, arguments.model) for run in arguments.runs))


if __name__ == "__main__":
    main()
