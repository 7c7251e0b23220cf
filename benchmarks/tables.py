"""The Markdown tables of docs/RESULTS.md, from the `results.json` of a run.

python benchmarks/tables.py runs/socratis-folds
python benchmarks/tables.py runs/socratis-studies --part transfer_study
"""

import argparse
import json
from pathlib import Path
from typing import Any

from emocap.evaluation.metrics import METRICS, PRIMARY
from emocap.evaluation.verdicts import decide
from emocap.study.models import display_name

SHOWN = (
    "top1_accuracy",
    "top2_accuracy",
    "top3_accuracy",
    "recall_at_3",
    "mean_average_precision",
    "micro_f1",
    "macro_f1",
    "bce",
    "brier",
    "expected_calibration_error",
    "top_ece",
)
WITH_INTERVAL = ("recall_at_3", "mean_average_precision")


def scores(comparison: dict[str, Any]) -> str:
    """Every model's metrics, with the intervals of two of them and the spread over repeats if there are several."""
    shown = shown_metrics(comparison, SHOWN)
    lines = [
        "| model | " + " | ".join(METRICS[name].short_name for name in shown) + " |",
        "| --- |" + " --- |" * len(shown),
    ]
    spreads = comparison.get("spread") or {}
    for model, values in comparison["models"].items():
        cells = []
        for metric in shown:
            text = "–" if values[metric] is None else f"{values[metric]:.3f}"
            spread = (spreads.get(model) or {}).get(metric)
            text += "" if spread is None else f" ± {spread:.3f}"
            interval = comparison["intervals"][model].get(metric) if metric in WITH_INTERVAL else None
            cells.append(text if interval is None else f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]")
        lines.append(f"| {display_name(model)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown_metrics(comparison: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Those of the metrics that the run has; one that cannot vary in a study is in none of its models."""
    return [name for name in names if all(name in values for values in comparison["models"].values())]


def differences(comparison: dict[str, Any], reference: str) -> str:
    """Every model minus a reference with its verdict by mAP, and the number of images that decide recall@3.

    Intervals and verdicts hold for all models of the table together where the run recorded such intervals.
    """
    shown = shown_metrics(comparison, WITH_INTERVAL)
    header = [METRICS[name].short_name for name in shown] + ["verdict by mAP"]
    if "recall_at_3" in shown:
        header.insert(1, "deciding images")
    lines = [f"| minus {display_name(reference)} | {' | '.join(header)} |", "| --- |" + " --- |" * len(header)]
    is_enough = comparison.get("sample", {}).get("is_enough", True)
    for model, values in comparison["differences"][reference].items():
        if model == reference:
            continue
        cells = []
        for metric in shown:
            found = values.get(metric)
            cells.append("–" if found is None else f"{found['difference']:+.3f} {bracketed(found)}")
            if metric == "recall_at_3":
                cells.append("–" if found is None else str(found["deciding_images"]))
        found = values[PRIMARY]
        low, high = (0.0, 0.0) if found is None else interval_of(found)
        cells.append(decide(low, high, higher_is_better=True, is_enough=is_enough))
        lines.append(f"| {display_name(model)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def interval_of(difference: dict[str, Any]) -> tuple[float, float]:
    """The interval that holds for all models compared with the reference together, else its own."""
    low, high = difference.get("simultaneous") or (difference["low"], difference["high"])
    return low, high


def bracketed(difference: dict[str, Any]) -> str:
    """The interval as text."""
    low, high = interval_of(difference)
    return f"[{low:+.3f}, {high:+.3f}]"


def headline(results: dict[str, Any]) -> list[str]:
    """What the report's headline rests on: the models, their single comparison and what the test set could show."""
    chosen, baseline = results["chosen"], results.get("comparison_baseline")
    lines = [f"chosen: {chosen}; for use: {results.get('recommended', 'not recorded')}"]
    if sample := results.get("sample"):
        sizes = f"{sample['n_images']} test images, {sample['n_positives']} positive labels"
        lines.append(f"{sizes}; seeds: {len(results['seeds'])}")
    if baseline is None:
        return lines
    units = ", ".join(f"{name} in {n}" for name, n in baseline["chosen_in"].items())
    lines.append(f"baseline, chosen on validation pairs: {baseline['model']} ({units})")
    found = results["differences"][baseline["model"]].get(chosen, {}).get(PRIMARY)
    if found is not None:
        is_enough = results.get("sample", {}).get("is_enough", True)
        verdict = decide(found["low"], found["high"], higher_is_better=True, is_enough=is_enough)
        numbers = f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
        power = f"detectable {found['minimum_detectable']:.3f}, pairs needed {found['pairs_needed'] or 'without limit'}"
        lines.append(f"{chosen} minus {baseline['model']}: {numbers}, {verdict}; {power}")
    return lines


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
    if arguments.part:
        return
    for model, entry in results["calibration"].items():
        methods = ", ".join(dict.fromkeys(entry["methods"]))
        print(f"{model}: ECE {entry['ece_before']:.4f} before scaling, {entry['ece_after']:.4f} after ({methods})")
    print("\n".join(headline(results)))


if __name__ == "__main__":
    main()
