"""Paired differences between models of several runs that were tested on the same pairs with the same targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emocap.errors import EmocapError
from emocap.evaluation.predictions import ModelPredictions, Predictions, read_predictions
from emocap.evaluation.rating_comparison import compare_ratings
from emocap.evaluation.significance import compare_models, without_emotions
from emocap.ratings import Ratings
from emocap.report.files.comparison import Comparison, Difference
from emocap.report.files.ratings import RatingResults
from emocap.report.files.results import Results
from emocap.study.digests import require_undamaged

TOLERANCE = 1e-4  # scores of the same predictions differ by rounding alone


@dataclass(frozen=True)
class RunResults:
    """One run to compare.

    Attributes:
        name: of its folder; the path as given where two folders have the same name.
    """

    name: str
    folder: Path
    results: Results

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions of every model, read when first needed."""
        require_undamaged(self.folder, "evaluation", ["predictions.parquet"])
        return read_predictions(self.folder / "predictions.parquet")

    def tested_rows(self) -> np.ndarray:
        """(N,) int64: the rows of its table that some model was tested on."""
        rows = [repeat.rows for repeats in self.predictions.by_model.values() for repeat in repeats]
        if not rows:
            raise EmocapError(f"{self.folder / 'predictions.parquet'}: contains no model; run the study again")
        return np.unique(np.concatenate(rows))


@dataclass(frozen=True)
class ComparedRow:
    """One model of one run.

    Attributes:
        difference: to the first row by the requested metric, None for the first row and where none is possible.
    """

    name: str
    run: RunResults
    model: str
    score: float | None
    interval: tuple[float, float] | None
    difference: Difference | None = None


def why_not_paired(first: RunResults, other: RunResults) -> str | None:
    """Why two runs allow no paired difference, None where they were tested on the same pairs with the same targets."""
    if other is first:
        return None
    rows, other_rows = _tested_by_id(first), _tested_by_id(other)
    if rows.keys() != other_rows.keys():
        shared = len(rows.keys() & other_rows.keys())
        return f"different test pairs: {shared:,} of {len(rows | other_rows):,} shared"
    targets = _targets(first)[list(rows.values())]
    other_targets = _targets(other)[[other_rows[pair_id] for pair_id in rows]]
    changed = int((targets != other_targets).any(axis=1).sum())
    return f"different targets for {changed:,} of {len(rows):,} test pairs" if changed else None


def _targets(run: RunResults) -> np.ndarray:
    """(M, E + R) float32 targets of emotions and ratings, -1 for a missing rating."""
    return np.concatenate([run.predictions.targets, np.nan_to_num(run.predictions.ratings, nan=-1.0)], axis=1)


def paired_comparison(rows: Sequence[ComparedRow], first: RunResults) -> Comparison | None:
    """All rows against the first, with the same bootstrap samples of the images; None for fewer than two rows."""
    if len(rows) < 2:
        return None
    tested = _tested_by_id(first)
    position = {pair_id: index for index, pair_id in enumerate(tested)}
    predictions: dict[str, list[ModelPredictions]] = {}
    for row in rows:
        own = row.run.predictions
        if row.model not in own.by_model:
            raise EmocapError(f"{row.run.folder}: predictions.parquet lacks {row.model!r}; run the study again")
        predictions[row.name] = [_reordered(repeat, own.pair_ids, position) for repeat in own.by_model[row.model]]
    table_rows = list(tested.values())
    images = [first.predictions.images[row] for row in table_rows]
    results, references = first.results, [rows[0].name]
    if results.labels:
        targets = first.predictions.targets[table_rows]
        found = compare_models(
            predictions, targets, images, results.labels, references=references, n_bootstrap=results.n_bootstrap
        )
    else:
        found = without_emotions(predictions, images, references)
    comparison = Comparison.model_validate(found)
    if results.ratings is not None:
        true = first.predictions.ratings[table_rows].astype(float)
        ratings = Ratings.of({name: list(results.ratings.range[name]) for name in results.ratings.names})
        of_ratings = compare_ratings(
            predictions, true, images, ratings, references=references, n_bootstrap=results.n_bootstrap
        )
        RatingResults.model_validate(of_ratings).add_to(comparison)
    for row in rows:
        _require_same_score(row, comparison.models[row.name])
    # A run of another version may have metrics that this one does not compute; those have no paired difference.
    known = comparison.intervals[rows[0].name]
    computed = {name: info for name, info in first.results.metrics.items() if name in known}
    if message := comparison.error(computed):
        raise EmocapError(f"compare: {message}; was a run made by another version of emocap?")
    return comparison


def _tested_by_id(run: RunResults) -> dict[str, int]:
    """Row number of each tested pair, by its id."""
    predictions = run.predictions
    if list(predictions.labels) != run.results.labels:
        raise EmocapError(f"{run.folder}: predictions.parquet and results.json differ in emotions; run the study again")
    rows = run.tested_rows()
    if len(rows) != run.results.n_test_pairs:
        raise EmocapError(
            f"{run.folder}: predictions.parquet has {len(rows)} tested pairs, results.json "
            f"{run.results.n_test_pairs}; delete results.json and run the study again"
        )
    by_id = {str(predictions.pair_ids[row]): int(row) for row in rows}
    if len(by_id) < len(rows):
        raise EmocapError(f"{run.folder}: predictions.parquet has a pair id twice; run the study again")
    return by_id


def _require_same_score(row: ComparedRow, scores: Mapping[str, Any]) -> None:
    """Refuse predictions whose score differs from the run's table, such as those of another run."""
    recorded, primary = row.run.results.models[row.model], row.run.results.primary
    if abs((recorded.get(primary) or 0.0) - (scores.get(primary) or 0.0)) > TOLERANCE:
        raise EmocapError(
            f"{row.run.folder}: results.json and predictions.parquet disagree on the score of {row.model!r}; "
            "delete results.json and run the study again"
        )


def _reordered(predictions: ModelPredictions, pair_ids: Sequence[str], position: dict[str, int]) -> ModelPredictions:
    """The same predictions with row numbers in the first run's order of tested pairs."""
    rows = np.array([position[str(pair_ids[row])] for row in predictions.rows], dtype=np.int64)
    return replace(predictions, rows=rows)
