"""The Markdown tables of docs/RESULTS.md, from the `results.json` of a run.

python benchmarks/tables.py runs/socratis-folds
python benchmarks/tables.py runs/socratis-studies --part transfer_study
"""

import argparse
import json
from pathlib import Path
from typing import Any

from emocap.evaluation.metrics import METRICS

SHOWN = (
    "top1_accuracy",
    "top2_accuracy",
    "top3_accuracy",
    "recall_at_3",
    "mean_average_precision",
    "micro_f1",
    "macro_f1",
    "bce",
    "expected_calibration_error",
)
WITH_INTERVAL = ("recall_at_3", "mean_average_precision")


def scores(comparison: dict[str, Any]) -> str:
    """Every model's metrics, with the intervals of two of them and the spread over repeats if there are several."""
    lines = [
        "| model | " + " | ".join(METRICS[name].short_name for name in SHOWN) + " |",
        "| --- |" + " --- |" * len(SHOWN),
    ]
    spreads = comparison.get("spread") or {}
    for model, values in comparison["models"].items():
        cells = []
        for metric in SHOWN:
            text = f"{values[metric]:.3f}"
            spread = (spreads.get(model) or {}).get(metric)
            text += "" if spread is None else f" ± {spread:.3f}"
            interval = comparison["intervals"][model].get(metric) if metric in WITH_INTERVAL else None
            cells.append(text if interval is None else f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(comparison: dict[str, Any], reference: str) -> str:
    """Every model minus a reference, with intervals and the number of images that decide recall@3."""
    lines = [f"| minus {reference} | recall@3 | deciding images | mAP |", "| --- | --- | --- | --- |"]
    for model, values in comparison["differences"][reference].items():
        if model == reference:
            continue
        recall, precision = (values[metric] for metric in WITH_INTERVAL)
        cells = [f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]" for d in (recall, precision)]
        lines.append(f"| {model} | {cells[0]} | {recall['deciding_images']} | {cells[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables of a run or of one of its studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", choices=["modality_ablation", "transfer_study", "pseudo_label_study"])
    parser.add_argument("--reference", action="append")
    arguments = parser.parse_args()
    results = json.loads((arguments.run / "results.json").read_text())
    comparison = results[arguments.part] if arguments.part else results
    print(scores(comparison))
    for reference in arguments.reference or comparison["differences"]:
        print(f"\n{differences(comparison, reference)}")
    if not arguments.part:
        for model, entry in results["calibration"].items():
            print(f"{model}: ECE {entry['ece_before']:.4f} before scaling, {entry['ece_after']:.4f} after")
        print(f"selected on validation pairs: {results['chosen']}")


if __name__ == "__main__":
    main()
