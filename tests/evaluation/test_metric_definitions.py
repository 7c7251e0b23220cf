"""docs/METRICS.md against the code: emocap's column of the table, scikit-learn's where its version is the same."""

import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from emocap.evaluation.metrics import METRICS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return import_module("metric_definitions")


def table_lines(script) -> list[list[str]]:
    text = script.DOCUMENT.read_text(encoding="utf-8").split(script.BEGIN)[1].split(script.END)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if row[0] not in ("case", "---")]


def test_document_has_emocaps_values(script) -> None:
    rows = [row for section in script.SECTIONS.values() for row in section]
    made = [(row.case, script.shown(row.ours), row.why) for row in rows]
    assert [(case, ours, why) for case, ours, _, why in table_lines(script)] == made
    assert len({row.case for row in rows}) == len(rows)
    assert all(row.why and row.others for row in rows)


def test_document_has_scikit_learns_values(script) -> None:
    if f"scikit-learn {version('scikit-learn')}," not in script.DOCUMENT.read_text(encoding="utf-8"):
        pytest.skip("the table was made with another scikit-learn")
    rows = [row for section in script.SECTIONS.values() for row in section]
    compared = 0
    for row, (_, _, others, _) in zip(rows, table_lines(script), strict=True):
        for name, cell in row.others.items():
            if name.startswith("scikit-learn"):
                compared += 1
                assert f"{name} {script.shown(cell)}" in others.split("; "), row.case
    assert compared >= 15


def test_document_defines_every_metric(script) -> None:
    definitions = script.DOCUMENT.read_text(encoding="utf-8").split(script.BEGIN)[0]
    keys = re.findall(r"`([a-z0-9_]+)`", definitions)
    assert set(METRICS) <= set(keys)
    assert {"one_against_others", "split_half", "n_ranked", "reliability_curve"} <= set(keys)
    assert "(METRICS.md)" in (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8")
