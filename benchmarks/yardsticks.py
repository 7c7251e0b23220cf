"""Micro and macro F1 of a finished single-split run, as published scores give them: the table of docs/RESULTS.md.

python benchmarks/yardsticks.py runs/goemotions

At 0.5 on uncalibrated probabilities, and with one threshold per label that has the best F1 on the validation part.
Intervals are by bootstrap over the test texts. The run needs its models' probabilities only, not its evaluation.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from emocap.corpora.pairs import Pairs
from emocap.corpora.splits import rows_of
from emocap.emotions import Vocabulary
from emocap.evaluation.bootstrap import Repeat, replicates
from emocap.evaluation.calibration import calibrate
from emocap.evaluation.intervals import estimate, interval
from emocap.evaluation.predictions import ModelPredictions
from emocap.study.artifacts import read_parquet

METRICS = ("micro_f1_at_half", "macro_f1_at_half", "micro_f1_per_label", "macro_f1")
N_BOOTSTRAP = 1000


def scores_of(run: Path) -> dict[str, dict[str, tuple[float, list[float] | None]]]:
    """Model to metric to value and interval, for every model of which the run has probabilities."""
    pairs = Pairs(read_parquet(run / "target.parquet"), None, (), open_vocabulary=True)
    vocabulary = Vocabulary(tuple(json.loads((run / "vocabulary.json").read_text())["labels"]))
    splits = json.loads((run / "splits.json").read_text())
    rows = rows_of(pairs, splits["parts"], None, splits["left_out"])
    targets, groups = pairs.targets(vocabulary), [str(row) for row in range(len(pairs))]
    found = {}
    folders = [file.parent for file in sorted(run.glob("**/test_probabilities.npy"))]
    for folder in folders:
        validation, test = (np.load(folder / f"{part}_probabilities.npy") for part in ("validation", "test"))
        fitted = calibrate(validation, targets[rows["validation"]], scaled=False)
        half, best = np.full(len(test), 0.5), np.tile(fitted.thresholds, (len(test), 1))
        repeat = Repeat(ModelPredictions(rows["test"], test, test, half, best), targets, METRICS)
        drawn = replicates({"": [repeat]}, groups, N_BOOTSTRAP, 0)[""]
        found[folder.name] = {metric: _with_interval(repeat, drawn.values[metric], metric) for metric in METRICS}
    return found


def _with_interval(repeat: Repeat, draws: np.ndarray, metric: str) -> tuple[float, list[float] | None]:
    n = len(repeat.rows)
    value = float(repeat.statistics[metric](np.ones((1, n)))[0])
    estimated = estimate(value, draws, n)
    return value, None if estimated is None else interval(estimated, lowest=0, highest=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    print(
        "| model | micro F1 at 0.5 | macro F1 at 0.5 | micro F1, thresholds from dev | macro F1, thresholds from dev |"
    )
    print("| --- | --- | --- | --- | --- |")
    for model, scores in scores_of(parser.parse_args().run).items():
        cells = [
            f"{value:.3f}" + ("" if ends is None else f" [{ends[0]:.3f}, {ends[1]:.3f}]")
            for value, ends in scores.values()
        ]
        print(f"| {model} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
