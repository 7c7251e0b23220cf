"""The Markdown tables of docs/RESULTS.md, from the `results.json` of a run.

python benchmarks/tables.py runs/socratis-folds
python benchmarks/tables.py runs/socratis-studies --part transfer_study
"""

import argparse
import json
from pathlib import Path
from typing import Any

SHOWN = {
    "top1_accuracy": "top-1",
    "top2_accuracy": "top-2",
    "top3_accuracy": "top-3",
    "recall_at_3": "recall@3",
    "mean_average_precision": "mAP",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "bce": "BCE",
    "expected_calibration_error": "ECE",
}
WITH_INTERVAL = ("recall_at_3", "mean_average_precision")


def scores(found: dict[str, Any]) -> str:
    """Every model's metrics, with the intervals of two of them and the spread over repeats where there is one."""
    lines = ["| model | " + " | ".join(SHOWN.values()) + " |", "| --- |" + " --- |" * len(SHOWN)]
    spreads = found.get("spread") or {}
    for model, values in found["models"].items():
        cells = []
        for metric in SHOWN:
            text = f"{values[metric]:.3f}"
            spread = (spreads.get(model) or {}).get(metric)
            text += "" if spread is None else f" ± {spread:.3f}"
            interval = found["intervals"][model].get(metric) if metric in WITH_INTERVAL else None
            cells.append(text if interval is None else f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(found: dict[str, Any], reference: str) -> str:
    """Every model minus a reference, with intervals and the number of images that decide recall@3."""
    lines = [f"| minus {reference} | recall@3 | images that decide it | mAP |", "| --- | --- | --- | --- |"]
    for model, values in found["differences"][reference].items():
        if model == reference:
            continue
        recall, precision = (values[metric] for metric in WITH_INTERVAL)
        cells = [f"{d['difference']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]" for d in (recall, precision)]
        lines.append(f"| {model} | {cells[0]} | {recall['deciding_images']} | {cells[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables of a run or of one of its parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", choices=["signal", "transfer_study", "pseudo_label_study"])
    parser.add_argument("--reference", action="append")
    arguments = parser.parse_args()
    results = json.loads((arguments.run / "results.json").read_text())
    found = results[arguments.part] if arguments.part else results
    print(scores(found))
    for reference in arguments.reference or found["differences"]:
        print(f"\n{differences(found, reference)}")
    if not arguments.part:
        for model, entry in results["calibration"].items():
            print(f"{model}: ECE {entry['ece_before']:.4f} before scaling, {entry['ece_after']:.4f} after")
        print(f"chosen on validation pairs: {results['chosen']}")


if __name__ == "__main__":
    main()
