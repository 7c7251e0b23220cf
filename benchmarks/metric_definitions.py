"""The table of docs/METRICS.md: what emocap and other libraries give on the same valid input where definitions differ.

pip install torchmetrics==1.9.0 torcheval==0.0.7 pytrec-eval-terrier==0.5.11 statsmodels==0.15.0 pycocoevalcap==1.2 \
    sacrebleu==2.6.0 krippendorff==0.9.0
python benchmarks/metric_definitions.py

Writes the table between two markers of docs/METRICS.md, with the versions that were used. emocap's own column needs
none of these packages; tests/evaluation/test_metric_definitions.py compares it with the document.
"""

import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from metric_row import Cell, Row
from metric_rows_captions import ANNOTATORS, CAPTIONS
from metric_rows_labels import ABSENT, PROBABILITIES, TIES

DOCUMENT = Path(__file__).parents[1] / "docs" / "METRICS.md"
BEGIN, END = "<!-- begin of benchmarks/metric_definitions.py -->", "<!-- end of benchmarks/metric_definitions.py -->"
OTHERS = (
    "scikit-learn", "torchmetrics", "torcheval", "pytrec-eval-terrier", "statsmodels", "krippendorff", "pycocoevalcap",
    "sacrebleu", "torch", "numpy",
)  # fmt: skip
SECTIONS: dict[str, tuple[Row, ...]] = {
    "Emotions without positives, pairs without emotions": ABSENT,
    "Ties": TIES,
    "Probabilities, decisions and cells": PROBABILITIES,
    "Annotators": ANNOTATORS,
    "Captions": CAPTIONS,
}
HEADER = "| case | emocap | other libraries | why emocap's |\n| --- | --- | --- | --- |"


def shown(cell: Cell) -> str:
    """A value as in the table: three decimals, "null" for None, "refused" for a ValueError or a failed assertion."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = cell()
        except (ValueError, AssertionError):
            return "refused"
    if value is None:
        return "null"
    return ", ".join("NaN" if np.isnan(number) else f"{number:.3f}" for number in np.ravel(value).astype(float))


def table() -> str:
    """All rows as Markdown, with the versions of the packages."""
    versions = ", ".join(f"{package} {version(package)}" for package in OTHERS)
    parts = [f"Made by `python benchmarks/metric_definitions.py` with {versions}."]
    for section, rows in SECTIONS.items():
        lines = [HEADER]
        for row in rows:
            others = "; ".join(f"{name} {shown(cell)}" for name, cell in row.others.items())
            lines.append(f"| {row.case} | {shown(row.ours)} | {others} | {row.why} |")
        parts += [f"### {section}", "\n".join(lines)]
    return "\n\n".join(parts)


def main() -> None:
    """Replace the table in the document."""
    try:
        made = table()
    except PackageNotFoundError as error:
        sys.exit(f"{error.name} is not installed; the docstring of this script has the command")
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()
