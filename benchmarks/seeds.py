"""A study over seeds: mean and spread of every model, as the Markdown tables of docs/RESULTS.md.

    python benchmarks/seeds.py configs/socratis-text.yaml --out runs/seeds --seeds 0 1 2 --set data_root=data

Each --vary KEY=VALUE makes a further variant of the study that shares all stages before the change.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

METRICS = (
    "top1_accuracy",
    "top2_accuracy",
    "top3_accuracy",
    "recall_at_3",
    "precision_at_3",
    "mean_average_precision",
    "bce",
)


def run(study: Path, folder: Path, settings: list[str]) -> dict[str, dict[str, float]]:
    """The table of one run, made if it is not there."""
    options = [word for setting in settings for word in ("--set", setting)]
    subprocess.run([sys.executable, "-m", "emocap", "run", str(study), "--run-dir", str(folder), *options], check=True)
    return json.loads((folder / "results.json").read_text())["models"]


def table(runs: list[dict[str, dict[str, float]]]) -> str:
    """Mean and standard deviation over the runs."""
    lines = ["| model | " + " | ".join(METRICS) + " |", "| --- |" + " --- |" * len(METRICS)]
    for model in runs[0]:
        cells = []
        for metric in METRICS:
            values = [scores[model][metric] for scores in runs]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(runs: list[dict[str, dict[str, float]]], one: str, other: str) -> str:
    """Paired differences of two models over the runs."""
    cells = []
    for metric in ("mean_average_precision", "recall_at_3", "top1_accuracy"):
        values = [scores[one][metric] - scores[other][metric] for scores in runs]
        cells.append(f"{metric} {statistics.mean(values):+.4f} ({', '.join(f'{value:+.4f}' for value in values)})")
    return f"{one} minus {other}: " + "; ".join(cells)


def main() -> None:
    """Run the study for every seed and variant and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--vary", action="append", default=[])
    arguments = parser.parse_args()
    for variant in ["", *arguments.vary]:
        runs = []
        for seed in arguments.seeds:
            base = arguments.out / f"s{seed}"
            folder = arguments.out / f"s{seed}_{variant}" if variant else base
            if variant and not folder.exists():
                shutil.copytree(base, folder)
            settings = [*arguments.settings, f"seed={seed}", *([variant] if variant else [])]
            runs.append(run(arguments.study, folder, settings))
        print(f"\n{arguments.study.stem} {variant or 'as configured'}, seeds {arguments.seeds}\n\n{table(runs)}\n")
        if "AnB+" in runs[0]:
            print(differences(runs, "AnB+", "teacher"), flush=True)


if __name__ == "__main__":
    main()
